"""The outbox: order, coalescing, and nothing lost while Redis is away."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from random import Random
from typing import cast

import pytest
from prometheus_client import CollectorRegistry

from common.bell import Bell
from common.ids import AgentId, Epoch, Uid, Unit
from common.store.errors import StoreRefused, StoreUnavailable
from common.store.ledger import Ledger
from common.store.model import Appended, Card, Entry, Home, Verdict
from common.store.writer import AgentWriter
from common.telemetry.metrics import WatcherMetrics
from tests.unit.watcher.rig import ManualClock, until
from watcher import publisher as outbox
from watcher.publisher import Introduction, Publisher

A, B = AgentId("a"), AgentId("b")
HERE, ELSEWHERE = Unit("here"), Unit("elsewhere")
UNITS = frozenset((HERE, ELSEWHERE))
CARD = Card(b"sealed", "ns", "name")


class FakeRedis:
    """Writer, ledger and bell at once; notes what it is asked in order."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.failing: list[Exception] = []
        self.known: set[AgentId] = {A, B}
        self.epochs: dict[Unit, Epoch] = {}
        """Under which alone something is saved, where one is named."""
        self.asked = 0
        self.gate = asyncio.Event()
        self.gate.set()

    async def _step(self, word: str) -> None:
        self.asked += 1
        await self.gate.wait()
        if self.failing:
            raise self.failing.pop(0)
        self.log.append(word)

    async def register(self, agent: AgentId, uid: Uid, card: Card) -> None:
        await self._step(f"register {agent} {uid}")
        self.known.add(agent)

    async def release(self, agent: AgentId, uid: Uid) -> None:
        await self._step(f"release {agent} {uid}")

    async def append(self, entries: Sequence[Entry]) -> Appended:
        await self._step("append " + " ".join(f"{entry.agent}{entry.identity}" for entry in entries))
        known = [Verdict.ACCEPTED if entry.agent in self.known else Verdict.UNKNOWN_AGENT for entry in entries]
        return Appended(known, ring=True)

    async def save(
        self, resource: str, unit: Unit, epoch: Epoch, *, put: Mapping[Uid, bytes], remove: Collection[Uid]
    ) -> bool:
        await self._step(f"save {resource}/{unit} +{','.join(put)} -{','.join(remove)}")
        return self.epochs.get(unit, epoch) == epoch

    async def advance(self, resource: str, position: str, units: Mapping[Unit, Epoch]) -> set[Unit]:
        await self._step(f"advance {resource} {position} of {','.join(sorted(units))}")
        return set()

    async def ring(self) -> None:
        self.log.append("ring")

    def has(self, word: str) -> bool:
        return word in self.log

    @property
    def written(self) -> list[str]:
        return [word for word in self.log if word != "ring"]


@asynccontextmanager
async def _publishing() -> AsyncIterator[tuple[Publisher, FakeRedis, ManualClock]]:
    redis, clock = FakeRedis(), ManualClock()
    publisher = Publisher(
        cast(AgentWriter, redis),
        cast(Ledger, redis),
        cast(Bell, redis),
        WatcherMetrics(CollectorRegistry()),
        clock,
        Random(1),
    )
    publisher.epochs = {HERE: Epoch(1)}
    task = asyncio.create_task(publisher.run())
    try:
        yield publisher, redis, clock
    finally:
        task.cancel()
        await asyncio.wait((task,))


def _entry(identity: str, agent: AgentId = A, payload: bytes = b"p") -> Entry:
    return Entry(agent, identity, 1, Home.EVENT, payload)


async def test_agents_come_before_records_and_positions_after_them() -> None:
    async with _publishing() as (publisher, redis, _):
        publisher.reach("pods", UNITS, "7")
        publisher.keep("pods", HERE, put={Uid("u"): b"x"})
        publisher.append(_entry("1"))
        publisher.release(B, Uid("gone"))
        publisher.register(A, Uid("u"), CARD)
        await publisher.flushed()
        saved = ["save pods/here +u -", "advance pods 7 of here"]
        assert redis.written == ["register a u", "append a1", "release b gone", *saved]


