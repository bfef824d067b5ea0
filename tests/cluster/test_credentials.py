"""The API server knows the watcher by its client certificate, and by the next one when it is rotated."""

from pathlib import Path

from tests.cluster.api import KubeApi
from tests.cluster.cluster import Cluster
from tests.cluster.harness import Programs, WorkspaceLog
from tests.cluster.objects import container, pod
from tests.cluster.pki import Pki, write_certificate_kubeconfig


async def test_a_rotated_client_certificate_is_read_anew(
    cluster: Cluster, kube: KubeApi, namespace: str, workspace: WorkspaceLog, programs: Programs, tmp_path: Path
) -> None:
    ours, ca = cluster.breakable.pki, kube.authority()
    path = tmp_path / "certificate.kubeconfig"
    unknown = Pki(tmp_path / "unknown").client("logstream", "system:masters")
    write_certificate_kubeconfig(path, kube.server, ca, *unknown)
    await (await programs.shipper()).ready()
    watcher = await programs.watcher("--namespaces", namespace, "--kubeconfig", str(path))
    await watcher.said("cannot read from the Kubernetes API", "Unauthorized")

    write_certificate_kubeconfig(path, kube.server, ca, *ours.client("logstream", "system:masters"))
    await kube.create("pods", namespace, pod("dev", container(workspace.token)))
    await workspace.gets("🐳 Created pod: dev")
    await watcher.ready()
