"""Who watches what: watchers that live, and a lease with a fencing epoch for each unit that one of them holds.

Leases make the work efficient; that nothing is told twice is decided in `append`. What an epoch fences is only what a
watcher remembers over restarts (`common.store.ledger`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

import redis.asyncio

from common.ids import Epoch, Unit, WatcherId
from common.store.errors import StoreChanged
from common.store.funnel import Funnel
from common.store.keys import Keys
from common.store.lineage import Lineage
from common.store.model import Holdings
from common.store.wire import Argument

__all__ = ["Tenures"]


class Tenures:
    """Raises `StoreError`s only; every method may be repeated."""

    def __init__(self, client: redis.asyncio.Redis, keys: Keys, group: str, *, lease_s: float) -> None:
        """`group`: watchers that have the same units to share. `lease_s`: after which a watcher that says nothing
        counts as dead, and others take what it held.
        """
        self.lease_s = lease_s
        self._keys = keys
        self._watchers = keys.watchers(group)
        self._lease_ms = round(lease_s * 1000)
        self._lineage = Lineage()
        self._fell_back = False
        self._funnel = Funnel(client, self._lineage)

    async def hold(self, watcher: WatcherId, wanted: Sequence[Unit]) -> Holdings:
        """Live on, keep what is held of `wanted`, take what is free of it. To be called well within each lease."""
        keys = self._keys
        alive, epochs, known = await self._call(
            "hold", (self._watchers, keys.holders, keys.terms, keys.reigns), (watcher, self._lease_ms, *wanted)
        )
        held = {unit: Epoch(int(epoch)) for unit, epoch in zip(wanted, epochs, strict=True) if epoch}
        fell_back, self._fell_back = self._fell_back, False
        return Holdings(tuple(WatcherId(name.decode()) for name in alive), held, fell_back, known=bool(known))

    async def hand_over(self, watcher: WatcherId, units: Collection[Unit]) -> None:
        """Give `units` back; what they hold must have been saved before."""
        if units:
            await self._call("hand_over", (self._keys.holders, self._keys.terms), (watcher, *units))

    async def bury(self, watchers: Collection[WatcherId]) -> None:
        """These are dead for certain: nobody need wait for their leases."""
        if watchers:
            await self._call("bury", (self._watchers, self._keys.holders, self._keys.terms), tuple(watchers))

    async def retire(self, watcher: WatcherId) -> None:
        """Live no more; what is still held runs out by itself."""
        await self._call("retire", (self._watchers,), (watcher,))

    async def _call(self, name: str, keys: Sequence[str], arguments: Iterable[Argument]) -> Any:
        """The answer of the script `name`. What a fail-over has lost of leases is simply held anew."""
        try:
            return await self._funnel.call(name, keys, arguments)
        except StoreChanged:
            self._lineage.go_on()
            self._fell_back = True
            return await self._funnel.call(name, keys, arguments)
