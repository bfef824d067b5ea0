"""What a fail-over can lose, and what not: real servers, real Sentinels, real programs between the doubles."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import redis

from tests.integration.release.rig import Release, released
from tests.integration.watcher.rig import until
from tests.redis_builds import BUILDS, NEWEST, RedisBuild
from tests.sentinels import SERVICE, Guarded, running_sentinels
from tests.servers import free_port, running_redis

URL = "CODER_LOGSTREAM_REDIS_URL"
CREATED, DELETED = "🐳 Created pod: ", "🗑️ Deleted pod: "


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[Guarded]:
    with running_sentinels(NEWEST, tmp_path / "redis") as servers:
        yield servers


@pytest.fixture
async def release(servers: Guarded, prefix: str, tmp_path: Path) -> AsyncIterator[Release]:
    async with released(servers.url, prefix, tmp_path) as release:
        yield release


async def failed_over(servers: Guarded) -> None:
    servers.kill_primary()
    await asyncio.to_thread(servers.until_failed_over)


async def taken(servers: Guarded, release: Release, records: int) -> None:
    """Until `records` wait at the first primary."""
    with redis.Redis(port=servers.primary.port) as client:

        async def there() -> bool:
            return int(client.hget(release.rig.keys.census, "waiting") or 0) == records

        await until(there)


def plain(release: Release, token: str) -> list[str]:
    """The agent's lines, late ones without their own time."""
    return [line.partition(" (at ")[0] for line in release.heard(token)]


async def until_plain(release: Release, token: str, *lines: str) -> None:
    """Until exactly `lines` stand in the agent's log, whatever else late ones say."""

    async def told() -> bool:
        return plain(release, token) == list(lines)

    try:
        await until(told)
    except TimeoutError:
        raise AssertionError(f"heard {plain(release, token)}, not {list(lines)}") from None


def firsts(release: Release, token: str) -> list[str]:
    """The same without repeats."""
    return list(dict.fromkeys(plain(release, token)))


@pytest.mark.parametrize("build", BUILDS, ids=lambda build: build.name)
async def test_a_primary_killed_in_the_middle_of_a_stream_costs_no_line(
    build: RedisBuild, prefix: str, tmp_path: Path
) -> None:
    with running_sentinels(build, tmp_path / "redis") as servers:
        async with (
            released(servers.url, prefix, tmp_path) as release,
            release.watcher() as watcher,
            release.shipper() as shipper,
        ):
            await _told_over_a_death(servers, release)
            await shipper.ready()
            await watcher.stop()
            await shipper.stop()


async def _told_over_a_death(servers: Guarded, release: Release) -> None:
    token = release.workspace("web")
    lines = [f"event {i}" for i in range(60)]
    for line in lines[:20]:
        release.happen("web", line)

    async def heard(count: int) -> bool:
        return len(firsts(release, token)) >= count

    await until(lambda: heard(2))
    servers.kill_primary()
    for line in lines[20:40]:
        release.happen("web", line)
    await asyncio.to_thread(servers.until_failed_over)
    for line in lines[40:]:
        release.happen("web", line)
    await until(lambda: heard(61))
    assert firsts(release, token) == [CREATED + "web", *lines]


async def only_the_old_primary_took(servers: Guarded, release: Release) -> tuple[str, str]:
    """What one workspace heard is on both servers; of what followed the replica knows nothing. Answers two tokens."""
    token, other = release.workspace("web"), ""
    release.happen("web", "copied")
    await taken(servers, release, 2)
    await release.rig.until_saved("events")
    await asyncio.to_thread(servers.until_copied)
    servers.stop_copying()
    release.happen("web", "not copied")
    other = release.workspace("db")
    release.happen("db", "of one that the replica never met")
    await taken(servers, release, 5)  # Events and pods are two watches: an end may overtake what happened before it
    release.rig.delete("pods", "web")
    await taken(servers, release, 6)
    return token, other


async def test_what_only_the_old_primary_took_arrives_in_its_order(servers: Guarded, release: Release) -> None:
    async with release.watcher() as watcher:
        token, other = await only_the_old_primary_took(servers, release)
        await failed_over(servers)
        await watcher.said("written again")
        release.happen("db", "after the fail-over")
        async with release.shipper():
            await release.until_heard(other, CREATED + "db", "of one that the replica never met", "after the fail-over")

            await until_plain(release, token, CREATED + "web", "copied", "not copied", DELETED + "web")


@pytest.mark.parametrize("module", ["watcher", "tests.integration.watcher.forgetful"])
async def test_a_watcher_that_remembers_nothing_reads_it_anew(servers: Guarded, release: Release, module: str) -> None:
    """Because it died with the primary, or because the replica lagged by more than a watcher remembers."""
    dies = module == "watcher"
    async with release.watcher() if dies else release.rig.watcher(module=module) as watcher:
        token, other = await only_the_old_primary_took(servers, release)
        await failed_over(servers)
        if dies:
            watcher.process.kill()
        async with release.watcher() if dies else release.shipper(), release.shipper():

            async def told() -> bool:
                web, db = set(plain(release, token)), set(plain(release, other))
                return web == {CREATED + "web", "copied", "not copied", DELETED + "web"} and db == {
                    CREATED + "db",
                    "of one that the replica never met",
                }

            await until(told)
            assert len(release.heard(token)) == 4
            assert len(release.heard(other)) == 2


