"""The shared connection: order, errors, and what becomes of commands when the connection or the server goes."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator

import pytest
import redis.asyncio
from redis import exceptions

from common.store.connect import connect
from common.store.wire import Wire
from tests.servers import RedisServer


@pytest.fixture
async def client(own_redis: RedisServer) -> AsyncIterator["redis.asyncio.Redis"]:
    client = connect(own_redis.url)
    yield client
    await client.aclose()


async def test_answers_come_in_the_order_of_the_commands(client: "redis.asyncio.Redis") -> None:
    wire = Wire(client)
    rounds = [wire.run([("RPUSH", "list", i), ("LRANGE", "list", 0, -1)]) for i in range(3)]
    answers = await asyncio.gather(*rounds)
    assert [pushed for pushed, _ in answers] == [1, 2, 3]
    assert answers[2][1] == [b"0", b"1", b"2"]


async def test_an_error_answer_stands_in_its_place(client: "redis.asyncio.Redis") -> None:
    first, second, third = await Wire(client).run([("SET", "a", "1"), ("INCRBY", "a", "x"), ("GET", "a")])
    assert (first, third) == (b"OK", b"1")
    assert isinstance(second, exceptions.ResponseError)
    (missing,) = await Wire(client).run([("EVALSHA", "0" * 40, 0)])
    assert isinstance(missing, exceptions.NoScriptError)


async def test_payloads_larger_than_any_buffer_come_whole(client: "redis.asyncio.Redis") -> None:
    large = os.urandom(3_000_000)
    _, back = await Wire(client).run([("SET", "large", large), ("GET", "large")])
    assert back == large


async def test_a_connection_that_is_cut_fails_its_commands_and_is_opened_again(client: "redis.asyncio.Redis") -> None:
    wire = Wire(client)
    await wire.run([("CLIENT", "SETNAME", "wire")])
    blocked = asyncio.create_task(wire.run([("BLPOP", "nothing", 60)]))
    (connection,) = await _named(client, "wire")
    await client.client_kill_filter(_id=connection)
    with pytest.raises(exceptions.ConnectionError):
        await blocked
    assert await wire.run([("PING",)]) == [b"PONG"]


async def test_a_silent_server_is_given_up_after_the_time_out(
    own_redis: RedisServer, client: "redis.asyncio.Redis"
) -> None:
    wire = Wire(client, timeout_s=0.3)
    assert await wire.run([("PING",)]) == [b"PONG"]
    os.kill(own_redis.pid, signal.SIGSTOP)
    try:
        with pytest.raises(exceptions.TimeoutError, match="no answer within"):
            await wire.run([("INCR", "n")])
    finally:
        os.kill(own_redis.pid, signal.SIGCONT)
    assert (await wire.run([("PING",)])) == [b"PONG"]


async def test_commands_that_follow_each_other_do_not_time_out_together(client: "redis.asyncio.Redis") -> None:
    """The time-out is each command's own: a busy connection is not a silent one."""
    wire = Wire(client, timeout_s=0.4)
    for _ in range(4):
        assert await wire.run([("BLPOP", "nothing", 0.2)]) == [None]


async def test_a_caller_that_goes_away_leaves_the_others_answers_alone(client: "redis.asyncio.Redis") -> None:
    wire = Wire(client)
    await wire.run([("PING",)])
    gone = asyncio.create_task(wire.run([("BLPOP", "nothing", 0.2)]))
    await asyncio.sleep(0)  # it has been sent
    stays = asyncio.create_task(wire.run([("ECHO", "mine")]))
    await asyncio.sleep(0)
    gone.cancel()
    assert await stays == [b"mine"]
    with pytest.raises(asyncio.CancelledError):
        await gone


async def test_no_server_is_a_connection_error_each_time(tmp_path_factory: pytest.TempPathFactory) -> None:
    client = connect(f"unix://{tmp_path_factory.mktemp('none')}/redis.sock")
    wire = Wire(client)
    for _ in range(2):
        with pytest.raises(exceptions.ConnectionError):
            await wire.run([("PING",)])
    await client.aclose()


async def test_closing_the_client_closes_the_connection(own_redis: RedisServer, client: "redis.asyncio.Redis") -> None:
    other = connect(own_redis.url)
    await Wire(other).run([("CLIENT", "SETNAME", "gone")])
    assert len(await _named(client, "gone")) == 1
    await other.aclose()
    async with asyncio.timeout(10):
        while await _named(client, "gone"):  # noqa: ASYNC110  Redis can't set an event
            await asyncio.sleep(0.01)


async def _named(client: "redis.asyncio.Redis", name: str) -> list[str]:
    return [each["id"] for each in await client.client_list() if each["name"] == name]


@pytest.mark.parametrize("write", [("SET", "a", "1"), ("EVAL", "return redis.call('SET', 'a', '1')", 0)])
async def test_a_server_that_became_a_replica_is_left(client: "redis.asyncio.Redis", write: tuple[str, ...]) -> None:
    wire = Wire(client)
    (before,) = await wire.run([("CLIENT", "ID")])
    await client.replicaof("127.0.0.1", "1")
    refused, answered = await wire.run([write, ("GET", "a")])
    assert isinstance(refused, exceptions.ReadOnlyError)
    assert answered is None, "what went out with it is still answered"
    (after,) = await wire.run([("CLIENT", "ID")])
    assert after != before
