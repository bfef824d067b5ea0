"""Fifty Deployments in five namespaces through the real programs, audited by a second watch of the same cluster."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Final

import pytest

from tests.cluster.api import KubeApi
from tests.cluster.audit import Findings
from tests.cluster.cluster import Cluster
from tests.cluster.conftest import MakeNamespace, Say
from tests.cluster.fleet import Fate, Fleet, crashes, members_of
from tests.cluster.fleet_rig import Coder, Recording, event_of, findings, gone
from tests.cluster.harness import Program, Programs
from tests.cluster.kubelet import BACK_OFFS, Kubelet
from tests.integration.console.commands import double

NAMESPACES: Final = 5
FOLDED_WITHIN_S: Final = 65.0
"""An Event's third and later counts may be held for 15 s, then 30, then 60; no run is long enough for more."""
LEASE_S: Final = 10.0
CONCURRENCY: Final = 10
UNANSWERED: Final = 12
"""Requests under way at the kill whose lines Coder has taken: more than either shipper has agents in hand."""
TIMEOUT_S: Final = 4
DELAY_NS: Final = 1_000_000_000
"""More than the double's longest delay, which comes between a request's receipt and its effect."""

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def coder_process() -> Iterator[Coder]:
    """The Coder double in a process of its own: its receipts do not wait for the test's work."""
    with double("coder") as url:
        yield Coder(url)


@pytest.fixture
async def fleet(cluster: Cluster, kube: KubeApi, new_namespace: MakeNamespace) -> AsyncIterator[Fleet]:
    cluster.breakable  # noqa: B018 — nodes that do not exist are nothing for a cluster that somebody uses
    fleet = Fleet(kube, members_of([await new_namespace() for _ in range(NAMESPACES)]))
    await fleet.prepare()
    yield fleet
    await fleet.clear()


@asynccontextmanager
async def recorded(cluster: Cluster, coder: Coder, fleet: Fleet, folder: Path) -> AsyncIterator[Recording]:
    await coder.add(fleet.members)
    await coder.answer_as_usual(fleet.members, Random(50))
    async with Recording(cluster.admin, folder / "recording.jsonl", fleet.members) as recording:
        yield recording


async def starts(fleet: Fleet, recording: Recording) -> None:
    """All Deployments are there, and every pod waits for a node or is refused."""
    await fleet.deploy()
    await recording.until(event_of("FailedScheduling"), fleet.count(), "FailedScheduling")
    await recording.until(event_of("FailedCreate"), len(fleet.namespaces), "FailedCreate")


async def runs(fleet: Fleet, recording: Recording) -> None:
    await recording.until(event_of("Started"), fleet.count(), "Started")
    await recording.until(event_of("BackOff", BACK_OFFS), fleet.count(Fate.CRASHES), f"BackOff ×{BACK_OFFS}")


async def ends(fleet: Fleet, recording: Recording) -> None:
    await fleet.scale_and_delete()
    await ended(fleet, recording)


async def ended(fleet: Fleet, recording: Recording) -> None:
    await recording.until(gone("Pod"), fleet.count(Fate.SCALED, Fate.TWICE, Fate.DELETED), "a deleted pod")
    await recording.until(gone("ReplicaSet"), fleet.count(Fate.DELETED), "a deleted ReplicaSet")


def summed_up(fleet: Fleet, found: Findings) -> str:
    folded = f" ({found.folded} counts told by a later one)" if found.folded else ""
    return (
        f"{len(fleet.members)} Deployments in {len(fleet.namespaces)} namespaces: "
        f"{found.tellings} events in, {found.lines} lines out{folded}, {len(found.lost)} lost, "
        f"{len(found.repeated)} repeated, p50 {found.latency_ms(0.5):.0f} ms, p99 {found.latency_ms(0.99):.0f} ms"
    )


@pytest.mark.parametrize("whole_cluster", [True, False], ids=["whole cluster", "named namespaces"])
async def test_each_thing_that_happens_to_a_fleet_is_told_once_to_its_agent(
    cluster: Cluster, kube: KubeApi, fleet: Fleet, programs: Programs, coder_process: Coder, tmp_path: Path, say: Say,
    whole_cluster: bool,
) -> None:  # fmt: skip
    named = () if whole_cluster else ("--namespaces", ",".join(fleet.namespaces))
    async with recorded(cluster, coder_process, fleet, tmp_path) as recording:
        shippers = [await programs.shipper(CODER_URL=coder_process.url) for _ in range(2)]
        await all_ready(await programs.watcher(*named), *shippers)
        await starts(fleet, recording)
        async with Kubelet(kube, Random(10250), crashes) as kubelet:
            await runs(fleet, recording)
            await ends(fleet, recording)
            found = await findings(recording, coder_process, within_s=FOLDED_WITHIN_S, calm_s=3.0)
            assert kubelet.failures == []
    say(summed_up(fleet, found))
    assert (found.lost, found.repeated, found.unexplained, found.disordered) == ([], [], [], [])
    assert (await coder_process.totals()).most_in_flight == 1


async def test_a_fleet_is_told_completely_though_programs_are_killed(
    cluster: Cluster, kube: KubeApi, fleet: Fleet, programs: Programs, coder_process: Coder, tmp_path: Path, say: Say
) -> None:
    few = ("--concurrency", str(CONCURRENCY), "--request-timeout-s", str(TIMEOUT_S))  # so that one can't do it all
    async with recorded(cluster, coder_process, fleet, tmp_path) as recording:
        shippers = [await programs.shipper(*few, CODER_URL=coder_process.url) for _ in range(2)]
        watcher = await programs.watcher()
        await all_ready(watcher, *shippers)
        await starts(fleet, recording)
        async with Kubelet(kube, Random(10250), crashes) as kubelet:
            began_at_ns = time.time_ns()
            await coder_process.take_unanswered(UNANSWERED)
            await shippers[0].kill()
            killed_at_ns = time.time_ns()
            await (await programs.shipper(*few, CODER_URL=coder_process.url)).ready()
            await runs(fleet, recording)
            await fleet.scale_and_delete()
            await recording.until(event_of("Killing"), 1, "a pod that ends")
            await watcher.kill()
            await (await programs.watcher()).ready()
            await ended(fleet, recording)
            found = await findings(recording, coder_process, within_s=LEASE_S + FOLDED_WITHIN_S, calm_s=LEASE_S + 2)
            assert kubelet.failures == []
    # The double counts a request when it comes, and lets it have its effect after its own delay.
    begin_ns, end_ns = began_at_ns - DELAY_NS, killed_at_ns + DELAY_NS
    taken = {each: [at for at in each.taken_at_ns if begin_ns < at < end_ns] for each in found.repeated}
    in_flight = {each: min(at_ns) for each, at_ns in taken.items() if at_ns}
    say(f"{summed_up(fleet, found)} ({len(in_flight)} of them were under way when a shipper was killed)")
    assert (found.lost, found.unexplained, found.disordered) == ([], [], [])
    assert [each for each in found.repeated if each not in in_flight] == []
    under_way = UNANSWERED + CONCURRENCY  # of the killed one also what was answered and not settled yet
    assert 0 < len({(each.token, at_ns) for each, at_ns in in_flight.items()}) <= under_way
    assert len({(each.token, each.line.at_ns) for each in in_flight}) <= under_way  # each batch again once
    assert (await coder_process.totals()).most_in_flight == 1


async def all_ready(*programs: Program) -> None:
    await asyncio.gather(*(program.ready() for program in programs))
