"""`python -m shipper` as a process: starts, stops, Redis away, and an RQ queue that others can write to."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import sys
import zlib
from pathlib import Path

import redis
from rq import Queue
from rq.registry import FailedJobRegistry
from rq.serializers import DefaultSerializer, JSONSerializer

from common.bell import DRAIN_JOB, Bell
from common.crypto import TokenVault, new_token_key
from common.ids import DrainerId
from common.store.connect import connect
from common.store.dispatcher import Dispatcher
from common.store.keys import Keys
from console.doubles.coder import CoderDouble
from console.doubles.faults import Hang, Injection
from tests.integration.shipper.process import Shipper, shipper, staged, worker_name, worker_state
from tests.integration.shipper.rig import Rig, rigged, until
from tests.redis_builds import NEWEST
from tests.servers import free_port, running_redis

MIB = 1024 * 1024
STOPPED_S = 10.0 + 2.0
"""What is promised, and what a busy machine may take to tell of it."""


async def test_a_bell_is_answered_and_an_idle_shipper_stops_at_once(
    tmp_path: Path, redis_url: str, prefix: str
) -> None:
    async with staged(tmp_path, redis_url, prefix) as stage:
        token = await stage.rig.agent()
        await stage.say(token, "one")
        await until(lambda: stage.rig.heard(token) == ["one"])
        await until(lambda: worker_state(redis_url, prefix) == b"idle")
        assert await stage.shipper.stop() < 8.0  # well before the last resort
    assert token not in stage.shipper.log()
    assert stage.key not in stage.shipper.log()


async def test_a_stop_with_requests_in_flight_delivers_them_once(tmp_path: Path, redis_url: str, prefix: str) -> None:
    async with staged(tmp_path, redis_url, prefix) as stage:
        tokens = [await stage.rig.agent() for _ in range(5)]
        stage.rig.coder.latency_s = 1.0
        for token in tokens:
            await stage.say(token, "one")
        await until(lambda: stage.rig.coder.totals().requests.get("log_source 201") == 5)
        worker = worker_name(redis_url, prefix)
        assert await stage.shipper.stop() < STOPPED_S
        assert "were cut off by the stop" not in stage.shipper.log()
        assert [stage.rig.heard(token) for token in tokens] == [["one"]] * 5
        assert await stage.rig.client.scard(stage.rig.keys.claimed) == 0
        assert await stage.rig.client.hget(f"rq:worker:{worker}", "death")


async def test_a_request_that_hangs_does_not_hold_up_the_stop(tmp_path: Path, redis_url: str, prefix: str) -> None:
    async with staged(tmp_path, redis_url, prefix) as stage:
        token = await stage.rig.agent()
        stage.rig.coder.faults.add(Injection(Hang(), where={"endpoint": "logs"}))
        await stage.say(token, "one")
        await until(lambda: stage.rig.coder.totals().requests.get("log_source 201") == 1)
        assert await stage.shipper.stop() < STOPPED_S
        assert await stage.rig.waiting(token) == 1
        # Handed back: another shipper need not wait for the lease's end, and knows that it may repeat.
        (lease,) = (await Dispatcher(stage.rig.client, stage.rig.keys).claim(DrainerId("next"), 5)).leases
        assert lease.unsettled


async def test_rq_info_sees_an_ordinary_queue_and_worker(tmp_path: Path, redis_url: str, prefix: str) -> None:
    async with staged(tmp_path, redis_url, prefix) as stage:
        await until(lambda: worker_state(redis_url, prefix) == b"idle")
        info = await asyncio.create_subprocess_exec(
            str(Path(sys.executable).with_name("rq")),
            *("info", "--raw", "--url", redis_url, prefix),
            stdout=asyncio.subprocess.PIPE,
        )
        shown, _ = await info.communicate()
        queue, worker = shown.decode().splitlines()
        assert queue.startswith(f"queue {prefix} 0,")
        assert worker.startswith(f"worker {worker_name(redis_url, prefix)} ")
        assert f" idle {prefix}. " in worker
        assert stage.shipper.process.returncode is None


async def test_no_job_but_the_bell_is_run(tmp_path: Path, redis_url: str, prefix: str) -> None:
    async with staged(tmp_path, redis_url, prefix) as stage:
        connection = redis.Redis.from_url(redis_url)
        queue = Queue(prefix, connection=connection, serializer=JSONSerializer)
        witness = tmp_path / "witness"
        queue.enqueue("os.mkdir", str(witness))
        queue.enqueue(DRAIN_JOB, on_success=None, args=(str(witness),))
        pickled = Queue(prefix, connection=connection, serializer=DefaultSerializer)
        pickled.enqueue(MakesWitness(witness).__call__)
        failed = FailedJobRegistry(prefix, connection=connection, serializer=JSONSerializer)
        await until(lambda: len(failed.get_job_ids(cleanup=False)) == 3)
        token = await stage.rig.agent()
        await stage.say(token, "still at work")
        await until(lambda: stage.rig.heard(token) == ["still at work"])
        assert not witness.exists()
        connection.close()


async def test_job_data_that_swell_are_not_read(tmp_path: Path, redis_url: str, prefix: str) -> None:
    """Job data may be compressed: 1 MB becomes a gigabyte. Anything larger than a bell's is no bell."""
    async with staged(tmp_path, redis_url, prefix) as stage:
        connection = redis.Redis.from_url(redis_url)
        queue = Queue(prefix, connection=connection, serializer=JSONSerializer)
        await stage.shipper.ready()
        before_kb = _peak_kb(stage.shipper)
        for data in (zlib.compress(bytes(256 * MIB)), b"[" * MIB, random.Random(1).randbytes(MIB)):
            job = queue.create_job(DRAIN_JOB)
            job.save()
            connection.hset(job.key, "data", data)
            connection.rpush(queue.key, job.id)
        failed = FailedJobRegistry(prefix, connection=connection, serializer=JSONSerializer)
        await until(lambda: len(failed.get_job_ids(cleanup=False)) == 3)
        token = await stage.rig.agent()
        await stage.say(token, "still at work")
        await until(lambda: stage.rig.heard(token) == ["still at work"])
        assert _peak_kb(stage.shipper) - before_kb < 64 * 1024
        connection.close()


