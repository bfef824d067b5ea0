"""The outbox: everything this watcher writes to Redis, in an order that loses nothing.

While one round trip is under way the next batch gathers, so a quiet watcher is fast and a busy one efficient,
without a timer. Of one batch: agents are registered, then records appended, then ended objects released, then
positions and known objects saved. So a saved position never runs ahead of the appends it depends on.

Redis unavailable: the batch is tried again until it is through (an append may be repeated, Redis knows each record's
identity). Meanwhile the outbox fills up, `room` holds the watches back, and Kubernetes keeps what they did not read.

Redis changed (restarted, failed over): it may lack what it took last. So what was written within the last minute is
written again, in its order, before anything new; for what may be missing beyond that, all is read anew from where the
present Redis says that it was left. Nothing that memory says of the old one is saved in the new one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from functools import partial
from random import Random
from typing import Final, TypeVar

import structlog
from msgspec import Struct
from msgspec.structs import replace

from common.backoff import Backoff
from common.bell import Bell
from common.clock import Clock
from common.ids import AgentId, Epoch, Uid, Unit
from common.store.errors import StoreChanged, StoreError
from common.store.ledger import Ledger
from common.store.lineage import Lineage
from common.store.model import Card, Entry, Verdict
from common.store.writer import AgentWriter
from common.telemetry.metrics import WatcherMetrics
from watcher.batches import Batch, Recent, Seat
from watcher.troubles import Trouble, why_not
from watcher.verdicts import Verdicts

__all__ = ["Introduction", "Publisher"]

OUTBOX_MAX_BYTES: Final = 8 * 1024 * 1024
APPEND_MAX_ENTRIES: Final = 500
SAVE_EVERY_S: Final = 1.0
"""Positions are saved at most so often: a crash then costs repeated reading, no event."""
_BACKOFF: Final = Backoff(base_s=0.1, cap_s=5.0)
_Answer = TypeVar("_Answer")


class Introduction(Struct, frozen=True):
    """An agent's name in Redis now, and an object of it if we know one."""

    agent: AgentId
    seat: tuple[Uid, Card] | None = None


