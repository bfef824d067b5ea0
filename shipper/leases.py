"""The leases that this process holds: renewed in time, given up at once when lost.

Makes work efficient, not correct: fenced settling does that. A request may last longer than a lease, so leases in
flight are renewed at each third of their length, and a request is written only in the first half of one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection

import structlog

from common.clock import Clock
from common.ids import AgentId, Epoch
from common.store.dispatcher import Dispatcher
from common.store.errors import StoreError
from common.store.model import Lease

__all__ = ["Hold", "LeaseLost", "Leases"]

log = structlog.get_logger()


class LeaseLost(Exception):
    """Another shipper has claimed the agent: whatever this one still does for it would be done twice."""


class Hold:
    """One agent in this process's hands."""

    def __init__(self, lease: Lease, since_s: float, leases: Leases) -> None:
        self.lease = lease
        self.since_s = since_s
        """Monotonic time read before the claim or the last renewal was sent: the lease cannot end sooner than its
        length from then."""
        self.began_s = since_s
        self.lost = False
        self.task: asyncio.Task[None] | None = None
        self._leases = leases

    async def ensure(self) -> None:
        """Return if a request may be written now: early in a lease, a comparison. Raises LeaseLost, or StoreError when
        that cannot be known."""
        await self._leases.ensure(self)


class Leases:
    """All agents that this process holds, by name."""

    def __init__(self, dispatcher: Dispatcher, clock: Clock, lease_s: float) -> None:
        self._dispatcher = dispatcher
        self._clock = clock
        self._lease_s = lease_s
        self._held: dict[AgentId, Hold] = {}

    def __len__(self) -> int:
        return len(self._held)

    @property
    def tasks(self) -> list[asyncio.Task[None]]:
        return [hold.task for hold in self._held.values() if hold.task is not None]

    def of(self, tasks: Collection[asyncio.Task[None]]) -> list[tuple[AgentId, Epoch]]:
        """What `tasks` have in hand."""
        return [(hold.lease.agent, hold.lease.epoch) for hold in self._held.values() if hold.task in tasks]

    def add(self, lease: Lease, since_s: float) -> Hold | None:
        """Take over `lease`. None if the agent is still in hand under an older one: that must end first."""
        if lease.agent in self._held:
            return None
        hold = self._held[lease.agent] = Hold(lease, since_s, self)
        return hold

    def drop(self, hold: Hold) -> None:
        del self._held[hold.lease.agent]

    async def ensure(self, hold: Hold) -> None:
        """See `Hold.ensure`."""
        if self._clock.monotonic_s() - hold.since_s > self._lease_s / 2:
            await self._renew([hold])
        if hold.lost:
            raise LeaseLost

    async def reaffirm(self) -> None:
        """Renew what may have run out, as after an absence of Redis, so that we do not claim it from ourselves.

        Before each claim; costs a request only then. Raises StoreError.
        """
        now_s = self._clock.monotonic_s()
        overdue = [hold for hold in self._held.values() if now_s - hold.since_s >= self._lease_s]
        if overdue:
            await self._renew(overdue)
            _cancel_lost(overdue)

    async def keep_renewing(self) -> None:
        """Renew what is a third of its length old, for ever. What is lost is cancelled."""
        third_s = self._lease_s / 3
        while True:
            await self._clock.sleep(third_s / 2)
            now_s = self._clock.monotonic_s()
            ageing = [hold for hold in self._held.values() if now_s - hold.since_s >= third_s]
            if not ageing:
                continue
            try:
                await self._renew(ageing)
            except StoreError as error:
                log.warning("leases were not renewed", agents=len(ageing), error=str(error))
                continue
            _cancel_lost(ageing)

    async def _renew(self, holds: Collection[Hold]) -> None:
        asked_s = self._clock.monotonic_s()
        wanted: list[tuple[AgentId, Epoch]] = [(hold.lease.agent, hold.lease.epoch) for hold in holds]
        lost = await self._dispatcher.renew(wanted)
        for hold in holds:
            if hold.lease.agent in lost:
                hold.lost = True
            else:
                hold.since_s = asked_s


def _cancel_lost(holds: Collection[Hold]) -> None:
    for hold in holds:
        if hold.lost and hold.task is not None:
            hold.task.cancel()
