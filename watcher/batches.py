"""What gathers in the outbox for one pass, and what the last passes wrote. Pure.

The last passes are kept because what Redis acknowledged last may be missing after a fail-over or a restart. Written
again in the same order it is whole and in order there, whatever was missing; what was not is refused as known.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Collection, Iterator, Mapping
from typing import Final

from msgspec import Struct

from common.ids import AgentId, Uid, Unit
from common.store.model import Card, Entry

__all__ = ["RECENT_MAX_BYTES", "RECENT_S", "Batch", "Recent", "Seat"]

RECENT_S: Final = 60.0
"""Longer than a replica lags, and than Sentinel is usually told to wait before it gives a primary up (30 s)."""
RECENT_MAX_BYTES: Final = 1024 * 1024
"""Two thousand records: more than can be taken in the second by which a replica usually lags."""
ENTRY_OVERHEAD_BYTES: Final = 200


class Seat(Struct):
    """What is to be said of an object of an agent: that it came (`card`), that it went, or one after the other."""

    card: Card | None = None
    released: bool = False


class _Objects:
    """What is to be saved of the known objects of one resource in one unit."""

    __slots__ = ("put", "remove")

    def __init__(self) -> None:
        self.put: dict[Uid, bytes] = {}
        self.remove: set[Uid] = set()

    def merge(self, put: Mapping[Uid, bytes], remove: Collection[Uid]) -> None:
        for uid, packed in put.items():
            self.put[uid] = packed
            self.remove.discard(uid)
        for uid in remove:
            self.put.pop(uid, None)
            self.remove.add(uid)


class Batch:
    """What gathers for one pass."""

    def __init__(self) -> None:
        self.seats: dict[tuple[AgentId, Uid], Seat] = {}
        self.entries: list[tuple[Entry, float]] = []
        """Each with the monotonic time of its coming."""
        self.size_bytes = 0
        self.objects: dict[tuple[str, Unit], _Objects] = {}
        self.positions: dict[tuple[str, frozenset[Unit]], str] = {}
        """The newest by resource and the units that it holds for."""
        self.flushes: list[asyncio.Future[None]] = []
        """Who waits until all that gathered with them, and before, is written."""
        self.checks = False
        """Redis is to be asked whether it is still the one that was written to."""

    @property
    def saves(self) -> bool:
        return bool(self.objects or self.positions)

    @property
    def urgent(self) -> bool:
        """Whether something cannot wait for the time when saves are due."""
        return bool(self.seats or self.entries or self.flushes or self.checks)

    def add(self, entry: Entry, now_s: float) -> None:
        self.entries.append((entry, now_s))
        self.size_bytes += len(entry.payload) + ENTRY_OVERHEAD_BYTES

    def keep(self, resource: str, unit: Unit, put: Mapping[Uid, bytes], remove: Collection[Uid]) -> None:
        self.objects.setdefault((resource, unit), _Objects()).merge(put, remove)

    def put_saves_back(self, other: Batch) -> None:
        """Leave what `other` would save to this batch, which must be new."""
        self.objects, other.objects = other.objects, {}
        self.positions, other.positions = other.positions, {}

    def put_objects_back(self, unit: Unit, other: Batch) -> None:
        """Save what `other` knows of the objects of `unit` once more, unless newer things are known of them."""
        for (resource, there), objects in other.objects.items():
            if there == unit:
                newer = self.objects.get((resource, unit))
                if newer is not None:
                    objects.merge(newer.put, newer.remove)
                self.objects[resource, unit] = objects

    def forget_saves(self) -> None:
        """What was to be saved is not true where it would be saved."""
        self.objects.clear()
        self.positions.clear()

    def forget_units(self, units: Collection[Unit]) -> None:
        """The same for some units only."""
        for key in [key for key in self.objects if key[1] in units]:
            del self.objects[key]
        kept: dict[tuple[str, frozenset[Unit]], str] = {}
        for (resource, readers), position in self.positions.items():
            if others := readers.difference(units):
                kept[resource, others] = position
        self.positions = kept


class Recent:
    """The batches written in the last `RECENT_S`, oldest first, `RECENT_MAX_BYTES` at most; without their saves."""

    def __init__(self) -> None:
        self._batches: deque[tuple[float, Batch]] = deque()
        self._size_bytes = 0

    def __iter__(self) -> Iterator[Batch]:
        return iter([batch for _, batch in self._batches])

    def add(self, batch: Batch, now_s: float) -> None:
        """`batch` was written at the monotonic time `now_s`."""
        if batch.seats or batch.entries:
            batch.forget_saves()
            self._batches.append((now_s, batch))
            self._size_bytes += _size_bytes(batch)
        while self._batches and (self._size_bytes > RECENT_MAX_BYTES or now_s - self._batches[0][0] > RECENT_S):
            self._size_bytes -= _size_bytes(self._batches.popleft()[1])

    def clear(self) -> None:
        self._batches.clear()
        self._size_bytes = 0


def _size_bytes(batch: Batch) -> int:
    return batch.size_bytes + len(batch.seats) * ENTRY_OVERHEAD_BYTES
