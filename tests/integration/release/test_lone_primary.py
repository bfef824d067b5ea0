"""A primary that has lost its replicas takes no writes (`min-replicas-to-write`): waited for like one that is away."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import redis

from tests.integration.release.rig import Release, released
from tests.integration.shipper.process import Shipper
from tests.integration.watcher.page import Page
from tests.integration.watcher.rig import until
from tests.redis_builds import BUILDS, NEWEST, RedisBuild
from tests.servers import RedisServer, running_redis

CREATED = "🐳 Created pod: web"
REFUSAL = "NOREPLICAS"


@pytest.fixture(params=BUILDS, ids=lambda build: build.name)
def primary(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RedisServer]:
    build: RedisBuild = request.param
    with running_redis(build.binary(), tmp_path / "redis", {"repl-diskless-sync-delay": "0"}) as server:
        yield server


@pytest.fixture
async def release(primary: RedisServer, prefix: str, tmp_path: Path) -> AsyncIterator[Release]:
    async with released(primary.url, prefix, tmp_path) as release:
        yield release


def demand_replicas(server: RedisServer, replicas: int) -> None:
    with redis.Redis(port=server.port) as client:
        client.config_set("min-replicas-to-write", replicas)


def streams_read(server: RedisServer) -> int:
    with redis.Redis(port=server.port) as client:
        return int(client.info("commandstats").get("cmdstat_xrange", {}).get("calls", 0))


async def shipper_said(shipper: Shipper, *words: str) -> None:
    async def there() -> bool:
        assert shipper.process.returncode is None, shipper.log()
        return any(all(word in line for word in words) for line in shipper.log().splitlines())

    await until(there)


async def test_what_happens_while_the_replica_is_away_arrives_once_and_in_order(
    primary: RedisServer, release: Release
) -> None:
    """It goes with a request under way, whose settlement has to wait: sent again it would be a repeat."""
    page = Page()
    async with release.watcher("--metrics-addr", page.addr) as watcher, release.shipper() as shipper:
        token = release.workspace("web")
        await release.until_heard(token, CREATED)
        await release.rig.until_said(token)
        read = streams_read(primary)
        release.coder.latency_s = 2.0
        release.happen("web", "under way")

        async def under_way() -> bool:
            return streams_read(primary) > read

        await until(under_way)
        demand_replicas(primary, 1)
        lines = [f"event {i}" for i in range(20)]
        for line in lines:
            release.happen("web", line)
        await watcher.said("Redis does not take records", REFUSAL)
        assert "Redis does not take records" in await page.get("/readyz")
        await release.until_heard(token, CREATED, "under way")
        await shipper_said(shipper, "a settlement waits for Redis", REFUSAL)
        await shipper.unready(REFUSAL)  # when the lease has run out: there is work then that nobody may take
        assert release.heard(token) == [CREATED, "under way"]
        demand_replicas(primary, 0)
        await release.until_heard(token, CREATED, "under way", *lines)
        await watcher.said("Redis takes records again")
        await shipper.ready()
        assert release.coder.totals().repeated_lines == 0
        assert await shipper.metric("fenced_total") == 0
        assert watcher.log().count("Redis does not take records") == 1, "said once"


@pytest.mark.parametrize("primary", [NEWEST], indirect=True, ids=lambda build: build.name)
async def test_programs_that_start_without_the_replica_wait_for_it(
    primary: RedisServer, release: Release, tmp_path: Path
) -> None:
    demand_replicas(primary, 1)
    async with release.watcher() as watcher, release.shipper() as shipper:
        token = release.workspace("web")
        release.happen("web", "early")
        await watcher.said("Redis is not there yet", REFUSAL)
        await shipper_said(shipper, "waiting for Redis", REFUSAL)
        with running_redis(NEWEST.binary(), tmp_path / "replica") as server, redis.Redis(port=server.port) as replica:
            replica.replicaof("127.0.0.1", primary.port)
            await release.until_heard(token, CREATED, "early")
            await shipper.ready()
