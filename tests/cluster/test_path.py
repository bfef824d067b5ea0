"""From a real API server to a workspace's log, through the real programs: live, in order, each thing once."""

import re

from tests.cluster.api import KubeApi
from tests.cluster.conftest import MakeNamespace, MakeWorkspace
from tests.cluster.harness import Line, Programs, WorkspaceLog, eventually
from tests.cluster.namespaces import enforce_quota
from tests.cluster.objects import (
    Object,
    container,
    container_with_secret,
    deployment,
    event,
    pod,
    secret,
)


async def only_item(kube: KubeApi, resource: str, namespace: str) -> Object:
    async def look() -> list[Object]:
        return await kube.items(resource, namespace)

    return (await eventually(look, lambda items: len(items) == 1, why=f"one of {resource} in {namespace}"))[0]


async def test_a_deployments_way_is_told_once_each_and_in_order(
    kube: KubeApi, namespace: str, workspace: WorkspaceLog, programs: Programs
) -> None:
    await programs.start("--namespaces", namespace)
    await kube.create("deployments", namespace, deployment("dev", container(workspace.token)))
    replica_set = (await only_item(kube, "replicasets", namespace))["metadata"]["name"]
    pod_name = (await only_item(kube, "pods", namespace))["metadata"]["name"]
    await workspace.gets("No node for the pod yet")  # the scheduler may say so more than once: there is no node
    await kube.delete("deployments", namespace, "dev")
    await workspace.gets("🗑️ Deleted pod")
    await workspace.gets("🗑️ Deleted ReplicaSet")

    told = [
        f"🐳 Queued pod from ReplicaSet: {replica_set}",
        f"🐳 Created pod: {pod_name}",
        f"🗑️ Deleted pod: {pod_name}",
        f"🗑️ Deleted ReplicaSet: {replica_set}",
    ]
    texts = [line.text for line in workspace.lines()]
    assert [sum(text.startswith(start) for text in texts) for start in told] == [1] * len(told), texts
    assert texts[0] == told[0]
    assert not [text for text in texts if "SuccessfulCreate" in text]  # the pod's own line says it
    assert texts.index(f"🐳 Created pod: {pod_name}") < texts.index(f"🗑️ Deleted pod: {pod_name}")


async def test_events_keep_their_order_and_their_level(
    kube: KubeApi, namespace: str, workspace: WorkspaceLog, programs: Programs
) -> None:
    await programs.start("--namespaces", namespace)
    made = await kube.create("pods", namespace, pod("dev", container(workspace.token)))
    steps = [("Pulling", False), ("Pulled", False), ("Failed", True), ("BackOff", True), ("Started", False)]
    for number, (reason, warning) in enumerate(steps):
        await kube.create("events", namespace, event(made, reason, f"{reason} step {number}", warning=warning))
    await workspace.gets("step 4")
    assert workspace.having(" step ") == [
        Line(level="warn" if warning else "debug", text=f"{reason} step {number}")
        for number, (reason, warning) in enumerate(steps)
    ]


async def test_pods_of_one_name_in_two_namespaces_are_told_apart(
    kube: KubeApi, new_namespace: MakeNamespace, new_workspace: MakeWorkspace, programs: Programs
) -> None:
    homes = [(await new_namespace(), new_workspace()) for _ in range(2)]
    await programs.start("--namespaces", ",".join(namespace for namespace, _ in homes))
    for namespace, workspace in homes:
        made = await kube.create("pods", namespace, pod("dev", container(workspace.token)))
        await kube.create("events", namespace, event(made, "Pulled", f"an image for {namespace}"))
    for namespace, workspace in homes:
        await workspace.gets(f"an image for {namespace}")
    for namespace, workspace in homes:
        assert [line.text for line in workspace.having("an image for")] == [f"an image for {namespace} (Pulled)"]
        assert len(workspace.having("🐳 Created pod")) == 1


async def test_a_quota_that_forbids_the_pod_is_told(
    kube: KubeApi, namespace: str, workspace: WorkspaceLog, programs: Programs
) -> None:
    await enforce_quota(kube, namespace, pods="0")
    await programs.start("--namespaces", namespace)
    await kube.create("deployments", namespace, deployment("dev", container(workspace.token)))
    line = await workspace.gets("exceeded quota")
    assert line.level == "warn"
    assert line.text.startswith("FailedCreate: ")
    assert await kube.items("pods", namespace) == []


async def test_tries_under_a_quota_are_few_lines_that_count_on_over_a_kill(
    kube: KubeApi, namespace: str, workspace: WorkspaceLog, programs: Programs
) -> None:
    async def tried() -> int:
        events = await kube.items("events", namespace)
        return sum(each["count"] for each in events if each["reason"] == "FailedCreate")

    async def told() -> list[int]:
        lines = (re.search(r" ×(\d+)", line.text) for line in workspace.having("FailedCreate: "))
        return [int(count[1]) if count else 1 for count in lines]

    await enforce_quota(kube, namespace, pods="0")
    watcher = await programs.start("--namespaces", namespace)
    await kube.create("deployments", namespace, deployment("dev", container(workspace.token)))
    before = await eventually(told, lambda counts: counts[-1:] >= [4], why="repeated tries")
    await watcher.kill()
    await programs.watcher("--namespaces", namespace)
    number = await eventually(tried, lambda number: number >= 12, within_s=60.0, why="12 tries")  # it backs off
    counts = await eventually(told, lambda counts: counts[-1] >= number, within_s=40.0, why="the count of them")
    assert counts[: len(before)] == before
    assert counts == sorted(set(counts))
    assert counts[-1] <= await tried()
    assert len(counts) <= 8, counts
    assert len(workspace.having("combined from similar events")) == 0


async def test_a_secret_that_comes_after_its_pod_still_makes_it_known(
    kube: KubeApi, namespace: str, workspace: WorkspaceLog, programs: Programs
) -> None:
    await programs.start("--namespaces", namespace)
    made = await kube.create("pods", namespace, pod("dev", container_with_secret("agent", "token")))
    message = 'MountVolume.SetUp failed for volume "agent" : secret "agent" not found'
    await kube.create("events", namespace, event(made, "FailedMount", message, warning=True))
    assert workspace.lines() == []
    await kube.create("secrets", namespace, secret("agent", token=workspace.token))
    await workspace.gets("🐳 Created pod: dev")
    await workspace.gets('secret "agent" not found')
    assert len(workspace.having("not found")) == 1


async def test_the_whole_cluster_is_watched_without_naming_namespaces(
    kube: KubeApi, new_namespace: MakeNamespace, new_workspace: MakeWorkspace, programs: Programs
) -> None:
    await programs.start()
    for _ in range(2):  # made after the start
        workspace = new_workspace()
        await kube.create("pods", await new_namespace(), pod("dev", container(workspace.token)))
        await workspace.gets("🐳 Created pod: dev")
