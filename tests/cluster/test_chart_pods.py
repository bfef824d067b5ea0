"""A whole release, started from its manifests and its Secret: a workspace's lines go all the way into Coder."""

from __future__ import annotations

import asyncio
from pathlib import Path

from console.doubles.coder import CoderDouble
from tests.chart.helm import Helm
from tests.chart.values_page import CHART
from tests.cluster.api import KubeApi
from tests.cluster.chart_pods import Pods
from tests.cluster.chart_rig import Hooks, run_helm
from tests.cluster.harness import WorkspaceLog
from tests.cluster.objects import container, event, pod


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
    async with Hooks(kube, tmp_path, home):
        where = ("logs", str(CHART), "--namespace", home, "--timeout", "60s")
        await run_helm(helm, "install", *where, *helm.values(values))
    objects = await asyncio.to_thread(helm.render, values, namespace=home)
    async with Pods(kube, home, objects, tmp_path / "pods") as pods:
        await pods.start("valkey")
        shipper, watcher = await pods.start("shipper"), await pods.start("watcher")
        await asyncio.gather(shipper.ready(), watcher.ready())
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
