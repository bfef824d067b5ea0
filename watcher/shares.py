"""Which watcher is to hold which unit: rendezvous hashing, so that a watcher that comes or goes moves only its share.

Every watcher computes the same from the same list of living ones, without talking to the others. In whole-cluster mode
namespaces are put into a fixed number of slots, and slots are shared: leases and positions then cost the same with ten
namespaces and with ten thousand (ADR 22). Pure.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from functools import lru_cache
from hashlib import blake2b
from typing import Final

from common.ids import Unit, WatcherId

__all__ = ["SLOTS", "share_of", "slot_of"]

_SLOT_COUNT: Final = 128
SLOTS: Final = tuple(Unit(f"*{number}") for number in range(_SLOT_COUNT))
"""`*` is in no namespace's name, so a slot is never taken for one."""


@lru_cache(maxsize=65_536)
def slot_of(namespace: str) -> Unit:
    """The slot of `namespace`, the same in every process and for all time."""
    return SLOTS[_weight(namespace) % _SLOT_COUNT]


def share_of(watcher: WatcherId, units: Iterable[Unit], alive: Collection[WatcherId]) -> frozenset[Unit]:
    """Those of `units` that fall to `watcher`, one of `alive`. Cost O(units x alive) when something has changed."""
    return _share(watcher, frozenset(units), tuple(alive))


@lru_cache(maxsize=4)  # asked every round; weighing a thousand namespaces takes 15 ms
def _share(watcher: WatcherId, units: frozenset[Unit], alive: tuple[WatcherId, ...]) -> frozenset[Unit]:
    return frozenset(
        unit for unit in units if max(alive, key=lambda each: (_weight(f"{unit}\0{each}"), each)) == watcher
    )


def _weight(text: str) -> int:
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest())