async def test_what_comes_during_a_round_trip_goes_together_in_the_next() -> None:
    async with _publishing() as (publisher, redis, _):
        redis.gate.clear()
        publisher.append(_entry("1"))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        for number in "234":
            publisher.append(_entry(number))
        redis.gate.set()
        await publisher.flushed()
        assert redis.written == ["append a1", "append a2 a3 a4"]


async def test_redis_away_keeps_order_and_loses_nothing() -> None:
    async with _publishing() as (publisher, redis, clock):
        redis.failing = [StoreUnavailable("down")] * 5 + [StoreRefused("out of memory")] * 2
        publisher.append(_entry("1"))
        publisher.append(_entry("2"))
        await until(lambda: bool(clock.slept))
        publisher.append(_entry("3"))
        publisher.reach("events", UNITS, "9")
        await publisher.flushed()
        assert redis.written == ["append a1 a2", "append a3", "advance events 9 of here"]
        assert not publisher.trouble
        assert len(clock.slept) == 7


async def test_a_full_outbox_holds_the_reading_back_until_it_is_written() -> None:
    async with _publishing() as (publisher, redis, _):
        redis.gate.clear()
        publisher.append(_entry("1", payload=b"x" * (outbox.OUTBOX_MAX_BYTES + 1)))
        reading = asyncio.create_task(publisher.room())
        await asyncio.sleep(0)
        assert not reading.done()
        redis.gate.set()
        await asyncio.wait_for(reading, 5)


async def test_the_last_word_on_an_object_counts() -> None:
    async with _publishing() as (publisher, redis, _):
        publisher.release(A, Uid("u"))
        publisher.register(A, Uid("u"), CARD)
        publisher.register(B, Uid("v"), CARD)
        publisher.release(B, Uid("v"))
        publisher.keep("pods", HERE, put={Uid("u"): b"1"}, remove=[Uid("v")])
        publisher.keep("pods", HERE, put={Uid("v"): b"2"}, remove=[Uid("u")])
        await publisher.flushed()
        assert redis.written == ["register a u", "register b v", "release b v", "save pods/here +v -u"]


async def test_what_comes_and_goes_between_two_passes_is_told() -> None:
    async with _publishing() as (publisher, redis, _):
        redis.known.remove(B)
        publisher.register(B, Uid("v"), CARD)
        publisher.append(_entry("1", B))
        publisher.release(B, Uid("v"))
        await publisher.flushed()
        assert redis.written == ["register b v", "append b1", "release b v"]


async def test_a_flush_ends_though_more_keeps_coming() -> None:
    async with _publishing() as (publisher, redis, _):

        async def go_on() -> None:
            for number in itertools.count():
                publisher.reach("events", UNITS, str(number))
                publisher.append(_entry(str(number)))
                await asyncio.sleep(0)

        going = asyncio.create_task(go_on())
        await until(partial(redis.has, "append a1"))
        publisher.reach("pods", UNITS, "7")
        await asyncio.wait_for(publisher.flushed(), 5)
        assert redis.has("advance pods 7 of here")
        going.cancel()


async def test_of_a_unit_that_is_not_held_nothing_is_saved() -> None:
    async with _publishing() as (publisher, redis, _):
        publisher.keep("pods", ELSEWHERE, put={Uid("u"): b"1"})
        publisher.reach("pods", frozenset((ELSEWHERE,)), "7")
        publisher.append(_entry("1"))
        await publisher.flushed()
        assert redis.written == ["append a1"]


async def test_of_a_unit_that_was_lost_nothing_is_saved_when_it_comes_back() -> None:
    async with _publishing() as (publisher, redis, _):
        redis.gate.clear()
        publisher.keep("pods", HERE, put={Uid("under way"): b"x"})
        publisher.reach("pods", UNITS, "7")
        await until(lambda: bool(redis.asked))
        publisher.keep("pods", HERE, put={Uid("waiting"): b"x"})
        publisher.reach("pods", frozenset((HERE,)), "8")
        publisher.forget((HERE,))  # another watcher has read it since, perhaps not so far
        publisher.epochs = redis.epochs = {HERE: Epoch(2), ELSEWHERE: Epoch(2)}
        redis.gate.set()
        await publisher.flushed()
        saved = [word for word in redis.written if not word.startswith("save pods/here +under way")]
        assert saved == ["advance pods 7 of elsewhere"]


