"""Times when nobody looked: no gap loses anything, and none makes anything be told twice."""

import asyncio
from collections import Counter

from tests.cluster.api import KubeApi
from tests.cluster.cluster import Cluster
from tests.cluster.conftest import MakeWorkspace
from tests.cluster.control_plane import ControlPlane
from tests.cluster.harness import Programs, WorkspaceLog
from tests.cluster.objects import container, event, pod


async def told_too_often(kube: KubeApi, namespace: str, *workspaces: WorkspaceLog) -> dict[str, int]:
    """Texts that stand in a log more than once, unless Kubernetes itself holds as many Events that say so."""
    said = Counter(item["message"] for item in await kube.items("events", namespace))
    seen = (Counter(line.text.partition(" (at ")[0] for line in workspace.lines()) for workspace in workspaces)
    return {
        text: times
        for log in seen
        for text, times in log.items()
        if times > max(1, sum(said[message] for message in said if message in text))
    }


async def restart_api_server(control_plane: ControlPlane, *, compacted: bool) -> None:
    await asyncio.to_thread(control_plane.kill_api_server)
    if compacted:
        await asyncio.to_thread(control_plane.compact)
    await asyncio.to_thread(control_plane.start_api_server)


async def test_what_happened_while_the_watcher_was_down_is_told_at_its_return(
    kube: KubeApi, namespace: str, new_workspace: MakeWorkspace, programs: Programs
) -> None:
    workspace, other = new_workspace(), new_workspace()
    watcher = await programs.start("--namespaces", namespace)
    made = await kube.create("pods", namespace, pod("dev", container(workspace.token)))
    await workspace.gets("No node for the pod yet")
    assert await watcher.stop() == 0

    await kube.create("events", namespace, event(made, "Killing", "Stopping container dev"))
    await kube.delete("pods", namespace, "dev")
    await kube.create("pods", namespace, pod("next", container(other.token)))
    again = await programs.watcher("--namespaces", namespace)

    await again.ready()
    await workspace.gets("Stopping container dev")
    await workspace.gets("🗑️ Deleted pod: dev")
    await other.gets("🐳 Created pod: next")
    assert await told_too_often(kube, namespace, workspace, other) == {}


async def test_a_killed_watcher_tells_nothing_twice_after_its_restart(
    kube: KubeApi, namespace: str, workspace: WorkspaceLog, programs: Programs
) -> None:
    watcher = await programs.start("--namespaces", namespace)
    made = await kube.create("pods", namespace, pod("dev", container(workspace.token)))
    for number in range(20):
        await kube.create("events", namespace, event(made, "Pulling", f"step {number} before"))
    await workspace.gets("step 10 before")
    await watcher.kill()
    await kube.create("events", namespace, event(made, "Pulled", "step 20 meanwhile"))
    await (await programs.watcher("--namespaces", namespace)).ready()
    await workspace.gets("step 20 meanwhile")
    steps = [int(line.text.split()[1]) for line in workspace.having("step ")]
    assert steps == list(range(21))
    assert await told_too_often(kube, namespace, workspace) == {}


async def test_a_compacted_history_loses_nothing(
    cluster: Cluster, kube: KubeApi, namespace: str, new_workspace: MakeWorkspace, programs: Programs
) -> None:
    control_plane = cluster.breakable
    workspace, other = new_workspace(), new_workspace()
    watcher = await programs.start("--namespaces", namespace)
    kept = await kube.create("pods", namespace, pod("kept", container(workspace.token)))
    await kube.create("pods", namespace, pod("gone", container(other.token)))
    await workspace.gets("Created pod: kept")
    await other.gets("Created pod: gone")
    assert await watcher.stop() == 0

    for number in range(5):
        await kube.create("events", namespace, event(kept, "Pulling", f"step {number}"))
    await kube.delete("pods", namespace, "gone")
    await restart_api_server(control_plane, compacted=True)
    again = await programs.watcher("--namespaces", namespace)

    await again.ready()
    await other.gets("🗑️ Deleted pod: gone")
    await workspace.gets("step 4")
    assert [line.text.split()[1] for line in workspace.having("step ")] == list("01234")
    assert await told_too_often(kube, namespace, workspace, other) == {}


async def test_an_api_server_that_restarts_is_followed_again(
    cluster: Cluster, kube: KubeApi, namespace: str, workspace: WorkspaceLog, programs: Programs
) -> None:
    control_plane = cluster.breakable
    await programs.start("--namespaces", namespace)
    made = await kube.create("pods", namespace, pod("dev", container(workspace.token)))
    await kube.create("events", namespace, event(made, "Pulling", "step 0"))
    await workspace.gets("step 0")
    await restart_api_server(control_plane, compacted=False)
    await kube.create("events", namespace, event(made, "Pulled", "step 1"))
    await workspace.gets("step 1")
    await restart_api_server(control_plane, compacted=True)
    await kube.create("events", namespace, event(made, "Started", "step 2"))
    await workspace.gets("step 2")
    assert await told_too_often(kube, namespace, workspace) == {}
    assert workspace.having("🗑️") == []
