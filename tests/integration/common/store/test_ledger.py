"""A watcher's memory, and who may write into it."""

import asyncio

from common.ids import Epoch, Uid, Unit, WatcherId
from common.store.model import Vacancy
from common.store.tenures import Tenures
from tests.integration.common.store.conftest import Stage

A, B = Unit("a"), Unit("b")
X, Y = Uid("x"), Uid("y")


async def reigns(stage: Stage, name: str, *units: Unit) -> dict[Unit, Epoch]:
    tenures = Tenures(stage.client, stage.keys, "group", lease_s=60)
    await tenures.hand_over(WatcherId("before"), units)
    return (await tenures.hold(WatcherId(name), units)).held


async def test_objects_are_kept_and_let_go_by_unit(stage: Stage) -> None:
    held = await reigns(stage, "before", A, B)
    assert await stage.ledger.save("pods", A, held[A], put={X: b"1", Y: b"2"}, remove=())
    assert await stage.ledger.save("pods", A, held[A], put={X: b"3"}, remove=(Y, Uid("never")))
    assert await stage.ledger.objects("pods", A) == {X: b"3"}
    assert await stage.ledger.objects("pods", B) == {}


async def test_a_position_is_kept_for_all_units_of_a_watcher(stage: Stage) -> None:
    held = await reigns(stage, "before", A, B)
    assert await stage.ledger.advance("events", "17", held) == set()
    assert await stage.ledger.positions("events", [A, B]) == {A: "17", B: "17"}
    assert await stage.ledger.positions("pods", [A, B]) == {}


async def test_a_watcher_that_lost_a_unit_changes_nothing_of_it(stage: Stage) -> None:
    before = await reigns(stage, "before", A, B)
    await stage.ledger.advance("events", "17", before)
    await stage.ledger.save("pods", A, before[A], put={X: b"1"}, remove=())
    after = await reigns(stage, "after", A)
    assert await stage.ledger.advance("events", "99", before) == {A}  # B is still its own
    assert not await stage.ledger.save("pods", A, before[A], put={Y: b"2"}, remove=(X,))
    assert await stage.ledger.positions("events", [A, B]) == {A: "17", B: "99"}
    assert await stage.ledger.objects("pods", A) == {X: b"1"}
    assert await stage.ledger.advance("events", "20", after) == set()


async def test_without_an_epoch_nobody_is_asked(stage: Stage) -> None:
    await reigns(stage, "before", A)
    assert await stage.ledger.advance("events", "5", {A: None}) == set()
    assert await stage.ledger.save("pods", A, None, put={X: b"1"}, remove=())
    assert await stage.ledger.positions("events", [A, B]) == {A: "5"}


async def test_floors_are_kept_apart_from_positions(stage: Stage) -> None:
    await stage.ledger.set_floors("pods", "3", [A, B])
    await stage.ledger.set_floors("pods", "8", [B])
    await stage.ledger.set_floors("pods", "9", [])
    assert await stage.ledger.floors("pods", [A, B]) == {A: "3", B: "8"}
    assert await stage.ledger.floors("pods", [B]) == {B: "8"}
    assert await stage.ledger.floors("pods", []) == {}
    assert await stage.ledger.met("pods") == {A, B}
    assert await stage.ledger.positions("pods", [A, B]) == {}


async def test_a_unit_that_is_gone_is_forgotten_once_nobody_reads_it_and_nothing_in_it_is_known(stage: Stage) -> None:
    tenures = Tenures(stage.client, stage.keys, "group", lease_s=60)
    held = await reigns(stage, "reader", A, B)
    await stage.ledger.set_floors("pods", "3", [A, B])
    await stage.ledger.advance("pods", "5", held)
    await stage.ledger.save("pods", A, held[A], put={X: b"1"}, remove=())
    assert await stage.ledger.vacate("pods", A) is Vacancy.HELD
    await tenures.hand_over(WatcherId("reader"), [A])
    assert await stage.ledger.vacate("pods", A) is Vacancy.KNOWN
    assert await stage.ledger.floors("pods", [A, B]) == {A: "3", B: "3"}
    await stage.ledger.save("pods", A, held[A], put={}, remove=(X,))
    assert await stage.ledger.vacate("pods", A) is Vacancy.VACATED
    assert await stage.ledger.floors("pods", [A, B]) == {B: "3"}
    assert await stage.ledger.positions("pods", [A, B]) == {B: "5"}
    assert not await stage.ledger.save("pods", A, held[A], put={X: b"1"}, remove=()), "of a reader of before"
    later = await tenures.hold(WatcherId("later"), [A])
    assert later.held[A] > held[A]


async def test_a_lease_that_ran_out_holds_nothing(stage: Stage) -> None:
    tenures = Tenures(stage.client, stage.keys, "group", lease_s=0.001)
    await tenures.hold(WatcherId("crashed"), [A])
    await stage.ledger.set_floors("pods", "3", [A])

    async def vacated() -> bool:
        return await stage.ledger.vacate("pods", A) is Vacancy.VACATED

    async with asyncio.timeout(10):
        while not await vacated():  # noqa: ASYNC110 - the clock is Redis' own
            await asyncio.sleep(0.001)
    assert not await stage.client.hexists(stage.keys.holders, A)
