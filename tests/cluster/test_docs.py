"""What the pages say of kubectl and Helm is done, on the real API server."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.chart.helm import helm_binary
from tests.cluster.api import ApiRefused, KubeApi
from tests.cluster.chart_rig import Hooks, release_namespace
from tests.cluster.cluster import Cluster
from tests.cluster.kubectl_binary import kubectl_binary
from tests.cluster.peers_chart import write_peers_chart
from tests.docs.blocks import Stage, all_blocks, pages_on
from tests.docs.reader import Reader, checkout
from tests.unit.docs.pages import name_of

pytestmark = pytest.mark.timeout(400)

MADE = {
    "clusterroles": "/apis/rbac.authorization.k8s.io/v1/clusterroles/coder-logstream",
    "clusterrolebindings": "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/coder-logstream",
    "namespaces": "/api/v1/namespaces/coder-logstream",
}
"""What a page makes under a name of its own."""


@pytest.mark.parametrize("page", pages_on(Stage.CLUSTER), ids=name_of)
async def test_what_a_page_says_can_be_done(page: Path, cluster: Cluster, kube: KubeApi, tmp_path: Path) -> None:
    _ = cluster.breakable  # on a node the hooks' pods would run beside ours, and count on an image
    folder = checkout(tmp_path / "reader")
    write_peers_chart(folder)
    async with (
        # The old chart's pods do not keep the restricted standard.
        release_namespace(kube, restricted="migrate" not in page.name) as home,
        Hooks(kube, tmp_path, home),
        ready_pods(kube, home),
        cleared(kube),
    ):
        stand_ins = {
            r"(?<=--namespace )coder\b(?!-)": lambda: home,
            r"(?<=-n )NAMESPACE\b": lambda: home,
            r"RELEASE\b": lambda: "coder-logstream",
            r"kind-kind": lambda: "test",
            r"host\.docker\.internal:PORT": lambda: str(urlsplit(kube.server).netloc),
        }
        with Reader(folder, stand_ins, {"KUBECONFIG": str(cluster.admin)}) as reader:
            (folder / "bin" / "helm").symlink_to(helm_binary())
            (folder / "bin" / "kubectl").symlink_to(kubectl_binary())
            for block in all_blocks([page]):
                if block.stage is Stage.CLUSTER:
                    await asyncio.to_thread(reader.do, block)


@contextlib.asynccontextmanager
async def ready_pods(kube: KubeApi, namespace: str) -> AsyncIterator[None]:
    """Pods of Deployments are ready as soon as they are there: there is no kubelet that would run them."""

    async def serve() -> None:
        while True:
            for pod in await kube.items("pods", namespace):
                if "job-name" not in pod["metadata"]["labels"] and pod["status"]["phase"] == "Pending":
                    ready = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
                    with contextlib.suppress(ApiRefused):  # it is gone already
                        await kube.merge("pods", namespace, pod["metadata"]["name"], {"status": ready}, "status")
            await asyncio.sleep(0.1)

    serving = asyncio.create_task(serve())
    try:
        yield
    finally:
        serving.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await serving


@contextlib.asynccontextmanager
async def cleared(kube: KubeApi) -> AsyncIterator[None]:
    """What a page has made outside of the release's namespace goes at the end."""
    try:
        yield
    finally:
        for path in MADE.values():
            with contextlib.suppress(ApiRefused):  # another page's
                await kube.call("DELETE", path)
