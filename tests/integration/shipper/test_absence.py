"""Redis gone for a minute, with requests in flight: a real shipper process and a real server that is killed."""

from __future__ import annotations

import asyncio
import contextlib
import time
from pathlib import Path

import pytest
import redis

from common.store.keys import Keys
from console.doubles.coder import CoderDouble
from tests.integration.shipper.process import feeding, shipper
from tests.integration.shipper.rig import until, until_async
from tests.redis_builds import NEWEST
from tests.servers import free_port, running_redis

ABSENCE_S = 60.0
AGENTS = 8
KEEP = {"appendonly": "yes", "appendfsync": "always"}


@pytest.mark.timeout(300)  # the minute is its subject
async def test_a_minute_without_redis_repeats_and_loses_nothing(tmp_path: Path, prefix: str) -> None:
    port = free_port()
    url = f"redis://127.0.0.1:{port}/0"
    first_life = contextlib.ExitStack()
    first_life.enter_context(running_redis(NEWEST.binary(), tmp_path / "redis", KEEP, port))
    async with (
        CoderDouble() as double,
        feeding(url, prefix, double) as feed,
        shipper(tmp_path, double.url, url, prefix, feed.key) as process,
    ):
        await process.ready()
        double.latency_s = 2.0
        tokens = [await feed.rig.agent() for _ in range(AGENTS)]
        for token in tokens:
            await feed.rig.say(token, "one", "two")
        await feed.bell.ring()
        await until(lambda: streams_read(url) >= AGENTS)  # each PATCH follows at once and lasts two seconds
        first_life.close()
        gone_s = time.monotonic()
        await until(lambda: all(feed.rig.heard(token) == ["one", "two"] for token in tokens))
        assert "Redis" in await process.unready()
        await asyncio.sleep(gone_s + ABSENCE_S - time.monotonic())
        assert (await process.page("/livez")).status == 200
        with running_redis(NEWEST.binary(), tmp_path / "redis", KEEP, port):
            await until_async(lambda: nothing_waits(url, prefix))
            await process.ready()
            for token in tokens:
                await feed.say(token, "three")
            await until(lambda: all(len(feed.rig.heard(token)) > 2 for token in tokens))
            assert [feed.rig.heard(token) for token in tokens] == [["one", "two", "three"]] * AGENTS
            assert double.totals().repeated_lines == 0
            assert await process.metric("fenced_total") == 0
            assert await process.metric("unsettled_claims_total") == 0
            await process.stop()


def streams_read(url: str) -> int:
    with redis.Redis.from_url(url) as client:
        stats = client.info("commandstats")
    return int(stats.get("cmdstat_xrange", {}).get("calls", 0))


async def nothing_waits(url: str, prefix: str) -> bool:
    with redis.Redis.from_url(url) as client, contextlib.suppress(redis.RedisError):
        return not client.keys(f"{Keys(prefix).tag}log:*")
    return False
