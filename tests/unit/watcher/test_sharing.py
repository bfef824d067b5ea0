"""How a watcher gives and loses what it reads, without Redis."""

import asyncio
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from typing import cast

import pytest
from prometheus_client import CollectorRegistry

from common.clock import SystemClock
from common.ids import Epoch, Unit, WatcherId
from common.store.errors import StoreUnavailable
from common.store.model import Holdings
from common.store.tenures import Tenures
from common.telemetry.metrics import WatcherMetrics
from tests.unit.watcher.rig import ManualClock, Rig, pod, until
from watcher import sharing as sharing_module
from watcher.reflection import Began, Completed
from watcher.sharing import Sharing

ME, OTHER = WatcherId("a/1/x"), WatcherId("b/1/y")
UNITS = [Unit(f"team-{number}") for number in range(12)]


LEASE_S = 8.0


class Notes:
    """Tenures and readers at once: notes what is asked of it; another watcher joins after a while."""

    lease_s = LEASE_S

    def __init__(self) -> None:
        self.log: list[str] = []
        self.joined = False

    async def hold(self, watcher: WatcherId, wanted: Sequence[Unit]) -> Holdings:
        return Holdings((ME, OTHER) if self.joined else (ME,), dict.fromkeys(wanted, Epoch(1)))

    async def hand_over(self, watcher: WatcherId, units: Collection[Unit]) -> None:
        self.log.append("hand over")

    async def take(self, units: Collection[Unit]) -> None:
        self.joined = True

    async def give(self, units: Collection[Unit]) -> None:
        await asyncio.sleep(0)
        self.log.append("write down")

    async def lose(self, units: Collection[Unit]) -> None:
        self.log.append("lose")


async def test_a_unit_is_written_down_before_it_is_handed_over() -> None:
    notes = Notes()
    sharing = Sharing(
        ME,
        cast(Tenures, notes),
        notes,
        lambda: UNITS,
        WatcherMetrics(CollectorRegistry()),
        ManualClock(),
        lives=lambda _: True,
    )
    running = asyncio.create_task(sharing.run())
    await until(lambda: len(notes.log) >= 2)
    running.cancel()
    assert notes.log[:2] == ["write down", "hand over"]


class Away:
    """Tenures and readers at once: Redis is away while units are taken and at a hand-over."""

    lease_s = LEASE_S

    def __init__(self) -> None:
        self.others: tuple[WatcherId, ...] = ()
        self.read: set[Unit] = set()
        self.held: set[Unit] = set()
        self.taking = asyncio.Event()
        self.refused = asyncio.Event()

    async def hold(self, watcher: WatcherId, wanted: Sequence[Unit]) -> Holdings:
        if self.taking.is_set() and not self.refused.is_set():
            self.refused.set()
            raise StoreUnavailable("away")
        self.held |= set(wanted)
        return Holdings((ME, *self.others), dict.fromkeys(wanted, Epoch(1)))

    async def hand_over(self, watcher: WatcherId, units: Collection[Unit]) -> None:
        self.others = ()  # and while Redis was away, the other watcher has died
        raise StoreUnavailable("away")

    async def take(self, units: Collection[Unit]) -> None:
        self.taking.set()
        await self.refused.wait()
        await asyncio.sleep(0.01)
        self.read |= set(units)

    async def give(self, units: Collection[Unit]) -> None:
        self.read -= set(units)

    async def lose(self, units: Collection[Unit]) -> None:
        raise AssertionError("nothing is lost here")


async def test_what_is_held_is_read_though_redis_was_away_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharing_module, "TICK_S", 0.001)
    away = Away()
    made = Sharing(
        ME, cast(Tenures, away), away, lambda: UNITS, WatcherMetrics(CollectorRegistry()), SystemClock(),
        lives=lambda _: True,
    )  # fmt: skip
    running = asyncio.create_task(made.run())
    try:
        await until(lambda: away.read == set(UNITS))
        away.others = (OTHER,)
        await until(lambda: not away.others)
        await until(lambda: away.read == set(UNITS))
        assert made.epochs.keys() == away.read
    finally:
        running.cancel()


