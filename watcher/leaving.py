"""Objects that went before it could be read whose they are: their end waits for one last look at their sources. Pure.

What waits holds the saved position of its scope back, so that the end is heard again after a crash or by the next
watcher. Bounded in time by whoever calls `overdue`, in number by the objects that may be known.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from common.ids import Uid
from watcher.directory import Directory, Known
from watcher.versions import oldest

__all__ = ["LEAVING_S", "Departure", "Leaving"]

LEAVING_S: Final = 60.0
"""How long the look may take."""


class Departure(Struct, frozen=True):
    known: Known
    at_ms: int
    """When the object went (Unix, 0 if unknown)."""
    since_s: float
    """When we heard of it (monotonic)."""
    scope: str
    before: str
    """The position of the scope's reader before it heard of it; "" if it was not by reading."""


class Leaving:
    """In the order of coming."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self._departures: dict[Uid, Departure] = {}

    def __contains__(self, uid: Uid) -> bool:
        return uid in self._departures

    def add(self, departure: Departure) -> None:
        self._departures[departure.known.uid] = departure

    def pop(self, uid: Uid) -> Departure | None:
        """That of `uid`, which waits no longer."""
        return self._departures.pop(uid, None)

    def overdue(self, now_s: float) -> list[Departure]:
        """Those that waited for more than `LEAVING_S`."""
        return [each for each in self._departures.values() if each.since_s < now_s - LEAVING_S]

    def oldest_before(self, scope: str) -> str | None:
        """The oldest position before those of `scope`; None if none waits there. What is not known any more, because
        somebody else reads it, waits no longer.
        """
        for uid in [uid for uid in self._departures if self._directory.get(uid) is None]:
            del self._departures[uid]
        befores = [each.before for each in self._departures.values() if each.scope == scope and each.before]
        return oldest(befores) if befores else None
