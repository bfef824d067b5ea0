"""Who watches what, decided in Redis: one holder a unit, epochs that grow, and room for whoever comes."""

import asyncio
from pathlib import Path

import pytest

from common.ids import Unit, WatcherId
from common.store.connect import connect
from common.store.errors import StoreUnavailable
from common.store.keys import Keys
from common.store.model import Holdings
from common.store.tenures import Tenures
from tests.faults.server import OwnRedis
from tests.integration.common.store.conftest import Stage

LEASE_S = 0.4
ONE, TWO = WatcherId("one"), WatcherId("two")
A, B, C = Unit("a"), Unit("b"), Unit("c")


@pytest.fixture
def tenures(stage: Stage) -> Tenures:
    return Tenures(stage.client, stage.keys, "group", lease_s=LEASE_S)


async def test_a_free_unit_is_taken_and_kept_under_one_epoch(tenures: Tenures) -> None:
    first = await tenures.hold(ONE, [A, B])
    assert first.alive == (ONE,)
    assert set(first.held) == {A, B}
    again = await tenures.hold(ONE, [A, B])
    assert (again.alive, again.held) == (first.alive, first.held)


async def test_what_another_holds_is_not_given(tenures: Tenures) -> None:
    await tenures.hold(ONE, [A])
    second = await tenures.hold(TWO, [A, B])
    assert (second.alive, set(second.held)) == ((ONE, TWO), {B})


async def test_a_unit_handed_over_is_free_at_once_and_its_epoch_grows(tenures: Tenures) -> None:
    first = await tenures.hold(ONE, [A, B])
    await tenures.hand_over(ONE, [A])
    second = await tenures.hold(TWO, [A, B])
    assert set(second.held) == {A}
    assert second.held[A] > first.held[A]
    assert (await tenures.hold(ONE, [A, B])).held == {B: first.held[B]}


async def test_nobody_hands_over_what_another_holds(tenures: Tenures) -> None:
    await tenures.hold(ONE, [A])
    await tenures.hand_over(TWO, [A])
    assert (await tenures.hold(TWO, [A])).held == {}


async def test_the_units_of_a_silent_watcher_become_free_and_it_counts_as_dead(tenures: Tenures) -> None:
    first = await tenures.hold(ONE, [A])
    assert (await tenures.hold(TWO, [A])).held == {}
    await asyncio.sleep(LEASE_S)  # Redis' clock decides
    second = await tenures.hold(TWO, [A])
    assert second.alive == (TWO,)
    assert second.held[A] > first.held[A]
    assert (await tenures.hold(ONE, [A])).held == {}


async def test_a_watcher_that_was_late_but_not_replaced_goes_on(tenures: Tenures) -> None:
    first = await tenures.hold(ONE, [A])
    await asyncio.sleep(LEASE_S)
    assert await tenures.hold(ONE, [A]) == first


async def test_what_the_dead_held_is_free_at_once(tenures: Tenures) -> None:
    await tenures.hold(ONE, [A, B])
    await tenures.hold(TWO, [C])
    await tenures.bury([ONE, WatcherId("never seen")])
    third = await tenures.hold(WatcherId("three"), [A, B, C])
    assert (third.alive, set(third.held)) == (("three", TWO), {A, B})
    await tenures.bury([])


async def test_who_retires_is_counted_no_more(tenures: Tenures) -> None:
    await tenures.hold(ONE, [])
    await tenures.hold(TWO, [])
    await tenures.retire(ONE)
    assert (await tenures.hold(TWO, [])).alive == (TWO,)


async def test_a_term_far_ahead_comes_from_a_jumped_clock(stage: Stage, tenures: Tenures) -> None:
    await tenures.hold(ONE, [A])
    seconds, _ = await stage.client.time()
    await stage.client.zadd(stage.keys.terms, {A: seconds * 1000 + 86_400_000})
    await stage.client.zadd(stage.keys.watchers("group"), {ONE: seconds * 1000 + 86_400_000})
    second = await tenures.hold(TWO, [A])
    assert (second.alive, set(second.held)) == ((TWO,), {A})


async def test_an_epoch_is_never_used_twice(stage: Stage, tenures: Tenures) -> None:
    future = 9_000_000_000_000_000
    await stage.client.hset(stage.keys.reigns, A, str(future))
    assert (await tenures.hold(ONE, [A])).held[A] == future + 1


async def test_watchers_that_ask_at_once_never_hold_the_same(tenures: Tenures) -> None:
    units = [Unit(f"u{number}") for number in range(50)]
    names = [WatcherId(f"w{number}") for number in range(8)]
    answers: list[Holdings] = await asyncio.gather(*(tenures.hold(name, units) for name in names))
    held = [unit for answer in answers for unit in answer.held]
    assert sorted(held) == sorted(units)


async def test_who_is_not_known_hears_of_it(tenures: Tenures) -> None:
    assert not (await tenures.hold(ONE, [A])).known
    assert (await tenures.hold(ONE, [A])).known
    await tenures.retire(ONE)
    assert not (await tenures.hold(ONE, [A])).known


async def test_who_reaches_another_history_of_the_data_hears_of_it_once_and_holds_on(tmp_path: Path) -> None:
    server = OwnRedis(tmp_path)
    await server.start()
    client = connect(f"redis://127.0.0.1:{server.port}/0")
    try:
        tenures = Tenures(client, Keys("restarted"), "group", lease_s=60.0)
        before = await tenures.hold(ONE, [A])
        await server.kill()
        with pytest.raises(StoreUnavailable):
            await tenures.hold(ONE, [A])
        await server.start()
        after = await tenures.hold(ONE, [A])
        assert (after.held, after.fell_back) == (before.held, True)
        assert not before.fell_back
        assert not (await tenures.hold(ONE, [A])).fell_back
    finally:
        await client.aclose()
        await server.kill()
