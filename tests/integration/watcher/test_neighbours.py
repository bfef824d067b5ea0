"""Owners, claims and nodes from the API server to the streams, over restarts and refusals."""

from __future__ import annotations

from typing import Any

from console.doubles.kube_control import Forbid
from tests.integration.watcher.rig import Rig, until
from tests.unit.watcher.rig import OTHER_TOKEN, TOKEN, agent_env, event, pod, replica_set
from tests.unit.watcher.test_beside import claim, owned, with_claim, with_owner
from tests.unit.watcher.test_unmade import failed, maker

CLAIM = "PersistentVolumeClaim FailedBinding x1"
NODE_FLAG = {"CODER_LOGSTREAM_NODE_EVENTS": "true"}


def _of_node(uid: str = "n1") -> dict[str, object]:
    about: dict[str, Any] = {"about": "node-1", "kind": "Node", "namespace": "", "own_namespace": "default"}
    return event(uid, **about, reason="NodeNotReady", at="2026-11-22T15:55:00Z")


def _on_node(value: dict[str, object]) -> dict[str, object]:
    assert isinstance(value["spec"], dict)
    value["spec"]["nodeName"] = "node-1"
    return value


async def test_claims_and_owners_reach_all_whom_they_concern_once_over_restarts(rig: Rig) -> None:
    async with rig.watcher() as watcher:
        await rig.watching()
        rig.put("events", claim())
        rig.put("pods", with_claim(with_owner(pod())))
        owner = with_owner(replica_set("rs-1"), "Deployment", "dep-1")
        owner["metadata"]["creationTimestamp"] = "2026-11-22T15:49:07Z"
        rig.put("replicasets", owner)
        await until(lambda: _has(rig, TOKEN, CLAIM))
        await watcher.stop()
    rig.put("pods", with_claim(pod("pod-2", env=agent_env(OTHER_TOKEN))))
    rig.put("events", owned("ev-2"))
    rig.put("events", event("ev-3", about="dep-1", kind="Deployment", reason="ReplicaSetCreateError"))
    async with rig.watcher() as watcher:
        await until(lambda: _has(rig, TOKEN, "Job BackoffLimitExceeded x1"))
        await until(lambda: _has(rig, TOKEN, "Deployment ReplicaSetCreateError x1"))
        await rig.until_said(OTHER_TOKEN, "Pod Created", CLAIM)
        watcher.process.kill()
        await watcher.process.wait()
    rig.put("events", claim(count=2))
    async with rig.watcher():
        await rig.until_said(OTHER_TOKEN, "Pod Created", CLAIM, "PersistentVolumeClaim FailedBinding x2")
        await until(lambda: _has(rig, TOKEN, "PersistentVolumeClaim FailedBinding x2"))
        said = await rig.said(TOKEN)
        assert len(said) == len(set(said)) == 6


async def test_a_stateful_set_without_a_pod_tells_why_and_its_pod_repeats_nothing(rig: Rig) -> None:
    async with rig.watcher():
        await rig.watching()
        rig.put("statefulsets", maker())
        rig.put("events", failed())
        await rig.until_said(TOKEN, "StatefulSet FailedCreate x1")
        rig.put("pods", with_owner(pod(), "StatefulSet"))
        rig.put("events", failed(count=2))
        await until(lambda: _has(rig, TOKEN, "StatefulSet FailedCreate x2"))
        assert await rig.said(TOKEN) == ["StatefulSet FailedCreate x1", "Pod Created", "StatefulSet FailedCreate x2"]


async def test_owners_that_may_not_be_read_are_said_once_and_all_else_goes_on(rig: Rig) -> None:
    rig.kube.apply(Forbid("admin", "get", "jobs"))
    async with rig.watcher() as watcher:
        await rig.watching()
        rig.put("jobs", maker())
        for number in range(3):
            rig.put("events", failed("Job", uid=f"ev-{number}"))
        await watcher.said("permission denied", "get on jobs")
        rig.put("pods", with_owner(pod()))
        await until(lambda: _has(rig, TOKEN, "Job FailedCreate x1"))
        assert len(await rig.said(TOKEN)) == 4
        assert watcher.log().count("permission denied") == 1


async def test_nodes_are_watched_only_where_it_is_asked_for(rig: Rig) -> None:
    async with rig.watcher() as watcher:
        await rig.watching()
        rig.put("pods", _on_node(pod()))
        rig.put("events", _of_node())
        rig.put("events", event(version="9"))
        await rig.until_said(TOKEN, "Pod Created", "Pod Scheduled x1")
        await watcher.stop()
    async with rig.watcher(**NODE_FLAG) as watcher:
        await rig.watching(4)
        await rig.until_said(TOKEN, "Pod Created", "Pod Scheduled x1", "Node NodeNotReady x1")
        await watcher.stop()
    async with rig.watcher("--namespaces", "ns", **NODE_FLAG):
        await rig.watching(4)
        rig.put("events", _of_node("n2"))
        await rig.until_said(
            TOKEN, "Pod Created", "Pod Scheduled x1", "Node NodeNotReady x1", "Node NodeNotReady x1"
        )  # fmt: skip


async def test_nodes_that_may_not_be_watched_are_said_once_and_all_else_goes_on(rig: Rig) -> None:
    rig.kube.apply(Forbid("admin", "list", "events", "default"))
    async with rig.watcher("--namespaces", "ns", **NODE_FLAG) as watcher:
        await watcher.said("permission denied", "events in a Role in namespace 'default'")
        rig.put("pods", _on_node(pod()))
        rig.put("events", event())
        await rig.until_said(TOKEN, "Pod Created", "Pod Scheduled x1")
        assert watcher.log().count("permission denied") == 1


async def _has(rig: Rig, token: str, line: str) -> bool:
    return line in await rig.said(token)
