"""A Redis whose memory is full: the watcher waits and says so, shippers deliver and make room, nothing is lost."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import redis
from redis import exceptions

from tests.integration.release.rig import Release, released
from tests.integration.watcher.page import Page
from tests.integration.watcher.rig import until
from tests.redis_builds import BUILDS, RedisBuild
from tests.servers import RedisServer, running_redis

CREATED = "🐳 Created pod: web"
LONG = "x" * 900
EVENTS = 60
AMPLE = {"CODER_LOGSTREAM_BUDGET_BYTES": "700000"}
"""Of a log's budget, so that nothing is left out for want of it."""


@pytest.fixture(params=BUILDS, ids=lambda build: build.name)
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RedisServer]:
    build: RedisBuild = request.param
    with running_redis(build.binary(), tmp_path / "redis", {"maxmemory-policy": "noeviction"}) as server:
        yield server


@pytest.fixture
async def release(server: RedisServer, prefix: str, tmp_path: Path) -> AsyncIterator[Release]:
    async with released(server.url, prefix, tmp_path) as release:
        yield release


def fill(server: RedisServer, room_bytes: int) -> None:
    """Leave so much room; 0: less than none."""
    with redis.Redis(port=server.port) as client:
        used = int(client.info("memory")["used_memory"])
        client.config_set("maxmemory", used + room_bytes if room_bytes else used // 2)


def is_full(server: RedisServer) -> bool:
    with redis.Redis(port=server.port) as client:
        try:
            client.set("probe", "x")
        except exceptions.OutOfMemoryError:
            return True
        return False


async def test_a_full_redis_slows_the_watcher_and_loses_nothing(server: RedisServer, release: Release) -> None:
    page = Page()
    async with release.watcher("--metrics-addr", page.addr) as watcher:
        token = release.workspace("web")
        await release.rig.until_said(token, "Pod Created")
        await page.until_ready()  # its first lists are over, whose positions had to be saved
        fill(server, 0)
        lines = [f"event {i} {LONG}" for i in range(EVENTS)]
        for line in lines:
            release.happen("web", line)
        await watcher.said("Redis does not take records, because its memory is full")
        assert "its memory is full" in await page.get("/readyz")
        assert (await page.series())['redis_troubles{reason="full"}'] > 0

        async def kept() -> bool:
            waiting = re.search(r"^coder_logstream_outbox_bytes (\S+)$", await page.get("/metrics"), re.MULTILINE)
            return waiting is not None and float(waiting[1]) > EVENTS * len(LONG)

        await until(kept)
        assert watcher.log().count("because its memory is full") == 1, "said once"
        with redis.Redis(port=server.port) as client:
            client.config_set("maxmemory", 0)
        async with release.shipper():
            await release.until_heard(token, CREATED, *lines)
        await watcher.said("Redis takes records again")


async def test_what_waits_in_a_full_redis_is_delivered_by_a_shipper_that_starts_then(
    server: RedisServer, release: Release
) -> None:
    """No job can be put into its queue, no worker can register: the shipper works without."""
    lines = [f"event {i} {LONG}" for i in range(EVENTS)]
    async with release.watcher() as watcher:
        token = release.workspace("web")
        for line in lines:
            release.happen("web", line)

        async def all_there() -> bool:
            return len(await release.rig.records(token)) == EVENTS + 1

        await until(all_there)
        await watcher.stop()
    with redis.Redis(port=server.port) as client:
        client.delete(*client.keys("rq:*"))
    fill(server, 0)
    async with release.shipper() as shipper:
        await release.until_heard(token, CREATED, *lines)
        assert await asyncio.to_thread(is_full, server), "it stayed full all the time"
        await until(lambda: _is_idle(release, token))
        assert shipper.process.returncode is None


async def _is_idle(release: Release, token: str) -> bool:
    return await release.rig.records(token) == []


async def test_delivering_makes_the_room_that_the_watcher_waits_for(server: RedisServer, release: Release) -> None:
    """More than fits at once goes through. The room is more than connections and their buffers take."""
    async with release.watcher(**AMPLE) as watcher:
        names = [f"web-{i}" for i in range(12)]
        tokens = [release.workspace(name) for name in names]
        for token in tokens:
            await release.rig.until_said(token, "Pod Created")
        fill(server, 1_500_000)
        lines = [f"event {i} {LONG}" for i in range(EVENTS * 3)]
        for line in lines:
            for name in names:
                release.happen(name, line)
        await watcher.said("because its memory is full")
        async with release.shipper(**AMPLE):
            for name, token in zip(names, tokens, strict=True):
                await release.until_heard(token, f"🐳 Created pod: {name}", *lines)
