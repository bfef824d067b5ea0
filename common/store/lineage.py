"""Notice that another history of the data goes on than the one we have written to. Pure.

Each history has an id of Redis' own making (`master_replid`): a replica that becomes the primary begins a new one, and
so does a server that starts. What the old one had acknowledged last may be missing from the new one: it was not copied
yet, or not on the disk yet. So nobody may take for granted there what he wrote here.
"""

from __future__ import annotations

import re
from typing import Final

from common.store.errors import StoreChanged

__all__ = ["Lineage"]

_REPLID: Final = re.compile(rb"^master_replid:(\w+)", re.MULTILINE)


class Lineage:
    """What those share who write one after another, each over a connection of its own."""

    def __init__(self) -> None:
        self._written_to = b""
        self._newest = b""

    def meet(self, replication: bytes) -> None:
        """A server answers `INFO replication` so. The first one met is ours; raises `StoreChanged` for another.

        A server that does not tell its history (some hosted ones hide it) is taken for the same.
        """
        found = _REPLID.search(replication)
        if found is None:
            return
        self._newest = found[1]
        if not self._written_to:
            self._written_to = self._newest
        if self._newest != self._written_to:
            raise StoreChanged("Redis was restarted or failed over, and may lack what it took last")

    def go_on(self) -> None:
        """Take the history met last for ours: whoever says so writes again what it may lack."""
        self._written_to = self._newest
