"""What happens to work in hand when its lease, or Redis, goes away."""

import asyncio
import contextlib
from pathlib import Path

import pytest
import redis.exceptions

from common.ids import DrainerId
from common.store.connect import connect
from common.store.dispatcher import Dispatcher
from console.doubles.coder import CoderDouble
from console.doubles.faults import Hang, Injection
from shipper.leases import LeaseLost, Leases
from tests.integration.shipper.rig import Rig, rigged, shipping, until
from tests.redis_builds import NEWEST
from tests.servers import free_port, running_redis
from tests.unit.watcher.rig import ManualClock


async def steal(rig: Rig, token: str, redis_url: str) -> None:
    """Claim the agent for somebody else, as when its lease has run out."""
    client = connect(redis_url)
    try:
        await rig.make_due(token)
        claimed = await Dispatcher(client, rig.keys).claim(DrainerId("thief"), 1)
        assert [lease.agent for lease in claimed.leases] == [rig.vault.agent_id(token)]
    finally:
        await client.aclose()


async def test_a_request_longer_than_a_lease_keeps_its_agent(rig: Rig, redis_url: str) -> None:
    token = await rig.agent()
    await rig.say(token, "one")
    rig.coder.latency_s = 4.0
    async with shipping(rig, redis_url, lease_s=2.5) as hands, shipping(rig, redis_url, lease_s=2.5) as other:
        await asyncio.gather(hands.drainer.shift(), other.drainer.shift())
    assert rig.heard(token) == ["one"]
    assert rig.metric("unsettled_claims_total") == 0


async def test_a_lost_lease_ends_the_request_and_settles_nothing(rig: Rig, redis_url: str) -> None:
    token = await rig.agent()
    await rig.say(token, "one")
    rig.coder.faults.add(Injection(Hang()))
    async with shipping(rig, redis_url, timeout_s=60.0, lease_s=1.0) as hands, asyncio.TaskGroup() as tasks:
        tasks.create_task(hands.drainer.shift())
        await until(lambda: rig.coder.totals().most_in_flight == 1)
        await steal(rig, token, redis_url)
        await until(lambda: rig.metric("fenced_total") == 1)
        hands.drainer.stop()
    assert await rig.waiting(token) == 1


async def test_no_request_begins_late_in_a_lease_without_asking_for_it(rig: Rig, redis_url: str) -> None:
    token, clock = await rig.agent(), ManualClock()
    await rig.say(token, "one")
    client = connect(redis_url)
    try:
        dispatcher = Dispatcher(client, rig.keys, lease_s=60.0)
        claimed = await dispatcher.claim(DrainerId("me"), 1)
        hold = Leases(dispatcher, clock, 60.0).add(claimed.leases[0], clock.monotonic_s())
        assert hold is not None
        await steal(rig, token, redis_url)
        clock.now_s += 29.0
        await hold.ensure()  # it could not have run out yet
        clock.now_s += 2.0
        with pytest.raises(LeaseLost):
            await hold.ensure()
    finally:
        await client.aclose()


async def test_a_claim_over_an_unsettled_lease_is_counted(rig: Rig, redis_url: str) -> None:
    token = await rig.agent()
    await rig.say(token, "one")
    await steal(rig, token, redis_url)
    await rig.make_due(token)
    async with shipping(rig, redis_url) as hands:
        await hands.drainer.shift()
    assert rig.heard(token) == ["one"]
    assert rig.metric("unsettled_claims_total") == 1


async def test_a_stop_finishes_what_is_in_flight_and_claims_no_more(rig: Rig, redis_url: str) -> None:
    first, second = await rig.agent(), await rig.agent()
    await rig.say(first, "one")
    rig.coder.latency_s = 0.5
    async with shipping(rig, redis_url) as hands, asyncio.TaskGroup() as tasks:
        tasks.create_task(hands.drainer.shift())
        await until(lambda: rig.coder.totals().most_in_flight == 1)
        hands.drainer.stop()
        await rig.say(second, "two")
    assert rig.heard(first) == ["one"]
    assert rig.heard(second) == []
    assert await rig.waiting(second) == 1
    assert await rig.client.scard(rig.keys.claimed) == 0


async def test_redis_away_for_a_while_repeats_and_loses_nothing(tmp_path: Path, prefix: str) -> None:
    port, keep = free_port(), {"appendonly": "yes", "appendfsync": "always"}
    first_life = contextlib.ExitStack()
    server = first_life.enter_context(running_redis(NEWEST.binary(), tmp_path, keep, port))
    async with (
        CoderDouble() as double,
        rigged(server.url, prefix, double) as rig,
        shipping(rig, server.url) as hands,
        asyncio.TaskGroup() as tasks,
    ):
        double.latency_s = 0.5
        token = await rig.agent()
        await rig.say(token, "one")
        tasks.create_task(hands.drainer.shift())
        await until(lambda: double.totals().requests.get("log_source 201") == 1)
        await until(lambda: double.totals().most_in_flight == 1)
        await asyncio.wait_for(read_of_the_stream(rig), 60)
        first_life.close()  # while the PATCH is under way
        await until(lambda: rig.heard(token) == ["one"])
        with running_redis(NEWEST.binary(), tmp_path, keep, port):
            await until_settled(rig, token)
            await rig.say(token, "two")
            await until(lambda: len(rig.heard(token)) == 2)
            hands.drainer.stop()
    assert rig.heard(token) == ["one", "two"]


async def read_of_the_stream(rig: Rig) -> None:
    """Return once the records have been read from Redis, just before they are sent."""
    while True:
        stats = await rig.client.info("commandstats")
        if "cmdstat_xrange" in stats:
            return
        await asyncio.sleep(0.005)


async def until_settled(rig: Rig, token: str) -> None:
    async with asyncio.timeout(60):
        while True:
            with contextlib.suppress(redis.exceptions.ConnectionError):
                if not await rig.waiting(token):
                    return
            await asyncio.sleep(0.01)


async def test_a_turn_that_fails_leaves_the_others_alone(rig: Rig, redis_url: str) -> None:
    broken, fine = await rig.agent(), await rig.agent()
    await rig.say(broken, "one")
    await rig.say(fine, "two")
    async with shipping(rig, redis_url) as hands:
        turn = hands.drainer._server.turn  # noqa: SLF001

        def failing(held):  # type: ignore[no-untyped-def]
            if held.lease.agent == rig.vault.agent_id(broken):
                raise RuntimeError("a fault of ours")
            return turn(held)

        hands.drainer._server.turn = failing  # type: ignore[method-assign]  # noqa: SLF001
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(hands.drainer.shift())
            await until(lambda: rig.heard(fine) == ["two"])
            hands.drainer.stop()
    assert await rig.waiting(broken) == 1
