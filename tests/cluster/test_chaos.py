"""Three watchers and three shippers serve a fleet while one of them is killed or paused each second; then all are
replaced one by one. Whatever happens to them, each workspace's log ends complete, in order and (but for what was
under way) without repeats.

CI plays a short form; `make chaos` plays three minutes with 200 workspaces.
"""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random
from typing import Final

import pytest

from tests.cluster.api import KubeApi
from tests.cluster.cluster import Cluster
from tests.cluster.conftest import MakeNamespace, Say
from tests.cluster.fleet import Fleet, crashes, members_of
from tests.cluster.fleet_rig import Coder, findings
from tests.cluster.harness import Programs
from tests.cluster.kubelet import Kubelet
from tests.cluster.monkey import Monkey, unexcused
from tests.cluster.test_fleet import coder_process, ended, recorded, runs, summed_up

RAGE_S: Final = float(os.environ.get("LOGSTREAM_CHAOS_S", "25"))
WORKSPACES: Final = int(os.environ.get("LOGSTREAM_CHAOS_WORKSPACES", "40"))
SEED: Final = int(os.environ.get("LOGSTREAM_CHAOS_SEED", "1"))
WAVES: Final = 4
SETTLED_WITHIN_S: Final = 150.0
"""A lease, a hold, and the longest that a repeat may be held back."""

pytestmark = pytest.mark.timeout(600 + 2 * RAGE_S)

__all__ = ["coder_process"]


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


async def test_a_fleet_is_told_completely_though_something_dies_each_second(
    cluster: Cluster, kube: KubeApi, waves: list[Fleet], programs: Programs, coder_process: Coder, tmp_path: Path,
    say: Say,
) -> None:  # fmt: skip
    everyone = Fleet(kube, [member for fleet in waves for member in fleet.members])
    monkey = Monkey(programs, Random(SEED), watchers=3, shippers=3)
    async with recorded(cluster, coder_process, everyone, tmp_path) as recording:
        programs.set(CODER_URL=coder_process.url)
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
            found = await findings(recording, coder_process, within_s=SETTLED_WITHIN_S, calm_s=12.0)
            assert kubelet.failures == []
    say(f"{monkey.summed_up()}\n{summed_up(everyone, found)} (repeats: what was under way when a shipper was hit)")
    assert (found.lost, found.unexplained, found.disordered) == ([], [], [])
    assert unexcused(found.repeated, monkey.hits) == []
