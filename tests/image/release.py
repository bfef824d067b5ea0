"""One release of the chart in a cluster with a node, under the names that the documentation gives it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from tests.chart.helm import Helm
from tests.chart.values_page import CHART
from tests.cluster.api import ROOTS, ApiRefused, KubeApi, path_of
from tests.cluster.chart_rig import run_helm
from tests.cluster.harness import eventually
from tests.cluster.objects import Object
from tests.cluster.pki import NODE

__all__ = ["HOME", "NAME", "Release"]

NAME: Final = "coder-logstream"
HOME: Final = "coder"
"""Its namespace."""
COMPONENT: Final = "app.kubernetes.io/component"
COMPONENTS: Final = ("watcher", "shipper", "valkey")
MIB: Final = 2**20
STARTED_MIB: Final = 4.0
"""Less than any of the programs needs: what a kubelet says of a pod whose program it has not looked at since."""
READY_WITHIN_S: Final = 120.0
WORKLOADS: Final = (
    ("deployments", f"{NAME}-watcher"), ("deployments", f"{NAME}-shipper"), ("statefulsets", f"{NAME}-valkey"),
)  # fmt: skip


class Release:
    def __init__(self, api: KubeApi, helm: Helm) -> None:
        self._api = api
        self._helm = helm

    async def helm(self, *arguments: str) -> str:
        """`helm ARGUMENTS --namespace coder`; what it prints. Raises HelmRefused."""
        return await run_helm(self._helm, *arguments, "--namespace", HOME)

    async def install(self, *flags: str) -> str:
        return await self.helm("install", NAME, str(CHART), *flags)

    async def upgrade(self, *flags: str) -> str:
        return await self.helm("upgrade", NAME, str(CHART), "--reuse-values", *flags)

    async def rolled_out(self) -> None:
        """As `kubectl rollout status` waits, and longer: no pod is on its way out."""

        async def behind() -> list[str]:
            left = [name for kind, name in WORKLOADS if not _is_rolled_out(await self._api.get(kind, HOME, name))]
            return left + [name for name, pod in (await self._all_pods()).items() if not _is_ready(pod)]

        await eventually(behind, lambda left: not left, within_s=READY_WITHIN_S, why="the release is ready")

    async def pods(self, component: str) -> dict[str, Object]:
        """Those of watcher, shipper or valkey, by name."""
        there = await self._all_pods()
        return {name: pod for name, pod in there.items() if pod["metadata"]["labels"][COMPONENT] == component}

    async def replaced(self, name: str, grace_s: int | None = None) -> None:
        """Delete a pod, as `kubectl delete pod` does, with --grace-period unless it is None, and see another ready."""
        before = _container(await self._api.get("pods", HOME, name))
        query = {} if grace_s is None else {"gracePeriodSeconds": str(grace_s)}
        await self._api.call("DELETE", path_of("pods", HOME, name), query=query)
        await self._renewed(before)

    async def crashed(self, name: str) -> None:
        """Kill what runs in a pod, and see it started again."""
        before = _container(await self._api.get("pods", HOME, name))
        await self._api.run(HOME, name, "sh", "-c", "kill -9 -1")
        await self._renewed(before)

    async def _renewed(self, before: str) -> None:
        """Wait until that container is no more, and all are ready."""

        async def containers() -> set[str]:
            return {_container(pod) for pod in (await self._all_pods()).values()}

        await eventually(containers, lambda there: before not in there, why="a pod's container goes")
        await self.rolled_out()

    @asynccontextmanager
    async def endings(self) -> AsyncIterator[dict[str, int]]:
        """Exit codes of the containers that have ended since, by pod."""
        ended: dict[str, int] = {}

        async def look() -> None:
            async for change in self._api.watch(path_of("pods", HOME)):
                pod = change["object"]
                for status in pod["status"].get("containerStatuses", ()):
                    if "terminated" in status["state"]:
                        ended[pod["metadata"]["name"]] = status["state"]["terminated"]["exitCode"]

        looking = asyncio.create_task(look())
        try:
            yield ended
        finally:
            looking.cancel()

    async def _all_pods(self) -> dict[str, Object]:
        """Of the three components."""
        there = await self._api.items("pods", HOME)
        return {pod["metadata"]["name"]: pod for pod in there if pod["metadata"]["labels"][COMPONENT] in COMPONENTS}

    async def memory_mib(self) -> dict[str, tuple[float, float]]:
        """What each pod works with, and what the chart requests for it, by name; when its kubelet has counted all."""
        there = {name: pod for component in COMPONENTS for name, pod in (await self.pods(component)).items()}

        async def counted() -> dict[str, float]:
            summary = await self._api.call("GET", f"/api/v1/nodes/{NODE}/proxy/stats/summary")
            pods = {each["podRef"]["name"]: each.get("memory", {}) for each in summary["pods"]}
            return {name: pods.get(name, {}).get("workingSetBytes", 0) / MIB for name in there}

        used = await eventually(counted, lambda used: min(used.values()) > STARTED_MIB, why="all are counted")
        return {name: (used[name], _requested_mib(pod)) for name, pod in there.items()}

    async def left(self) -> set[str]:
        """All objects in the cluster that bear the release's name, as `resource/name`."""
        found: set[str] = set()
        for resource in ROOTS.keys() - {"events", "namespaces"}:
            names = [each["metadata"]["name"] for each in await self._api.items(resource, "")]
            found |= {f"{resource}/{name}" for name in names if NAME in name}
        return found

    async def diary(self) -> str:
        """How the pods are, and the last words of each."""
        pages = []
        for pod in await self._api.items("pods", HOME):
            name, states = pod["metadata"]["name"], pod["status"].get("containerStatuses", ())
            try:
                said = await self._api.log(HOME, name)
            except ApiRefused as refusal:  # it has not started
                said = str(refusal)
            pages.append(f"--- {name}: {[each['state'] for each in states]}\n{said[-3000:]}")
        return "\n".join(pages)


def _is_rolled_out(made: Object) -> bool:
    wanted, status = made["spec"]["replicas"], made["status"]
    return status.get("observedGeneration") == made["metadata"]["generation"] and all(
        status.get(number) == wanted for number in ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas")
    )


def _is_ready(pod: Object) -> bool:
    conditions = pod["status"].get("conditions", ())
    ready = any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
    return ready and "deletionTimestamp" not in pod["metadata"]


def _container(pod: Object) -> str:
    """Its only container's id; empty before it has one."""
    return next((str(each.get("containerID", "")) for each in pod["status"].get("containerStatuses", ())), "")


def _requested_mib(pod: Object) -> float:
    requested: str = pod["spec"]["containers"][0]["resources"]["requests"]["memory"]
    assert requested.endswith("Mi"), requested
    return float(requested.removesuffix("Mi"))
