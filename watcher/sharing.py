"""Keep this watcher's share of the units: renew, take what falls to it, give what does not.

Who is to hold what follows from who lives (`watcher.shares`); who does hold it is decided in Redis (`Tenures`). A unit
changes hands without a gap: its holder stops reading it, writes down how far it came, and only then lets it go. After a
crash the lease runs out, and the next holder goes on from what was written down last.

While Redis is away everybody goes on reading what it holds: what it appends later is judged there. Back again, after
longer than a lease, after a fail-over or emptied, Redis counts all as dead who have not said anything yet. So for one
lease more
those count as alive who did before: else the first one to come would take all that is read, and would derive from
Kubernetes anew what its readers still have in memory and are about to write down.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Collection, Coroutine
from math import inf
from typing import Any, Final, Protocol

import structlog

from common.clock import Clock
from common.ids import Epoch, Unit, WatcherId
from common.store.errors import StoreError
from common.store.model import Holdings
from common.store.tenures import Tenures
from common.telemetry.metrics import WatcherMetrics
from watcher.identity import died_here
from watcher.shares import share_of

__all__ = ["TICK_S", "Readers", "Sharing"]

TICK_S: Final = 0.4
"""A unit that was given up is taken within one of these by whoever waits for it."""


class Readers(Protocol):
    """What reads the units (`watcher.territories`)."""

    async def take(self, units: Collection[Unit]) -> None: ...

    async def give(self, units: Collection[Unit]) -> None: ...

    async def lose(self, units: Collection[Unit]) -> None: ...


class Sharing:
    """One watcher's part. `candidates` answers all units that there are, the same for all watchers of its group."""

    def __init__(
        self,
        watcher: WatcherId,
        tenures: Tenures,
        readers: Readers,
        candidates: Callable[[], Collection[Unit]],
        metrics: WatcherMetrics,
        clock: Clock,
        *,
        lives: Callable[[int], bool],
    ) -> None:
        """`lives` tells whether a process id of this host is in use."""
        self.epochs: dict[Unit, Epoch] = {}
        """What is held, and under which epoch."""
        self.joined = False
        """Whether the others know of us, and we have begun with what they leave to us."""
        self._watcher = watcher
        self._tenures = tenures
        self._readers = readers
        self._candidates = candidates
        self._metrics = metrics
        self._clock = clock
        self._lives = lives
        self._alive: tuple[WatcherId, ...] = ()
        self._heard_at_s = -inf
        """When Redis answered last."""
        self._missed: frozenset[WatcherId] = frozenset()
        """Who lived before Redis was away or fell back, and has not been heard of since."""
        self._patient_until_s = -inf
        """Until then they count as alive."""
        self._away = False
        self._log = structlog.get_logger()

    async def run(self) -> None:
        """Share until cancelled."""
        while True:
            try:
                settled = await self._round()
            except StoreError as error:
                settled = True
                if not self._away:
                    self._away = True
                    self._log.warning("Redis does not answer; what is held is read on", error=str(error))
            else:
                self._away = False
            if settled:
                await self._clock.sleep(TICK_S)

    async def leave(self) -> None:
        """Let everything go; it must have been written down. Raises `StoreError`."""
        await self._tenures.hand_over(self._watcher, list(self.epochs))
        await self._tenures.retire(self._watcher)
        self.epochs.clear()

    async def _round(self) -> bool:
        """One look at who lives and who holds what. False: look again at once, something has changed."""
        units = self._candidates()
        wanted = share_of(self._watcher, units, self._alive) if self._alive else frozenset[Unit]()
        holdings = await self._hold(wanted | self.epochs.keys())
        patient = self._clock.monotonic_s() < self._patient_until_s
        alive = tuple(sorted({*holdings.alive, *self._missed})) if patient else holdings.alive
        lost = self.epochs.keys() - holdings.held.keys()
        gained = holdings.held.keys() - self.epochs.keys()
        for unit in lost:
            del self.epochs[unit]
        self.epochs.update(holdings.held)
        if lost:
            self._log.warning("another watcher has taken over what we held", units=len(lost))
            await self._readers.lose(lost)
        if not self._alive and (dead := died_here(self._watcher, holdings.alive, self._lives)):
            self._log.info("a watcher of this host has died; its units need not wait", watchers=len(dead))
            await self._tenures.bury(dead)
            return False
        changed = alive != self._alive
        self._alive = alive
        surplus = self.epochs.keys() - share_of(self._watcher, units, self._alive)
        if gained - surplus:
            await self._meanwhile(self._readers.take(gained - surplus))
        if surplus:
            await self._give(surplus, gained)
        self._metrics.units.set(len(units))
        self._metrics.units_held.set(len(self.epochs))
        self._metrics.watchers_alive.set(len(self._alive))
        if changed or gained or surplus:
            self._log.info("sharing", watchers=len(self._alive), held=len(self.epochs), given=len(surplus))
        self.joined = self.joined or not changed
        return not changed

    async def _hold(self, units: Collection[Unit]) -> Holdings:
        """What Redis says when asked for `units`. Raises `StoreError`."""
        holdings = await self._tenures.hold(self._watcher, sorted(units))
        now_s, lease_s = self._clock.monotonic_s(), self._tenures.lease_s
        forgotten = holdings.fell_back or not holdings.known or now_s - self._heard_at_s >= lease_s
        if self._alive and forgotten:
            self._missed, self._patient_until_s = frozenset(self._alive), now_s + lease_s
        self._missed -= frozenset(holdings.alive)
        self._heard_at_s = now_s
        return holdings

    async def _meanwhile(self, work: Coroutine[Any, Any, None]) -> None:
        """Do `work`, and keep what is held as long as it lasts: writing down may have to wait for Redis.

        Redis' absence does not end it: what is half taken or half given would be held and read by nobody.
        """
        task = asyncio.ensure_future(work)
        try:
            while not task.done():
                await asyncio.wait((task,), timeout=TICK_S)
                if not task.done():
                    with contextlib.suppress(StoreError):  # the next round says it
                        await self._hold(self.epochs)
            await task
        finally:
            task.cancel()

    async def _give(self, surplus: Collection[Unit], gained: Collection[Unit]) -> None:
        read = [unit for unit in surplus if unit not in gained]
        if read:
            await self._meanwhile(self._readers.give(read))
        # Nobody here reads them from now on, whether or not Redis hears of it: if they are to be ours again, they are
        # taken again.
        for unit in surplus:
            del self.epochs[unit]
        await self._tenures.hand_over(self._watcher, surplus)