class Publisher:
    """Calls that enqueue are synchronous and cheap; one task, `run`, does all writing."""

    def __init__(
        self,
        writer: AgentWriter,
        ledger: Ledger,
        bell: Bell,
        metrics: WatcherMetrics,
        clock: Clock,
        random: Random,
        lineage: Lineage | None = None,
    ) -> None:
        """`lineage`: the one that `writer` and `ledger` have, if they have one."""
        self.epochs: Mapping[Unit, Epoch] = {}
        """The units that are held, and under which epoch: of no other anything is saved."""
        self.trouble = ""
        """Why Redis did not do the last call, "" if it did."""
        self.saving = True
        """Whether what memory says is also true of the present Redis, so that it may be saved."""
        self.introduce: Callable[[AgentId], Awaitable[Introduction]] = _unchanged
        """Who an agent is that Redis does not know any more."""
        self.emptied: Callable[[], Awaitable[bool]] = _no
        """Whether Redis was emptied, too; if so all that is known is on its way to it when this returns."""
        self.read_anew: Callable[[], Awaitable[None]] = _nothing
        """Read on from what the present Redis remembers, and set `saving` again."""
        self._writer = writer
        self._ledger = ledger
        self._bell = bell
        self._metrics = metrics
        self._clock = clock
        self._random = random
        self._lineage = lineage or Lineage()
        self._next = Batch()
        self._underway = Batch()
        self._recent = Recent()
        self._floors: dict[tuple[str, str], set[Unit]] = {}
        """The floors that were set here: units by resource and floor."""
        self._work = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._ring = asyncio.Event()
        self._saved_at_s = -SAVE_EVERY_S
        self._troubles = {why: metrics.redis_troubles.labels(why) for why in Trouble}
        self._verdicts = Verdicts(metrics)
        self._log = structlog.get_logger()

    def register(self, agent: AgentId, uid: Uid, card: Card) -> None:
        self._next.seats[agent, uid] = Seat(card)
        self._work.set()

    def release(self, agent: AgentId, uid: Uid) -> None:
        """The object is gone; after the appends before this call."""
        # It may have come since the last pass: what is appended meanwhile needs the agent.
        self._next.seats.setdefault((agent, uid), Seat()).released = True
        self._work.set()

    def append(self, entry: Entry, on_new: Callable[[], None] | None = None) -> None:
        """`on_new`: as `Verdicts.expect` has it."""
        if on_new is not None:
            self._verdicts.expect(entry.identity, on_new)
        self._next.add(entry, self._clock.monotonic_s())
        if self._next.size_bytes > OUTBOX_MAX_BYTES:
            self._room.clear()
        self._work.set()

    def keep(
        self, resource: str, unit: Unit, *, put: Mapping[Uid, bytes] | None = None, remove: Collection[Uid] = ()
    ) -> None:
        """Save changes of known objects, after the appends before this call."""
        if self.saving:
            self._next.keep(resource, unit, put or {}, remove)
            self._work.set()

    def reach(self, resource: str, units: frozenset[Unit], position: str) -> None:
        """Save that all of `resource` in `units` is appended up to `position`, after the appends before this call."""
        if self.saving:
            self._next.positions[resource, units] = position
            self._work.set()

    def forget(self, units: Collection[Unit]) -> None:
        """Save nothing more of `units`: they are another watcher's. Should they come back, what is still to be saved
        of them would be true of the first time only.
        """
        for batch in (self._next, self._underway):
            batch.forget_units(units)

    def forget_recent(self) -> None:
        """What was written up to now is not to be written again."""
        self._recent.clear()

    def check(self) -> None:
        """Make sure, soon, that Redis is still the one that was written to, even if nothing is to be written."""
        self._next.checks = True
        self._work.set()

    @property
    def waiting_bytes(self) -> int:
        """Size of what is not written yet."""
        return self._next.size_bytes + self._underway.size_bytes

    @property
    def has_room(self) -> bool:
        """Whether `room` returns at once."""
        return self._room.is_set()

    async def room(self) -> None:
        """Return when the outbox has room."""
        await self._room.wait()

    async def set_floors(self, resource: str, floor: str, units: Collection[Unit]) -> None:
        """Save floors ahead of the outbox, before any append, and wait for it."""
        for units_there in self._floors.values():
            units_there.difference_update(units)
        self._floors.setdefault((resource, floor), set()).update(units)
        await self._insist(partial(self._ledger.set_floors, resource, floor, units))

    async def flushed(self) -> None:
        """Return when all that was enqueued before this call is written, positions included."""
        written: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._next.flushes.append(written)
        self._work.set()
        await written

    async def run(self) -> None:
        """Write until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._ringing())
            group.create_task(self._writing())

    async def _writing(self) -> None:
        while True:
            await self._wait_for_work()
            saves_are_due = self._saves_are_due()
            self._underway = batch = self._next
            self._next = Batch()
            if not saves_are_due:
                self._next.put_saves_back(batch)
            await self._write_through(batch)
            self._underway = Batch()
            self._recent.add(batch, self._clock.monotonic_s())
            if self._next.size_bytes <= OUTBOX_MAX_BYTES:
                self._room.set()
            for written in batch.flushes:
                if not written.done():  # who waited may have gone
                    written.set_result(None)

    async def _wait_for_work(self) -> None:
        """Until something is to be written, or only saves are and their time has come."""
        while not self._next.urgent:
            self._work.clear()
            if not self._next.saves:
                await self._work.wait()
            elif self._saves_are_due():
                return
            else:
                wait_s = max(0.0, self._saved_at_s + SAVE_EVERY_S - self._clock.monotonic_s())
                try:
                    async with asyncio.timeout(wait_s):
                        await self._work.wait()
                except TimeoutError:
                    continue

    def _saves_are_due(self) -> bool:
        if self._next.flushes:
            return True
        return self._next.saves and self._clock.monotonic_s() >= self._saved_at_s + SAVE_EVERY_S

    async def _write_through(self, batch: Batch) -> None:
        """Write `batch`, however often Redis changes meanwhile."""
        changed = False
        while True:
            try:
                if changed:
                    await self._catch_up(batch)
                await self._write(batch)
            except StoreChanged as error:
                self._troubles[Trouble.CHANGED].inc()
                self._log.warning("what was written within the last minute is written again", error=str(error))
                changed = True
            else:
                if changed:
                    self.trouble = ""
                    self._log.info("Redis takes records again")
                return

    async def _catch_up(self, batch: Batch) -> None:
        """Bring the present Redis to where the one before was. `batch` is not written yet. Raises `StoreChanged`."""
        self.saving = False
        batch.forget_saves()
        self._next.forget_saves()
        self._lineage.go_on()
        if await self.emptied():
            return
        for (resource, floor), units in list(self._floors.items()):  # a first list may set one meanwhile
            there = await self._insist(partial(self._ledger.floors, resource, units))
            await self._insist(partial(self._ledger.set_floors, resource, floor, units - there.keys()))
        for each in self._recent:
            await self._write_records(each)
        await self.read_anew()

    async def _write(self, batch: Batch) -> None:
        if batch.checks:
            await self._insist(self._ledger.check_lineage)
        await self._write_records(batch)
        if batch.saves:
            await self._save(batch)
            self._saved_at_s = self._clock.monotonic_s()

    async def _write_records(self, batch: Batch) -> None:
        await self._all(
            partial(self._writer.register, agent, uid, seat.card)
            for (agent, uid), seat in batch.seats.items()
            if seat.card is not None
        )
        for start in range(0, len(batch.entries), APPEND_MAX_ENTRIES):
            await self._append(batch.entries[start : start + APPEND_MAX_ENTRIES])
        await self._all(
            partial(self._writer.release, agent, uid) for (agent, uid), seat in batch.seats.items() if seat.released
        )

    async def _save(self, batch: Batch) -> None:
        """Objects first: a position says that what was read up to it is known."""
        for (resource, unit), objects in list(batch.objects.items()):
            epoch = self.epochs.get(unit)
            if epoch is not None and (resource, unit) in batch.objects:
                save = partial(self._ledger.save, resource, unit, epoch, put=objects.put, remove=objects.remove)
                if not await self._insist(save) and (resource, unit) in batch.objects:
                    # Or Redis failed over to before we took it, and we shall have a new epoch in a moment.
                    self._log.info("a unit was taken over by another watcher", unit=unit)
                    self._next.put_objects_back(unit, batch)
                    batch.forget_units((unit,))  # its positions say that these objects are known
        while batch.positions:
            resource, units = oldest = next(iter(batch.positions))
            position = batch.positions.pop(oldest)
            held = {unit: epoch for unit in units if (epoch := self.epochs.get(unit)) is not None}
            if held:
                await self._insist(partial(self._ledger.advance, resource, position, held))

    async def _append(self, entries: list[tuple[Entry, float]]) -> None:
        began_s = self._clock.monotonic_s()
        answer = await self._insist(partial(self._writer.append, [entry for entry, _ in entries]))
        now_s = self._clock.monotonic_s()
        self._metrics.append_seconds.observe(now_s - began_s)
        if answer.ring:
            self._ring.set()
        unknown = []
        for (entry, since_s), verdict in zip(entries, answer.verdicts, strict=True):
            if verdict is Verdict.UNKNOWN_AGENT:
                unknown.append((entry, since_s))
            else:
                self._verdicts.note(entry, verdict)
                self._metrics.append_lag_seconds.observe(now_s - since_s)
        if unknown:
            await self._append_again(unknown)

    async def _append_again(self, entries: list[tuple[Entry, float]]) -> None:
        """Redis lost these agents, or calls them by other names: register those whom we know, then append once more."""
        people = {agent: await self.introduce(agent) for agent in dict.fromkeys(entry.agent for entry, _ in entries)}
        # Who was given away meanwhile is still to be registered, by what follows.
        coming = {agent: (uid, seat.card) for (agent, uid), seat in self._next.seats.items() if seat.card is not None}
        seats = {each.agent: each.seat or coming.get(each.agent) for each in people.values()}
        await self._all(
            partial(self._writer.register, agent, *seat) for agent, seat in seats.items() if seat is not None
        )
        renamed = [replace(entry, agent=people[entry.agent].agent) for entry, _ in entries]
        answer = await self._insist(partial(self._writer.append, renamed))
        if answer.ring:
            self._ring.set()
        for entry, verdict in zip(renamed, answer.verdicts, strict=True):
            self._verdicts.note(entry, verdict)
        if dropped := answer.verdicts.count(Verdict.UNKNOWN_AGENT):
            self._log.warning(
                "records of agents that neither Redis nor the cluster knows were dropped", records=dropped
            )

    async def _all(self, calls: Iterable[Callable[[], Awaitable[None]]]) -> None:
        """Insist on all of `calls`; the writer lets them share round trips."""
        every = list(calls)

        async def together() -> None:
            await asyncio.gather(*(call() for call in every))

        if every:
            await self._insist(together)

    async def _insist(self, call: Callable[[], Awaitable[_Answer]]) -> _Answer:
        """The answer of `call`, however long Redis takes to come back."""
        failures, told = 0, None
        while True:
            try:
                answer = await call()
            except StoreChanged:
                raise  # trying again is not enough
            except StoreError as error:
                why = why_not(error)
                self._troubles[why].inc()
                self.trouble = why.words
                if why != told:
                    told = why
                    self._log.warning(f"{self.trouble}; they are kept and tried again", error=str(error))
                await self._clock.sleep(_BACKOFF.delay_s(failures, self._random))
                failures += 1
            else:
                if failures:
                    self._log.info("Redis takes records again", tries=failures + 1)
                self.trouble = ""
                return answer

    async def _ringing(self) -> None:
        """Ring outside the writing: the queue may be another Redis, and slow. The shippers' sweep covers a loss."""
        while True:
            await self._ring.wait()
            self._ring.clear()
            try:
                await self._bell.ring()
            except StoreError as error:
                self._log.warning("the bell could not be rung; shippers find the work by themselves", error=str(error))
                await self._clock.sleep(1.0)


async def _unchanged(agent: AgentId) -> Introduction:
    return Introduction(agent)


async def _no() -> bool:
    return False


async def _nothing() -> None:
    return None
