"""A sharded Redis Cluster is refused by each program before it touches a key."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from common.crypto import new_token_key
from console.doubles.kube import kubeconfig
from tests.integration.console.commands import clean_environ
from tests.integration.release.rig import Release, released
from tests.redis_builds import BUILDS, NEWEST, RedisBuild
from tests.servers import RedisServer, free_port, running_redis

SAID = "this is a sharded Redis Cluster, which is not supported"
BUS_BEHIND = 65_536 - 10_000
"""The nodes of a cluster talk to each other on a port that is 10,000 higher."""
QUEUE = "CODER_LOGSTREAM_QUEUE_URL"


@contextlib.contextmanager
def running_cluster(build: RedisBuild, folder: Path) -> Iterator[RedisServer]:
    """As it starts: without slots, so it calls itself down for every key."""
    port = next(port for port in iter(free_port, 0) if port < BUS_BEHIND)
    with running_redis(build.binary(), folder, {"cluster-enabled": "yes"}, port) as server:
        yield server


@pytest.fixture(params=BUILDS, ids=lambda build: build.name)
def cluster(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RedisServer]:
    with running_cluster(request.param, tmp_path / "cluster") as server:
        yield server


async def refuse(release: Release, **environ: str) -> None:
    """Watcher and shipper end by themselves with one line that says why."""
    async with release.watcher(**environ) as watcher, release.shipper(**environ) as shipper:
        for process in (watcher, shipper):
            assert await asyncio.wait_for(process.process.wait(), 60) == 1
            assert SAID in process.log().splitlines()[-1]


async def test_watcher_and_shipper_refuse_it(cluster: RedisServer, prefix: str, tmp_path: Path) -> None:
    async with released(cluster.url, prefix, tmp_path) as release:
        await refuse(release)


async def test_a_queue_on_one_is_refused_too(redis_url: str, prefix: str, tmp_path: Path) -> None:
    with running_cluster(NEWEST, tmp_path / "cluster") as cluster:
        async with released(redis_url, prefix, tmp_path) as release:
            await refuse(release, **{QUEUE: cluster.url})


@pytest.mark.parametrize("words", [["forget-lost-key"], ["run", "--coder-url", "http://127.0.0.1:1"]])
async def test_so_do_run_and_forget_lost_key(cluster: RedisServer, tmp_path: Path, words: list[str]) -> None:
    (tmp_path / "kubeconfig").write_text(kubeconfig("http://127.0.0.1:1"))
    environ = clean_environ(
        {
            "CODER_LOGSTREAM_REDIS_URL": cluster.url,
            "CODER_LOGSTREAM_TOKEN_KEY": new_token_key(),
            "KUBECONFIG": str(tmp_path / "kubeconfig"),
        }
    )
    program = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "console", *words,
        env=environ, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    output, _ = await asyncio.wait_for(program.communicate(), 60)
    assert program.returncode == 1
    assert SAID in output.decode()