def _peak_kb(shipper: Shipper) -> int:
    """The most memory that the process ever had."""
    status = Path(f"/proc/{shipper.process.pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1])


async def test_a_shipper_that_starts_before_redis_waits_for_it(tmp_path: Path, prefix: str) -> None:
    port, key = free_port(), new_token_key()
    url = f"redis://127.0.0.1:{port}/0"
    async with CoderDouble() as double, shipper(tmp_path, double.url, url, prefix, key) as process:
        await until(lambda: "waiting for Redis" in process.log())
        with running_redis(NEWEST.binary(), tmp_path / "redis", port=port):
            await until(lambda: worker_state(url, prefix) == b"idle")
            assert await process.stop() < STOPPED_S


async def test_a_shipper_outlives_redis_absence(tmp_path: Path, prefix: str) -> None:
    port, key = free_port(), new_token_key()
    url, keep = f"redis://127.0.0.1:{port}/0", {"appendonly": "yes", "appendfsync": "always"}
    async with CoderDouble() as double, contextlib.AsyncExitStack() as stack:
        with running_redis(NEWEST.binary(), tmp_path / "redis", keep, port):
            process = await stack.enter_async_context(shipper(tmp_path, double.url, url, prefix, key))
            await until(lambda: worker_state(url, prefix) == b"idle")
        await until(lambda: "Redis does not answer the sweep" in process.log())
        with running_redis(NEWEST.binary(), tmp_path / "redis", keep, port):
            client = connect(url)
            rig = Rig(client, Keys(prefix), await TokenVault.open(client, Keys(prefix), [key]), double)
            token = await rig.agent()
            await rig.say(token, "one")
            await Bell(url, prefix).ring()
            await until(lambda: rig.heard(token) == ["one"])
            assert process.process.returncode is None
            await client.aclose()


async def test_a_shipper_stops_while_redis_is_away(tmp_path: Path, prefix: str) -> None:
    port, key = free_port(), new_token_key()
    url = f"redis://127.0.0.1:{port}/0"
    async with CoderDouble() as double, contextlib.AsyncExitStack() as stack:
        with running_redis(NEWEST.binary(), tmp_path / "redis", port=port):
            process = await stack.enter_async_context(shipper(tmp_path, double.url, url, prefix, key))
            await until(lambda: worker_state(url, prefix) == b"idle")
        await until(lambda: "Redis does not answer the sweep" in process.log())
        assert await process.stop() < STOPPED_S


async def test_a_proxy_that_cannot_be_one_stops_the_start_with_a_remedy(
    tmp_path: Path, redis_url: str, prefix: str
) -> None:
    extra = {"HTTP_PROXY": "garbage"}
    async with shipper(tmp_path, "http://coder.invalid", redis_url, prefix, new_token_key(), extra) as process:
        assert await process.ended() == 1
    (line,) = process.events()
    assert line["event"] == "cannot start"
    assert 'HTTP_PROXY: "garbage" cannot be a proxy' in str(line["error"])
    assert "example: HTTP_PROXY=http://" in str(line["error"])


async def test_a_wrong_token_key_stops_the_start_with_a_remedy(tmp_path: Path, redis_url: str, prefix: str) -> None:
    async with (
        CoderDouble() as double,
        rigged(redis_url, prefix, double),
        shipper(tmp_path, double.url, redis_url, prefix, new_token_key()) as process,
    ):
        assert await process.ended() == 1
    assert "give the key that they were written with" in process.log()


class MakesWitness:
    """Unpickling it would already make the file."""

    def __init__(self, witness: Path) -> None:
        self.witness = witness

    def __call__(self) -> None:
        self.witness.mkdir()

    def __reduce__(self) -> tuple[object, ...]:
        return (os.mkdir, (str(self.witness),))
