"""The control plane under test does what the other tests build on."""

import asyncio

import pytest

from tests.cluster.api import KubeApi
from tests.cluster.cluster import Cluster
from tests.cluster.harness import eventually
from tests.cluster.objects import Object, container, deployment, event, pod


async def test_a_deployment_becomes_a_pod_with_events(kube: KubeApi, namespace: str) -> None:
    await kube.create("deployments", namespace, deployment("app", container("none")))

    async def reasons() -> set[str]:
        return {str(item["reason"]) for item in await kube.items("events", namespace)}

    await eventually(reasons, lambda seen: seen >= {"SuccessfulCreate", "FailedScheduling"}, why="events")


async def test_an_event_about_a_pod_can_be_written(kube: KubeApi, namespace: str) -> None:
    made = await kube.create("pods", namespace, pod("app", container("none")))
    await kube.create("events", namespace, event(made, "Pulled", "Container image pulled"))
    assert "Pulled" in {item["reason"] for item in await kube.items("events", namespace)}


@pytest.mark.parametrize("resource", ["pods", "events"])
async def test_after_compaction_an_old_version_is_gone(
    kube: KubeApi, cluster: Cluster, namespace: str, resource: str
) -> None:
    control_plane = cluster.breakable
    path = f"/api/v1/namespaces/{namespace}/{resource}"
    before = str((await kube.call("GET", path))["metadata"]["resourceVersion"])
    await kube.create("pods", namespace, pod("app", container("none")))

    async def has_events() -> list[Object]:
        return await kube.items("events", namespace)

    await eventually(has_events, bool, why="an event about the pod")
    await asyncio.to_thread(control_plane.kill_api_server)
    await asyncio.to_thread(control_plane.compact)
    await asyncio.to_thread(control_plane.start_api_server)
    query = {"watch": "1", "resourceVersion": before, "timeoutSeconds": "1"}
    answer = await kube.call("GET", path, query=query)
    assert (answer["type"], answer["object"]["code"]) == ("ERROR", 410)
