"""Events of nodes: which are told, to whom, and nothing of what was before."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from random import Random
from typing import Any

import msgspec
import pytest

from common.ids import Uid
from tests.unit.watcher.rig import OTHER_TOKEN, TOKEN, FakeApi, Rig, agent_env, event, pod, take_list, until
from tests.unit.watcher.test_beside import heard
from watcher.lines import Oversized
from watcher.nodes import NODE_SCOPE, NodeEvents
from watcher.objects import Delta, Event, Verb
from watcher.reflection import Began, Changed, Completed, Found

AT = "2026-11-22T15:55:00Z"


def on_node(value: dict[str, Any], node: str = "node-1") -> dict[str, Any]:
    value["spec"]["nodeName"] = node
    return value


def of_node(uid: str = "n1", reason: str = "NodeNotReady", *, node: str = "node-1", **more: Any) -> Event:
    value = event(**{"uid": uid, "about": node, "kind": "Node", "namespace": "", "reason": reason, "at": AT, **more})
    value["metadata"]["namespace"] = "default"
    return msgspec.convert(value, Event)


def _nodes(rig: Rig) -> NodeEvents:
    return NodeEvents(rig.api, rig.router, rig.metrics, rig.clock, Random(1), watch_timeout_s=60.0)


async def _listed(nodes: NodeEvents, *events: Event, at: str = "50") -> None:
    await nodes.take(Began(at))
    await nodes.take(Found(list(events)))
    await nodes.take(Completed(at, frozenset()))


async def _changed(nodes: NodeEvents, *events: Event) -> None:
    await nodes.take(Changed([Delta(Verb.ADDED, each) for each in events], "60"))


async def test_all_pods_on_a_node_are_told_what_ends_it_in_whatever_namespace() -> None:
    rig = Rig()
    nodes = _nodes(rig)
    await rig.deliver("pods", "ADDED", on_node(pod()))
    await rig.deliver("pods", "ADDED", on_node(pod("p2", namespace="b", env=agent_env(OTHER_TOKEN))))
    await rig.deliver("pods", "ADDED", on_node(pod("p3", namespace="c", env=agent_env(OTHER_TOKEN)), "node-2"))
    await _listed(nodes)
    await _changed(nodes, of_node())
    assert heard(rig) == ["Pod Created", "Node NodeNotReady x1"]
    assert heard(rig, OTHER_TOKEN) == ["Pod Created", "Pod Created", "Node NodeNotReady x1"]
    about = rig.outbox.records[-1].object
    assert (about.kind, about.namespace, about.name) == ("Node", "", "node-1")


@pytest.mark.parametrize(
    ("reason", "kind"), [("NodeReady", "Node"), ("Starting", "Node"), ("NodeNotReady", "Pod"), ("SpotInterrupted", "X")]
)
async def test_what_ends_no_pod_is_not_told(reason: str, kind: str) -> None:
    rig = Rig()
    nodes = _nodes(rig)
    await rig.deliver("pods", "ADDED", on_node(pod()))
    await _listed(nodes, of_node(reason=reason, kind=kind))
    await _changed(nodes, of_node(reason=reason, kind=kind))
    assert rig.outbox.said == ["Pod Created"]
    assert len(rig.lingering) == 0


async def test_what_befell_a_node_before_the_pod_was_made_does_not_concern_it() -> None:
    rig = Rig()
    nodes = _nodes(rig)
    await _listed(nodes, of_node("before", at="2026-11-22T15:49:06Z"), of_node("after", at="2026-11-22T15:49:07Z"))
    await rig.deliver("pods", "ADDED", on_node(pod()))  # made at 15:49:07
    assert [entry.identity for entry in rig.outbox.entries] == ["pod-1/created", "after"]


async def test_a_start_tells_what_happened_meanwhile_but_not_to_those_who_were_ready_before_the_first() -> None:
    rig = Rig()
    nodes = _nodes(rig)
    old = on_node(pod("old", env=agent_env(OTHER_TOKEN), phase="Running", ready=True, started=True))
    await take_list(rig, pods=[old, on_node(pod("waiting"))])
    await _listed(nodes, of_node("n2", at="2026-11-22T15:57:00Z", version="9"), of_node())
    assert [entry.identity for entry in rig.outbox.entries] == ["waiting/created", "n1", "n2"]
    await _listed(nodes, of_node("n3", version="51"))  # a later list is of what this watch has missed
    assert heard(rig, OTHER_TOKEN) == ["Node NodeNotReady x1"]


async def test_a_pod_that_another_watcher_followed_is_told_what_came_before_it_was_taken_over() -> None:
    before = Rig()
    await before.deliver("pods", "ADDED", on_node(pod()))
    rig = Rig()
    nodes = _nodes(rig)
    await _listed(nodes)
    await _changed(nodes, of_node())
    assert rig.outbox.said == []
    rig.registrar.load(before.outbox.objects["pods/*"])
    rig.router.meet()
    rig.router.meet()
    assert rig.outbox.said == ["Node NodeNotReady x1"]


async def test_the_same_events_among_those_of_the_namespace_are_left_to_the_nodes_watch() -> None:
    rig = Rig()
    await rig.deliver("pods", "ADDED", on_node(pod()))
    await rig.deliver("events", "ADDED", msgspec.to_builtins(of_node()))
    assert rig.outbox.said == ["Pod Created"]


async def test_a_pod_that_went_hears_why() -> None:
    rig = Rig()
    nodes = _nodes(rig)
    await rig.deliver("pods", "ADDED", on_node(pod()))
    await rig.deliver("pods", "DELETED", on_node(pod(deleting=True)))
    await _listed(nodes)
    await _changed(nodes, of_node(reason="SpotInterrupted"))
    assert heard(rig, TOKEN) == ["Pod Created", "Pod Deleted", "Node SpotInterrupted x1"]
    assert rig.directory.get(Uid("pod-1")) is None
    assert rig.router.told_up_to(NODE_SCOPE, "70") == "50"


async def test_a_cluster_that_was_built_anew_has_a_history_of_its_own() -> None:
    rig = Rig()
    nodes = _nodes(rig)
    await take_list(rig, pods=[on_node(pod(phase="Running", ready=True, started=True))])
    await _listed(nodes, at="50")
    await _listed(nodes, of_node("n1", version="8"), at="9")
    assert rig.outbox.said == []
    await _listed(nodes, of_node("n2", version="10"), at="12")
    assert heard(rig) == ["Node NodeNotReady x1"]


class Listing(FakeApi):
    """Lists what it is given; its watches say one bookmark each when they are let."""

    def __init__(self, *events: Event) -> None:
        super().__init__()
        self.events = list(events)
        self.lists = 0
        self.speaks = asyncio.Event()

    async def get(self, path: str, query: Mapping[str, str] | None = None) -> bytes:
        self.lists += 1
        return msgspec.json.encode({"metadata": {"resourceVersion": "50"}, "items": self.events})

    async def watch(
        self, path: str, query: Mapping[str, str], *, inactivity_s: float
    ) -> AsyncGenerator[list[bytes | Oversized], None]:
        yield []
        await self.speaks.wait()
        self.speaks.clear()
        yield [b'{"type":"BOOKMARK","object":{"kind":"Event","metadata":{"resourceVersion":"51"}}}']
        await asyncio.Event().wait()


async def test_what_redis_may_have_lost_is_told_again_but_not_to_those_who_were_ready_before_the_first_start() -> None:
    rig, api = Rig(), Listing(of_node())
    nodes = NodeEvents(api, rig.router, rig.metrics, rig.clock, Random(1), watch_timeout_s=60.0)
    old = on_node(pod("old", env=agent_env(OTHER_TOKEN), phase="Running", ready=True, started=True))
    await take_list(rig, pods=[old, on_node(pod())])
    reading = asyncio.create_task(nodes.run())
    try:
        await until(lambda: heard(rig) == ["Pod Created", "Node NodeNotReady x1"])
        nodes.read_anew()
        api.speaks.set()
        await until(lambda: api.lists == 2 and len(heard(rig)) == 3)
        assert heard(rig) == ["Pod Created", *["Node NodeNotReady x1"] * 2]
        assert heard(rig, OTHER_TOKEN) == []
        api.speaks.set()
        await asyncio.sleep(0.01)
        assert api.lists == 2
    finally:
        reading.cancel()


class Paged(FakeApi):
    """Its list comes in two pages, of which the second one waits until it is let."""

    def __init__(self, listed: Event) -> None:
        super().__init__()
        self.listed = listed
        self.lists = 0
        self.has_begun = asyncio.Event()
        self.goes_on = asyncio.Event()
        self.is_watched = asyncio.Event()

    async def get(self, path: str, query: Mapping[str, str] | None = None) -> bytes:
        if "continue" in (query or {}):
            self.has_begun.set()
            await self.goes_on.wait()
            return msgspec.json.encode({"metadata": {"resourceVersion": "50"}, "items": []})
        self.lists += 1
        return msgspec.json.encode({"metadata": {"resourceVersion": "50", "continue": "2"}, "items": [self.listed]})

    async def watch(
        self, path: str, query: Mapping[str, str], *, inactivity_s: float
    ) -> AsyncGenerator[list[bytes | Oversized], None]:
        yield []
        self.is_watched.set()
        await asyncio.Event().wait()


async def test_redis_falling_back_during_the_first_list_tells_nothing_to_those_who_were_ready_before_it() -> None:
    rig, api = Rig(), Paged(of_node())
    nodes = NodeEvents(api, rig.router, rig.metrics, rig.clock, Random(1), watch_timeout_s=60.0)
    await take_list(rig, pods=[on_node(pod("old", phase="Running", ready=True, started=True))])
    reading = asyncio.create_task(nodes.run())
    try:
        await api.has_begun.wait()
        nodes.read_anew()
        api.goes_on.set()
        await api.is_watched.wait()
        assert api.lists == 2
        assert rig.outbox.said == []
    finally:
        reading.cancel()
