"""Why Redis does not take what a watcher writes. Pure."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from common.store.errors import StoreError, StoreFull, StoreRefused

__all__ = ["Trouble", "why_not"]


class Trouble(StrEnum):
    """As a metric's label says it."""

    AWAY = "away"
    FULL = "full"
    REFUSED = "refused"
    CHANGED = "changed"
    """Another history of the data answers: what was written last may be missing there."""

    @property
    def words(self) -> str:
        """As the log and the probe say it."""
        return _WORDS[self]


_WORDS: Final = {
    Trouble.AWAY: "Redis does not take records",
    Trouble.FULL: "Redis does not take records, because its memory is full",
    Trouble.REFUSED: "Redis refuses records",
    Trouble.CHANGED: "Redis has fallen back",
}


def why_not(error: StoreError) -> Trouble:
    """What `error`, which is not `StoreChanged`, says of Redis."""
    match error:
        case StoreFull():
            return Trouble.FULL
        case StoreRefused():
            return Trouble.REFUSED
        case _:
            return Trouble.AWAY
