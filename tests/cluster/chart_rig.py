"""The chart on a real API server: Helm with all rights, and a stand-in for the kubelet that runs the hook's pods.

There is no kubelet, so nothing would end the pod of a hook's Job. `Hooks` runs its command as a process instead, with
the service account that the pod has, and says in the pod's status how it ended.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import uuid
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Final, Self
from urllib.parse import urlsplit

from tests.chart.helm import Helm
from tests.cluster.api import ApiRefused, KubeApi
from tests.cluster.harness import ROOT
from tests.cluster.objects import Object

__all__ = ["GROUPS", "RESTRICTED", "Hooks", "account_token", "apply", "path_for", "release_namespace", "run_helm"]

RESTRICTED: Final = {"pod-security.kubernetes.io/enforce": "restricted"}
ACCOUNT_HEADING: Final = "/api/v1/namespaces/{}/serviceaccounts/{}/token"
GROUPS: Final[Mapping[str, str]] = {
    "ConfigMap": "configmaps", "Deployment": "deployments", "HorizontalPodAutoscaler": "horizontalpodautoscalers",
    "Job": "jobs", "NetworkPolicy": "networkpolicies", "Pod": "pods", "PodDisruptionBudget": "poddisruptionbudgets",
    "Role": "roles", "RoleBinding": "rolebindings", "ClusterRole": "clusterroles",
    "ClusterRoleBinding": "clusterrolebindings", "Secret": "secrets", "Service": "services",
    "ServiceAccount": "serviceaccounts", "StatefulSet": "statefulsets",
}  # fmt: skip
"""The resource of each kind that this API server knows; kinds of others come with their operators."""


def path_for(made: Object, namespace: str) -> str:
    """Where a rendered object lies."""
    version = made["apiVersion"]
    root = f"/apis/{version}" if "/" in version else f"/api/{version}"
    where = "" if made["kind"].startswith("Cluster") else f"/namespaces/{made['metadata'].get('namespace', namespace)}"
    return f"{root}{where}/{GROUPS[made['kind']]}/{made['metadata']['name']}"


async def apply(kube: KubeApi, made: Object, namespace: str, *, dry_run: bool = False) -> Object:
    """Server-side, every field known to the server. Raises ApiRefused."""
    query = {"fieldManager": "test", "force": "true", "fieldValidation": "Strict"} | (
        {"dryRun": "All"} if dry_run else {}
    )
    return await kube.call("PATCH", path_for(made, namespace), made, query, content_type="application/apply-patch+yaml")


async def account_token(kube: KubeApi, namespace: str, account: str) -> str:
    """A token as a pod of this account would have."""
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 3600}}
    answer = await kube.call("POST", ACCOUNT_HEADING.format(namespace, account), request)
    return str(answer["status"]["token"])


@contextlib.asynccontextmanager
async def release_namespace(kube: KubeApi, *, restricted: bool = True) -> AsyncIterator[str]:
    """A namespace. `restricted`: it enforces the restricted Pod Security Standard."""
    name = f"logstream-test-{uuid.uuid4().hex[:8]}"
    labels = RESTRICTED if restricted else {}
    await kube.call("POST", "/api/v1/namespaces", {"metadata": {"name": name, "labels": labels}})
    try:
        yield name
    finally:
        await kube.call("DELETE", f"/api/v1/namespaces/{name}")


async def run_helm(helm: Helm, *arguments: str) -> str:
    """What it prints. Raises HelmRefused."""
    return await asyncio.to_thread(helm.run, *arguments)


class Hooks:
    """`async with Hooks(kube, folder, namespace):` runs pods of Jobs in a namespace until the block ends."""

    def __init__(self, kube: KubeApi, folder: Path, namespace: str) -> None:
        self._kube = kube
        self._folder = folder
        self._namespace = namespace
        self.said: list[str] = []
        """What the commands wrote."""

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._serve())
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    async def _serve(self) -> None:
        served: set[str] = set()
        while True:
            for pod in await self._kube.items("pods", self._namespace):
                uid = pod["metadata"]["uid"]
                if "job-name" in pod["metadata"]["labels"] and uid not in served:
                    served.add(uid)
                    await self._run(pod)
            await asyncio.sleep(0.1)

    async def _run(self, pod: Object) -> None:
        (container,) = pod["spec"]["containers"]
        home = self._folder / pod["metadata"]["uid"]
        home.mkdir()
        account = pod["spec"]["serviceAccountName"]
        (home / "token").write_text(await account_token(self._kube, self._namespace, account))
        (home / "namespace").write_text(self._namespace)
        (home / "ca.crt").write_bytes(self._kube.authority())
        server = urlsplit(self._kube.server)
        environ = {"PATH": os.environ["PATH"], "HOME": str(home), "CODER_LOGSTREAM_SERVICE_ACCOUNT_DIR": str(home)}
        environ |= {"KUBERNETES_SERVICE_HOST": str(server.hostname), "KUBERNETES_SERVICE_PORT": str(server.port)}
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "console", *container["args"],
            cwd=ROOT, env=environ, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        said, _ = await process.communicate()
        self.said.append(said.decode())
        phase = "Succeeded" if process.returncode == 0 else "Failed"
        status = {"name": container["name"], "image": container["image"], "imageID": "", "ready": False}
        ended = {"terminated": {"exitCode": process.returncode, "reason": phase}}
        patch = {"status": {"phase": phase, "containerStatuses": [{**status, "restartCount": 0, "state": ended}]}}
        with contextlib.suppress(ApiRefused):  # Helm has removed it already
            await self._kube.merge("pods", self._namespace, pod["metadata"]["name"], patch, "status")
