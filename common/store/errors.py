"""What can go wrong with Redis, in the two kinds that a caller can do something about."""

from __future__ import annotations

__all__ = ["StoreChanged", "StoreError", "StoreFull", "StoreRefused", "StoreUnavailable"]


class StoreError(Exception):
    """Redis did not do what was asked. The message never holds a URL's password or a token."""


class StoreUnavailable(StoreError):
    """Not now: unreachable, timed out, starting, failing over. Try again with back-off; the outcome is unknown."""


class StoreFull(StoreUnavailable):
    """Not now: `maxmemory` is reached, and nothing was changed. Delivering makes room, so it ends by itself."""

    def __init__(self, doing: str) -> None:
        super().__init__(
            f"{doing}: Redis' memory is full (maxmemory), so it takes nothing new until lines are delivered; raise "
            "maxmemory, or find out why shippers do not deliver"
        )


class StoreChanged(StoreUnavailable):
    """Not now: another history of the data answers than the one we wrote to, so some of it may be missing."""


class StoreRefused(StoreError):
    """Redis answered no: credentials, an unsupported version or schema. The message says the remedy."""