async def test_a_position_waits_for_the_objects_that_were_refused() -> None:
    async with _publishing() as (publisher, redis, _):
        redis.epochs = {HERE: Epoch(2)}  # Redis has fallen back; the watcher learns of the new epoch in a moment
        publisher.keep("pods", HERE, put={Uid("u"): b"x"})
        publisher.reach("pods", frozenset((HERE,)), "7")
        await until(lambda: redis.has("save pods/here +u -"))
        publisher.epochs = redis.epochs
        await publisher.flushed()
        assert "advance pods 7 of here" not in redis.written
        assert redis.written.count("save pods/here +u -") == 2


async def test_of_a_unit_that_was_refused_the_objects_of_every_resource_are_saved_again() -> None:
    async with _publishing() as (publisher, redis, _):
        redis.epochs = {HERE: Epoch(2)}  # somebody had taken it and given it back before we noticed
        publisher.keep("pods", HERE, put={Uid("u"): b"x"})
        publisher.keep("replicasets", HERE, remove=[Uid("r")])
        await until(lambda: redis.has("save pods/here +u -"))
        publisher.epochs = redis.epochs
        await publisher.flushed()
        assert redis.written[-2:] == ["save pods/here +u -", "save replicasets/here + -r"]


async def test_positions_are_saved_at_most_once_a_second() -> None:
    async with _publishing() as (publisher, redis, clock):
        for number in range(3):
            publisher.reach("events", UNITS, str(number))
            publisher.append(_entry(str(number)))
            await until(partial(redis.has, f"append a{number}"))
        assert [word for word in redis.written if word.startswith("advance")] == ["advance events 0 of here"]
        clock.now_s += outbox.SAVE_EVERY_S
        publisher.append(_entry("4"))
        await until(lambda: redis.written[-1] == "advance events 2 of here")


async def test_an_agent_that_redis_lost_is_introduced_again_under_its_new_name() -> None:
    async with _publishing() as (publisher, redis, _):
        redis.known = set()

        async def introduce(agent: AgentId) -> Introduction:
            return Introduction(AgentId("a2"), (Uid("u"), CARD)) if agent == A else Introduction(agent)

        publisher.introduce = introduce
        publisher.append(_entry("1"))
        publisher.append(_entry("2", B))
        publisher.append(_entry("3"))
        await publisher.flushed()
        assert redis.written == ["append a1 b2 a3", "register a2 u", "append a21 b2 a23"]


async def test_who_is_not_ours_any_more_is_told_under_the_name_that_redis_has_now() -> None:
    async with _publishing() as (publisher, redis, _):
        redis.known = {AgentId("a2")}

        async def introduce(agent: AgentId) -> Introduction:
            if agent == B:
                publisher.register(AgentId("b2"), Uid("u"), CARD)  # as one starts over, and gives it away then
            return Introduction(AgentId(f"{agent}2"))

        publisher.introduce = introduce
        publisher.append(_entry("1"))
        publisher.append(_entry("2", B))
        await publisher.flushed()
        assert redis.written == ["append a1 b2", "register b2 u", "append a21 b22"]


async def test_the_bell_rings_beside_the_writing() -> None:
    async with _publishing() as (publisher, redis, _):
        publisher.append(_entry("1"))
        await until(lambda: "ring" in redis.log)


@pytest.mark.parametrize("error", [StoreUnavailable("down"), StoreRefused("no")])
async def test_a_bell_that_cannot_be_rung_stops_nothing(error: Exception) -> None:
    async with _publishing() as (publisher, redis, _):

        async def broken() -> None:
            raise error

        redis.ring = broken  # type: ignore[method-assign]
        for number in "12":
            publisher.append(_entry(number))
            await publisher.flushed()
        assert redis.written == ["append a1", "append a2"]
