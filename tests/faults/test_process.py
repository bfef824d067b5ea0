"""The machinery of the simulation does what its faults claim: pauses pause, kills kill, cuts cut."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import hiredis
import pytest
import redis

from tests.faults.compressed import FACTOR, CompressedLoop
from tests.faults.cutter import Cutter
from tests.faults.process import Process, install
from tests.faults.server import OwnRedis
from tests.servers import RedisServer

Play = Callable[[Callable[[], Awaitable[None]]], None]


@pytest.fixture
def play() -> Play:
    """Runs an async function on a compressed loop with processes."""

    def run(work: Callable[[], Awaitable[None]]) -> None:
        async def all_of_it() -> None:
            install(asyncio.get_running_loop())
            await work()

        with asyncio.Runner(loop_factory=CompressedLoop) as runner:
            runner.run(all_of_it())

    return run


def test_sleeps_and_time_outs_are_compressed(play: Play) -> None:
    async def work() -> None:
        began_s = time.monotonic()
        await asyncio.sleep(1.0)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1.0):
                await asyncio.Event().wait()
        assert 2.0 / FACTOR <= time.monotonic() - began_s < 1.9

    play(work)


def test_a_paused_process_takes_no_step_and_then_finds_its_deadline_passed(play: Play) -> None:
    async def work() -> None:
        steps: list[str] = []

        async def tick() -> None:
            while True:
                steps.append("tick")
                await asyncio.sleep(0.05)

        async def deadline() -> None:
            try:
                async with asyncio.timeout(0.5):
                    await asyncio.Event().wait()
            except TimeoutError:
                steps.append("late")

        async def children() -> None:
            async with asyncio.TaskGroup() as group:  # children belong to it, too
                group.create_task(tick())
                group.create_task(deadline())

        process = Process("p")
        process.spawn(children())
        await asyncio.sleep(0.2)
        assert steps.count("tick") > 1
        process.pause()
        await asyncio.sleep(0)
        count = len(steps)
        await asyncio.sleep(1.0)
        assert len(steps) == count
        process.resume()
        await asyncio.sleep(0.2)
        assert "late" in steps
        assert steps.count("tick") > count
        await process.kill()
        assert all(task.done() for task in process.tasks)

    play(work)


def test_a_killed_process_ends_even_if_it_is_paused(play: Play) -> None:
    async def work() -> None:
        process = Process("p")
        task = process.spawn(asyncio.sleep(1_000))
        await asyncio.sleep(0)
        process.pause()
        await process.kill()
        assert task.cancelled()

    play(work)


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(100):
            writer.write(data)
    finally:
        writer.close()


def with_echo(work: Callable[[Cutter, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]) -> None:
    async def all_of_it() -> None:
        server = await asyncio.start_server(echo, "127.0.0.1", 0)
        cutter = Cutter(server.sockets[0].getsockname()[1], "p")
        await cutter.start()
        reader, writer = await asyncio.open_connection("127.0.0.1", cutter.port)
        writer.write(b"one")
        assert await reader.readexactly(3) == b"one"
        await work(cutter, reader, writer)
        writer.close()
        cutter.stop()
        server.close()

    with asyncio.Runner(loop_factory=CompressedLoop) as runner:
        runner.run(all_of_it())


def test_a_silent_proxy_holds_everything_and_hands_it_on_later() -> None:
    async def work(cutter: Cutter, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        cutter.hush()
        writer.write(b"two")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.readexactly(1), 0.5)
        cutter.speak()
        assert await reader.readexactly(3) == b"two"

    with_echo(work)


def test_a_lost_reply_cuts_the_connection_after_the_server_has_answered() -> None:
    async def work(cutter: Cutter, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        cutter.lose_replies = 1
        writer.write(b"two")
        with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
            await reader.readexactly(3)
        assert cutter.lose_replies == 0

    with_echo(work)


def packed(*words: str) -> bytes:
    return bytes(hiredis.pack_command(words))  # type: ignore[arg-type]  # its stub says one


def test_a_cut_between_two_commands_lets_the_first_of_a_pipeline_be_obeyed_and_no_other(
    own_redis: RedisServer,
) -> None:
    async def work() -> None:
        cutter = Cutter(own_redis.port, "p")
        await cutter.start()
        links = [await asyncio.open_connection("127.0.0.1", cutter.port) for _ in range(2)]
        (reader, writer), (idle, _) = links
        cutter.cut_after(3)
        writer.write(packed("RPUSH", "list", "1") + packed("RPUSH", "list", "2"))
        assert (await reader.readexactly(8)) == b":1\r\n:2\r\n"
        writer.write(packed("RPUSH", "list", "3") + packed("RPUSH", "list", "4"))
        for each in (reader, idle):
            with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
                await each.readexactly(1)
        await cutter.was_cut.wait()
        again, writer = await asyncio.open_connection("127.0.0.1", cutter.port)
        writer.write(packed("LLEN", "list"))
        assert await again.readexactly(4) == b":3\r\n"
        cutter.stop()

    asyncio.run(work())


def test_a_fail_over_keeps_everything_that_was_written_before_the_cut(tmp_path: Path) -> None:
    async def work() -> None:
        server = OwnRedis(tmp_path)
        await server.start()
        before = server.port
        with redis.Redis(port=server.port) as client:
            client.set("early", "1")
        try:
            for number in range(2):  # the one that was promoted can be replaced, too
                with redis.Redis(port=server.port) as client:
                    await server.fail_over(partial(client.set, f"late{number}", "1"))
            assert server.port != before
            await server.kill()
            await server.start()  # with its append-only file
            with redis.Redis(port=server.port) as client:
                assert set(client.keys()) == {b"early", b"late0", b"late1"}
            with pytest.raises(redis.ConnectionError), redis.Redis(port=before) as client:
                client.ping()
        finally:
            await server.kill()

    asyncio.run(work())


def test_a_delayed_proxy_keeps_the_order() -> None:
    async def work(cutter: Cutter, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        cutter.delay_s = 0.5
        writer.write(b"slow")
        await asyncio.sleep(0.1)
        cutter.delay_s = 0.0
        writer.write(b"fast")
        assert await reader.readexactly(8) == b"slowfast"

    with_echo(work)