async def test_an_agent_that_went_unheard_leaves_nothing_behind(servers: Guarded, release: Release) -> None:
    async with release.rig.watcher(module="tests.integration.watcher.forgetful"):
        await only_the_old_primary_took(servers, release)
        await failed_over(servers)
        with redis.Redis(port=servers.replica.port) as client:

            async def let_go() -> bool:
                facts = client.keys(f"{release.rig.keys.tag}facts:*")
                return sorted(int(client.hget(key, "objects") or 0) for key in facts) == [0, 1]

            await until(let_go)


async def test_a_primary_that_becomes_a_replica_is_left_without_a_loss_or_a_repeat(
    servers: Guarded, release: Release
) -> None:
    async with release.watcher(), release.shipper() as shipper:
        token = release.workspace("web")
        await release.until_heard(token, CREATED + "web")
        with redis.Redis(port=servers.sentinels[0]) as sentinel:
            sentinel.execute_command("SENTINEL", "FAILOVER", SERVICE)
        lines = [f"event {i}" for i in range(20)]
        for line in lines:
            release.happen("web", line)
        await asyncio.to_thread(servers.until_failed_over)
        await release.until_heard(token, CREATED + "web", *lines)
        await shipper.ready()


async def test_a_replica_by_hand_is_answered_by_asking_sentinel_again(servers: Guarded, release: Release) -> None:
    """It keeps our connections, and refuses to write: not a refusal, but a reason to look for the primary."""
    async with release.watcher() as watcher:
        token = release.workspace("web")
        await release.rig.until_said(token, "Pod Created")
        await release.rig.until_saved("pods")
        await asyncio.to_thread(servers.until_copied)
        for port in servers.sentinels:
            _point_at(port, servers.replica.port)
        with redis.Redis(port=servers.replica.port) as new, redis.Redis(port=servers.primary.port) as old:
            new.replicaof("NO", "ONE")
            old.replicaof("127.0.0.1", servers.replica.port)
        release.happen("web", "after")
        await release.rig.client.connection_pool.disconnect()
        await release.rig.until_said(token, "Pod Created", "Pod  x1")
        assert "refused" not in watcher.log()


async def test_a_primary_that_only_sentinel_gave_up_is_left_within_seconds(servers: Guarded, release: Release) -> None:
    """It is alive and takes our writes; Sentinel names another, so they would be thrown away."""
    async with release.watcher() as watcher, release.shipper():
        token = release.workspace("web")
        await release.until_heard(token, CREATED + "web")
        await taken(servers, release, 0)  # settled: a replica without that knowledge would rightly have it sent again
        await asyncio.to_thread(servers.until_copied)
        with redis.Redis(port=servers.replica.port) as new:
            new.replicaof("NO", "ONE")
        for port in servers.sentinels:
            _point_at(port, servers.replica.port)
        await watcher.said("Sentinel names another Redis primary", str(servers.replica.port))
        await watcher.said("written again")
        release.happen("web", "after")
        await release.until_heard(token, CREATED + "web", "after")
        with redis.Redis(port=servers.replica.port) as new:
            queues = [key for key in new.keys("rq:workers:*") if new.scard(key)]
            assert queues, "the queue's worker has moved, too"


def _point_at(sentinel_port: int, primary_port: int) -> None:
    with redis.Redis(port=sentinel_port) as sentinel:
        sentinel.execute_command("SENTINEL", "REMOVE", SERVICE)
        sentinel.execute_command("SENTINEL", "MONITOR", SERVICE, "127.0.0.1", primary_port, 2)


async def test_a_redis_that_restarts_from_an_older_state_is_told_again(prefix: str, tmp_path: Path) -> None:
    port = free_port()
    async with released(f"redis://127.0.0.1:{port}/0", prefix, tmp_path) as release, release.watcher() as watcher:
        with running_redis(NEWEST.binary(), tmp_path / "redis", port=port), redis.Redis(port=port) as client:
            token = release.workspace("web")
            await release.rig.until_saved("pods")
            client.save()
            release.happen("web", "after the snapshot")
            await release.rig.until_said(token, "Pod Created", "Pod  x1")
        with running_redis(NEWEST.binary(), tmp_path / "redis", port=port):
            await release.rig.client.connection_pool.disconnect()
            await watcher.said("written again")
            async with release.shipper():
                await release.until_heard(token, CREATED + "web", "after the snapshot")


async def test_a_flushed_redis_heals_within_the_limits_that_are_documented(prefix: str, tmp_path: Path) -> None:
    """FLUSHALL by mistake: what waited is lost, what comes is told, and nothing that was delivered comes again."""
    with running_redis(NEWEST.binary(), tmp_path / "redis") as server:
        async with released(server.url, prefix, tmp_path) as release, release.watcher() as watcher:
            async with release.shipper() as shipper:
                token, idle = release.workspace("web"), release.workspace("idle")
                release.happen("web", "delivered")
                await release.until_heard(token, CREATED + "web", "delivered")
                await release.until_heard(idle, CREATED + "idle")
                await shipper.stop()
            release.happen("web", "waiting")
            await release.rig.until_said(token, "Pod  x1")
            await release.rig.until_saved("events")
            await release.rig.client.flushall()
            await watcher.said("Redis was emptied")
            release.happen("web", "afterwards")
            async with release.shipper():
                await release.until_heard(token, CREATED + "web", "delivered", "afterwards")
                release.rig.delete("pods", "idle")
                await until_plain(release, idle, CREATED + "idle", DELETED + "idle")
