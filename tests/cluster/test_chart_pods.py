"""A whole release, started from its manifests and its Secret: a workspace's lines go all the way into Coder."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from console.doubles.coder import CoderDouble
from tests.chart.helm import Helm
from tests.chart.values_page import CHART
from tests.cluster.api import KubeApi
from tests.cluster.chart_pods import Pods
from tests.cluster.chart_rig import Hooks, run_helm
from tests.cluster.harness import Program, WorkspaceLog, eventually
from tests.cluster.objects import container, container_with_secret, event, pod, secret

WORKSPACE: Final = "com.coder.workspace.name"
NAMES: Final = {"com.coder.user.username": "alice"}


async def test_what_the_chart_renders_carries_lines_from_a_pod_to_coder(
    kube: KubeApi, helm: Helm, home: str, namespace: str, coder: CoderDouble, workspace: WorkspaceLog, tmp_path: Path
) -> None:
    values = {
        "url": coder.url,
        "namespaces": [namespace],
        "args": ["--concurrency=20", "--known-max", "500"],
        "redis": {"prefix": "own"},
        "shipper": {"wording": "entries: [{reason: Killing, show: false}]\n"},
    }
    async with installed(kube, helm, home, values, tmp_path) as pods:
        watcher, shipper = await started(pods)
        made = await kube.create("pods", namespace, pod("dev", container(workspace.token)))
        for reason in ("Killing", "Pulled"):
            await kube.create("events", namespace, event(made, reason, "so it is"))
        await workspace.gets("🐳 Created pod: dev")
        await workspace.gets("so it is (Pulled)")
        assert not workspace.having("Killing")  # by the wordings that the values have
        doctor = await pods.start("doctor")  # as `helm test` does
        assert await doctor.ended() == 0, doctor.log
        assert "0 ⚠ · 0 ✗" in doctor.log
        assert await watcher.stop() == 0
        assert await shipper.stop() == 0


async def test_status_in_a_watchers_pod_tells_a_workspaces_story_with_the_rights_of_that_pod(
    kube: KubeApi, helm: Helm, home: str, namespace: str, coder: CoderDouble, workspace: WorkspaceLog, tmp_path: Path
) -> None:
    """With its service account and its Redis user; of another Coder's workspace too, found by its Secret."""
    values = {"url": coder.url, "namespaces": [namespace]}
    async with installed(kube, helm, home, values, tmp_path) as pods:
        await started(pods)
        await kube.create("pods", namespace, pod("own", container(workspace.token), NAMES | {WORKSPACE: "own"}))
        await workspace.gets("🐳 Created pod: own")
        await kube.create("secrets", namespace, secret("agent", token=str(uuid.uuid4())))
        theirs = container_with_secret("agent", "token")
        theirs["env"].append({"name": "CODER_AGENT_URL", "value": "https://other.example.com/"})
        await kube.create("pods", namespace, pod("dev", theirs, NAMES | {WORKSPACE: "web"}))

        async def told() -> str:
            return await pods.ask("watcher", "status", "alice/web")

        held = f"its container reports to https://other.example.com, lines go to {coder.url}"
        said = await eventually(told, lambda said: held in said, why="the other Coder is named")
        assert f"✓ Kubernetes: Pod {namespace}/dev: has its agent token from Secret agent" in said
        assert f"✓ Kubernetes: namespace {namespace}: read by watcher " in said
        assert "✓ Redis: records: some wait" in said
        # Its Redis user knows what waits by the schedule alone, and its account may list no other namespaces.
        assert sorted(line for line in said.splitlines() if line.startswith("note: ")) == [
            "note: not shown: how many records wait, and since when, which this Redis user may not read",
            "note: not shown: which agents are being served, which this Redis user may not read",
            "note: only the namespaces watched were looked into: listing others is forbidden",
        ]
        own = await pods.ask("watcher", "status", "alice/own")
        assert "✓ Redis: records: none waits" in own
        assert "reports to" not in own


@asynccontextmanager
async def installed(
    kube: KubeApi, helm: Helm, home: str, values: Mapping[str, Any], folder: Path
) -> AsyncIterator[Pods]:
    """What Helm has installed with `values`; nothing of it runs yet."""
    async with Hooks(kube, folder, home):
        where = ("logs", str(CHART), "--namespace", home, "--timeout", "60s")
        await run_helm(helm, "install", *where, *helm.values(values))
    objects = await asyncio.to_thread(helm.render, values, namespace=home)
    async with Pods(kube, home, objects, folder / "pods") as pods:
        yield pods


async def started(pods: Pods) -> tuple[Program, Program]:
    """Watcher and shipper, ready."""
    await pods.start("valkey")
    shipper, watcher = await pods.start("shipper"), await pods.start("watcher")
    await asyncio.gather(shipper.ready(), watcher.ready())
    return watcher, shipper