class RoundByRound(ManualClock):
    """A sleep lasts until somebody lets the sleeper go."""

    def __init__(self) -> None:
        super().__init__()
        self._turns = asyncio.Semaphore(0)

    async def sleep(self, delay_s: float) -> None:
        self.slept.append(delay_s)
        await self._turns.acquire()

    async def pass_s(self, seconds: float = 0.0) -> None:
        """Time passes, then the sleeper sleeps once more."""
        self.now_s += seconds
        before = len(self.slept)
        self._turns.release()
        await until(lambda: len(self.slept) > before)


class Group:
    """Tenures and readers at once: gives whatever is wanted, and says who lives."""

    lease_s = LEASE_S

    def __init__(self) -> None:
        self.alive: tuple[WatcherId, ...] = (ME, OTHER)
        self.fell_back = False
        self.known = True
        self.away = False
        self.read: set[Unit] = set()

    async def hold(self, watcher: WatcherId, wanted: Sequence[Unit]) -> Holdings:
        if self.away:
            raise StoreUnavailable("away")
        fell_back, self.fell_back = self.fell_back, False
        known, self.known = self.known, True
        return Holdings(self.alive, dict.fromkeys(wanted, Epoch(1)), fell_back, known)

    async def take(self, units: Collection[Unit]) -> None:
        self.read |= set(units)

    async def give(self, units: Collection[Unit]) -> None:
        raise AssertionError("nothing is given here")

    lose = give


@asynccontextmanager
async def _sharing_with_another() -> AsyncIterator[tuple[Group, RoundByRound]]:
    group, clock = Group(), RoundByRound()
    made = Sharing(
        ME, cast(Tenures, group), group, lambda: UNITS, WatcherMetrics(CollectorRegistry()), clock, lives=lambda _: True
    )
    running = asyncio.create_task(made.run())
    try:
        await until(lambda: len(clock.slept) > 0)
        assert 0 < len(group.read) < len(UNITS)
        yield group, clock
    finally:
        running.cancel()


@pytest.mark.parametrize(("away_s", "emptied"), [(0.0, False), (LEASE_S, False), (0.0, True)])
async def test_nobody_is_taken_for_dead_who_had_no_time_yet_to_come_back_to_redis(
    away_s: float, *, emptied: bool
) -> None:
    async with _sharing_with_another() as (group, clock):
        ours = set(group.read)
        if away_s:
            group.away = True
            await clock.pass_s(away_s)
            group.away = False
        group.fell_back, group.known = not away_s and not emptied, not emptied
        group.alive = (ME,)  # the other one is known no more, and its leases have run out
        await clock.pass_s(0.4)
        await clock.pass_s(LEASE_S - 0.1)
        assert group.read == ours
        await clock.pass_s(0.1)
        assert group.read == set(UNITS)


async def test_who_has_come_back_and_leaves_is_replaced_at_once() -> None:
    async with _sharing_with_another() as (group, clock):
        group.alive, group.fell_back = (ME,), True
        await clock.pass_s(0.4)
        group.alive = (ME, OTHER)
        await clock.pass_s(0.4)
        group.alive = (ME,)
        await clock.pass_s(0.4)
        assert group.read == set(UNITS)


async def test_who_leaves_is_replaced_after_one_pause_that_is_short() -> None:
    """A clean stop hands over within a second: half of it, at the very worst, passes until the successor looks."""
    async with _sharing_with_another() as (group, clock):
        (pause_s,) = clock.slept[-1:]
        group.alive = (ME,)
        await clock.pass_s(pause_s)
        assert group.read == set(UNITS)
        assert pause_s <= 0.5


async def test_who_leaves_while_redis_is_away_for_a_moment_is_replaced_at_once() -> None:
    async with _sharing_with_another() as (group, clock):
        group.away = True
        await clock.pass_s(LEASE_S - 1.0)
        group.alive, group.away = (ME,), False
        await clock.pass_s(0.4)
        assert group.read == set(UNITS)


async def test_what_a_list_lacks_is_asked_for_and_told_as_gone() -> None:
    rig = Rig()
    await rig.deliver("pods", "ADDED", pod("pod-1"))
    await rig.pods.take(Began("50"))
    await rig.pods.take(Completed("50", frozenset()))
    asking = asyncio.create_task(rig.absences.run())
    await until(lambda: "Pod Deleted" in rig.outbox.said)
    asking.cancel()
