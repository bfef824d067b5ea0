"""Three watchers and three shippers serve a fleet while one of them is killed or paused each second; then all are
replaced one by one, and Redis after them. Whatever happens to them, each workspace's log ends complete, in order and
(but for what its own shipper could not settle) without repeats, and no token is anywhere.

CI plays a short form; `make chaos` plays three minutes with 200 workspaces.
"""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from random import Random
from typing import Final

import pytest
import redis.asyncio

from tests.cluster.api import KubeApi
from tests.cluster.chaos_table import table
from tests.cluster.cluster import Cluster
from tests.cluster.conftest import MakeNamespace, Say
from tests.cluster.counted import counted, dropped
from tests.cluster.fleet import Fleet, crashes, members_of
from tests.cluster.fleet_rig import DooredCoder, findings
from tests.cluster.harness import Programs
from tests.cluster.judge import judge
from tests.cluster.kubelet import Kubelet
from tests.cluster.monkey import Monkey
from tests.cluster.test_fleet import ended, recorded, runs
from tests.faults.check import without_reason
from tests.faults.leaks import tokens_in_files, tokens_in_redis, tokens_in_text
from tests.faults.server import OwnRedis
from tests.integration.console.commands import announced

RAGE_S: Final = float(os.environ.get("LOGSTREAM_CHAOS_S", "25"))
WORKSPACES: Final = int(os.environ.get("LOGSTREAM_CHAOS_WORKSPACES", "40"))
SEED: Final = int(os.environ.get("LOGSTREAM_CHAOS_SEED", "1"))
WAVES: Final = 4
SETTLED_WITHIN_S: Final = 150.0
"""A lease, a hold, and the longest that a repeat may be held back."""

pytestmark = pytest.mark.timeout(600 + 2 * RAGE_S)


@pytest.fixture
async def waves(cluster: Cluster, kube: KubeApi, new_namespace: MakeNamespace) -> AsyncIterator[list[Fleet]]:
    """The workspaces in parts, which begin one after the other."""
    cluster.breakable  # noqa: B018 — nodes that do not exist are nothing for a cluster that somebody uses
    each = max(1, WORKSPACES // WAVES // 10)
    fleets = [Fleet(kube, members_of([await new_namespace() for _ in range(each)])) for _ in range(WAVES)]
    for fleet in fleets:
        await fleet.prepare()
    yield fleets
    for fleet in fleets:
        await fleet.clear()


@pytest.fixture
def doored_coder() -> Iterator[DooredCoder]:
    with announced("tests.cluster.journal") as url:
        yield DooredCoder(url)


@pytest.fixture
async def restarted_redis(tmp_path: Path) -> AsyncIterator[OwnRedis]:
    """A server of the test's own, to stop and start again."""
    server = OwnRedis(tmp_path / "redis")
    await server.start()
    yield server
    await server.kill()


async def test_a_fleet_is_told_completely_though_something_dies_each_second(
    cluster: Cluster, kube: KubeApi, waves: list[Fleet], doored_coder: DooredCoder, restarted_redis: OwnRedis,
    programs: Programs, tmp_path: Path, say: Say,
) -> None:  # fmt: skip
    everyone = Fleet(kube, [member for fleet in waves for member in fleet.members])
    tokens = [member.token for member in everyone.members]
    monkey = Monkey(programs, doored_coder, restarted_redis, Random(SEED), watchers=3, shippers=3)
    async with recorded(cluster, doored_coder, everyone, tmp_path) as recording:
        programs.set(CODER_LOGSTREAM_REDIS_URL=f"redis://127.0.0.1:{restarted_redis.port}/0")
        await monkey.start()
        async with Kubelet(kube, Random(SEED), crashes) as kubelet:
            raging = asyncio.create_task(monkey.rage(RAGE_S))
            began_s = time.monotonic()
            for number, fleet in enumerate(waves):
                await asyncio.sleep(max(0.0, began_s + number * RAGE_S / WAVES - time.monotonic()))
                await fleet.deploy()
            await raging
            await runs(everyone, recording)
            rolling = asyncio.create_task(monkey.replace_all())
            for fleet in waves:
                await fleet.scale_and_delete()
            await rolling
            await ended(everyone, recording)
            found = await findings(recording, doored_coder, within_s=SETTLED_WITHIN_S, calm_s=12.0)
            assert kubelet.failures == []
    verdict = judge(found, await doored_coder.journal(), monkey.hits)
    pages = await monkey.pages()
    async with redis.asyncio.Redis(port=restarted_redis.port) as client:
        redis_says = await dropped(client, programs.settings, tokens)
        leaks = await tokens_in_redis(client, "*", tokens)
    leaks += tokens_in_files(restarted_redis.files(), tokens)
    for text in (*pages, *(file.read_text(errors="replace") for file in programs.log_files)):
        leaks += tokens_in_text(text, tokens)
    reasons = counted(pages, "coder_logstream_dropped_total", "reason")
    verdicts = counted(pages, "coder_logstream_records_total", "outcome")
    unreasoned = without_reason(redis_says.dropped, redis_says.late, reasons, verdicts)
    say(table(everyone, monkey.hits, found, verdict, redis_says, leaks))
    assert (found.lost, found.unexplained, found.disordered) == ([], [], [])
    assert (verdict.unexcused, verdict.at_once, verdict.unread) == ([], [], [])
    assert (unreasoned, leaks) == ([], [])
