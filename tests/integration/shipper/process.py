"""`python -m shipper` as a process of its own, and all that it needs around it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import msgspec
import redis

from common.bell import Bell
from common.crypto import TokenVault, new_token_key
from common.store.connect import connect
from common.store.keys import Keys
from console.doubles.coder import CoderDouble
from tests.integration.shipper.rig import Rig, until_async
from tests.servers import free_port

REPOSITORY = Path(__file__).parents[3]
START_S = 60.0
"""Two busy cores may take long over a Python process's imports."""


class Probe(msgspec.Struct, frozen=True):
    status: int
    text: str


class Shipper:
    """The process, its log and its probes."""

    def __init__(self, process: asyncio.subprocess.Process, log: Path, port: int) -> None:
        self.process = process
        self._log = log
        self._port = port

    def log(self) -> str:
        return self._log.read_text()

    def events(self) -> list[dict[str, object]]:
        """The log, a line each."""
        lines = self.log().splitlines()
        return [msgspec.json.decode(line, type=dict[str, object]) for line in lines if line.startswith("{")]

    async def ended(self) -> int:
        """The exit code, once the process has ended by itself."""
        return await asyncio.wait_for(self.process.wait(), START_S)

    async def stop(self) -> float:
        """SIGTERM; the exit code must be 0. Answers the seconds that it took."""
        began_s = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(self.process.wait(), 30) == 0
        return time.monotonic() - began_s

    async def page(self, path: str) -> Probe:
        """What its telemetry address answers; status 0 while it does not listen."""
        return await asyncio.to_thread(self._page, path)

    def _page(self, path: str) -> Probe:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._port}{path}", timeout=10) as answer:
                return Probe(answer.status, answer.read().decode())
        except urllib.error.HTTPError as error:
            return Probe(error.code, error.read().decode())
        except OSError:
            return Probe(0, "")

    async def ready(self) -> None:
        """Return once /readyz says so."""

        async def look() -> bool:
            return (await self.page("/readyz")).status == 200

        await until_async(look, START_S)

    async def unready(self, *words: str) -> str:
        """Return once /readyz is 503 with all of `words` in its reason; answers the reason."""
        seen = Probe(0, "")

        async def look() -> bool:
            nonlocal seen
            seen = await self.page("/readyz")
            return seen.status == 503 and all(word in seen.text for word in words)

        try:
            await until_async(look, START_S)
        except TimeoutError:
            raise AssertionError(f"{words} not in {seen}") from None
        return seen.text

    async def metric(self, series: str) -> float:
        """The value of `series` as it is written on the page, without our prefix; 0 if it is not there."""
        page = (await self.page("/metrics")).text
        found = [line for line in page.splitlines() if line.startswith(f"coder_logstream_{series} ")]
        return float(found[0].rpartition(" ")[2]) if found else 0.0


@contextlib.asynccontextmanager
async def shipper(
    tmp_path: Path,
    coder_url: str,
    redis_url: str,
    prefix: str,
    key: str,
    extra: Mapping[str, str] | None = None,
    module: str = "shipper",
    stdout: int | None = None,
) -> AsyncIterator[Shipper]:
    """Run a shipper until the block ends; `extra` are further variables, `module` is what is run, `stdout` is a file
    descriptor if what it says there is not to go into its log."""
    port = free_port()
    log = tmp_path / f"shipper-{port}.log"
    # Proxies and authorities of the machine that runs the tests are not the shipper's.
    foreign = ("_proxy", "_cert_file", "_cert_dir")
    inherited = {name: value for name, value in os.environ.items() if not name.lower().endswith(foreign)}
    environ = {
        **inherited,
        "CODER_URL": coder_url,
        "CODER_LOGSTREAM_REDIS_URL": redis_url,
        "CODER_LOGSTREAM_REDIS_PREFIX": prefix,
        "CODER_LOGSTREAM_TOKEN_KEY": key,
        "CODER_LOGSTREAM_METRICS_ADDR": f"127.0.0.1:{port}",
        "CODER_LOGSTREAM_LOG_LEVEL": "debug",
        "CODER_LOGSTREAM_LOG_FORMAT": "json",
        **(extra or {}),
    }
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            module,
            cwd=REPOSITORY,
            env=environ,
            stdout=output if stdout is None else stdout,
            stderr=output,
        )
    try:
        yield Shipper(process, log, port)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


class Feed:
    """A watcher's hand in Redis: rig and bell under one prefix and token key."""

    def __init__(self, rig: Rig, bell: Bell, key: str) -> None:
        self.rig = rig
        self.bell = bell
        self.key = key

    async def say(self, token: str, *messages: str, last_at_ms: int = 0) -> None:
        await self.rig.say(token, *messages, last_at_ms=last_at_ms)
        await self.bell.ring()


@contextlib.asynccontextmanager
async def feeding(redis_url: str, prefix: str, double: CoderDouble) -> AsyncIterator[Feed]:
    key = new_token_key()
    client = connect(redis_url)
    try:
        vault = await TokenVault.open(client, Keys(prefix), [key])
        yield Feed(Rig(client, Keys(prefix), vault, double), Bell(redis_url, prefix), key)
    finally:
        await client.aclose()


class Stage(Feed):
    """A feed, and the shipper that it feeds."""

    def __init__(self, feed: Feed, shipper: Shipper) -> None:
        super().__init__(feed.rig, feed.bell, feed.key)
        self.shipper = shipper


@contextlib.asynccontextmanager
async def staged(
    tmp_path: Path, redis_url: str, prefix: str, extra: Mapping[str, str] | None = None
) -> AsyncIterator[Stage]:
    async with (
        CoderDouble() as double,
        feeding(redis_url, prefix, double) as feed,
        shipper(tmp_path, double.url, redis_url, prefix, feed.key, extra) as process,
    ):
        yield Stage(feed, process)


def worker_name(redis_url: str, prefix: str) -> str:
    """The worker on queue `prefix`."""
    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        (key,) = client.smembers(f"rq:workers:{prefix}")
        return str(key).removeprefix("rq:worker:")


def worker_state(redis_url: str, prefix: str) -> bytes | None:
    """The state of the worker on queue `prefix`, None if there is none alive."""
    with redis.Redis.from_url(redis_url) as client:
        for key in client.smembers(f"rq:workers:{prefix}"):
            state: bytes | None = client.hget(key, "state")
            return state
    return None
