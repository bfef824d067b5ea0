"""What a real API server and its controllers say of owners, claims and nodes reaches the workspace beside them."""

import uuid
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.api import KubeApi
from tests.cluster.conftest import MakeWorkspace
from tests.cluster.harness import Programs, WorkspaceLog
from tests.cluster.namespaces import enforce_quota
from tests.cluster.objects import Object, container, event, job, pod, stateful_set
from tests.cluster.test_scope import grant, restricted_user

STORAGE: Object = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}


def claim(name: str) -> Object:
    return {"metadata": {"name": name}, "spec": STORAGE | {"storageClassName": ""}}


def set_of(token: str) -> Object:
    return stateful_set("ws", {"containers": [container(token)]}, claim("home"))


def job_of(token: str) -> Object:
    return job("ws", {"containers": [container(token)]})


@pytest.mark.parametrize(("resource", "made"), [("statefulsets", set_of), ("jobs", job_of)], ids=["StatefulSet", "Job"])
async def test_an_owner_without_a_pod_says_why_and_its_pod_once_there_is_one(
    resource: str, made: Any, kube: KubeApi, namespace: str, workspace: WorkspaceLog, programs: Programs
) -> None:
    await enforce_quota(kube, namespace, pods="0")
    await programs.start("--namespaces", namespace)
    await kube.create(resource, namespace, made(workspace.token))
    line = await workspace.gets("FailedCreate: ", "exceeded quota: quota")
    assert line.level == "warn"
    await workspace.gets("💡 The namespace's quota is used up")
    assert await kube.items("pods", namespace) == []

    await kube.merge("resourcequotas", namespace, "quota", {"spec": {"hard": {"pods": "5"}}})
    await workspace.gets("🐳 Created pod: ws-", within_s=120.0)  # the controller backs off
    if resource == "statefulsets":
        await workspace.gets("FailedBinding: no persistent volumes", "(volume claim home-ws-0)")
    texts = [line.text for line in workspace.lines()]
    assert not [text for text in texts if "SuccessfulCreate" in text]
    assert len(texts) == len(set(texts)), texts


async def test_claims_that_cannot_be_bound_are_told_to_all_who_mount_them(
    kube: KubeApi, namespace: str, new_workspace: MakeWorkspace, programs: Programs
) -> None:
    await programs.start("--namespaces", namespace)
    await kube.create("persistentvolumeclaims", namespace, claim("shared"))
    workspaces = new_workspace(), new_workspace()
    for number, workspace in enumerate(workspaces):
        value = pod(f"dev-{number}", container(workspace.token))
        value["spec"]["volumes"] = [
            {"name": "shared", "persistentVolumeClaim": {"claimName": "shared"}},
            {"name": "scratch", "ephemeral": {"volumeClaimTemplate": {"spec": STORAGE | {"storageClassName": ""}}}},
        ]
        await kube.create("pods", namespace, value)
    for number, workspace in enumerate(workspaces):
        await workspace.gets("no storage class is set", "volume claim shared")
        await workspace.gets("no storage class is set", f"volume claim dev-{number}-scratch")
        assert not workspace.having(f"dev-{1 - number}")


async def test_owners_that_may_not_be_read_are_said_once_and_all_else_goes_on(
    kube: KubeApi, namespace: str, workspace: WorkspaceLog, programs: Programs, tmp_path: Path
) -> None:
    kubeconfig = await restricted_user(kube, namespace, tmp_path / "restricted.kubeconfig")
    await grant(kube, namespace, home=namespace)
    await enforce_quota(kube, namespace, pods="0")
    await (await programs.shipper()).ready()
    watcher = await programs.watcher("--namespaces", namespace, "--kubeconfig", str(kubeconfig))
    await watcher.ready()
    await kube.create("jobs", namespace, job_of(workspace.token))
    await watcher.said("permission denied", "get on jobs")
    await kube.merge("resourcequotas", namespace, "quota", {"spec": {"hard": {"pods": "5"}}})
    await workspace.gets("🐳 Created pod: ws-", within_s=120.0)
    await workspace.gets("exceeded quota")  # it was kept for the pod
    assert watcher.log.count("permission denied") == 1


async def test_what_ends_a_node_is_told_to_the_pods_on_it(
    kube: KubeApi, namespace: str, new_workspace: MakeWorkspace, programs: Programs
) -> None:
    node, here, elsewhere = f"node-{uuid.uuid4().hex[:8]}", new_workspace(), new_workspace()
    await programs.start("--namespaces", namespace, "--node-events")
    for name, workspace in ((node, here), (f"{node}-2", elsewhere)):
        value = pod(name, container(workspace.token))
        value["spec"]["nodeName"] = name
        await kube.create("pods", namespace, value)
        await workspace.gets("🐳 Created pod")
    about = {"apiVersion": "v1", "kind": "Node", "metadata": {"namespace": "default", "name": node, "uid": node}}
    said = event(about, "SpotInterrupted", "Spot interruption warning was triggered", warning=True)
    del said["involvedObject"]["namespace"]
    await kube.create("events", "default", said)
    line = await here.gets("SpotInterrupted: Spot interruption warning was triggered", f"(node {node})")
    assert line.level == "warn"
    assert not elsewhere.having("Spot")
