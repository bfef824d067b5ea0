"""Which namespaces are selected, from what a list and a watch of them say."""

from __future__ import annotations

import asyncio
from random import Random

import msgspec
from prometheus_client import CollectorRegistry

from common.ids import Uid, Unit
from common.telemetry.metrics import WatcherMetrics
from tests.unit.watcher.rig import FakeApi, ManualClock, Rig, pod, until
from watcher.objects import Delta, Metadata, Namespace, Verb, decode_list, decode_watch
from watcher.reflection import Began, Changed, Completed, Found
from watcher.selection import CLOSING_S, Selection
from watcher.selectors import parse_labels

DELETED_AT = "2026-11-22T15:50:00Z"


def namespace(name: str, uid: str = "", *, deleted_at: str | None = None) -> Namespace:
    return Namespace(Metadata(name=name, uid=uid or name, resource_version="7", deletion_timestamp=deleted_at))


class Selected:
    """A selection, its clock, and what it said is gone."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        metrics = WatcherMetrics(CollectorRegistry())
        wanted = parse_labels("logs=on")
        self.selection = Selection(wanted, FakeApi(), metrics, self.clock, Random(1), watch_timeout_s=300)
        self.gone: list[Unit] = []
        self.selection.on_gone = self.gone.append

    async def lists(self, *found: Namespace) -> None:
        await self.selection.take(Began("5"))
        for each in found:  # a page each
            await self.selection.take(Found([each]))
        await self.selection.take(Completed("5", frozenset(Uid(each.metadata.uid) for each in found)))

    async def change(self, verb: Verb, changed: Namespace) -> None:
        await self.selection.take(Changed([Delta(verb, changed)], "8"))

    @property
    def names(self) -> list[str]:
        return sorted(self.selection.units())


async def test_a_list_counts_only_when_it_is_complete() -> None:
    """Half of one would give everything else away."""
    selected = Selected()
    await selected.lists(namespace("a"), namespace("b"))
    await selected.selection.take(Began("9"))
    await selected.selection.take(Found([namespace("b")]))
    assert selected.names == ["a", "b"]
    assert selected.selection.position == "5"


async def test_what_is_labelled_comes_and_what_loses_the_label_goes_at_once() -> None:
    selected = Selected()
    await selected.lists()
    await selected.change(Verb.ADDED, namespace("a"))
    await selected.change(Verb.MODIFIED, namespace("a"))
    assert selected.names == ["a"]
    await selected.change(Verb.DELETED, namespace("a"))
    assert (selected.names, selected.gone) == ([], [])


async def test_what_is_deleted_stays_for_a_while_and_is_asked_about() -> None:
    selected = Selected()
    await selected.lists(namespace("a"))
    await selected.change(Verb.MODIFIED, namespace("a", deleted_at=DELETED_AT))
    await selected.change(Verb.DELETED, namespace("a", deleted_at=DELETED_AT))
    assert (selected.names, selected.gone) == (["a"], [Unit("a")])
    selected.clock.now_s += CLOSING_S
    assert selected.names == []


async def test_what_a_list_lacks_may_be_gone() -> None:
    selected = Selected()
    await selected.lists(namespace("a"), namespace("b"))
    await selected.lists(namespace("b"))
    assert (selected.names, selected.gone) == (["a", "b"], [Unit("a")])
    selected.clock.now_s += CLOSING_S
    assert selected.names == ["b"]


async def test_a_namespace_made_anew_under_its_old_name_stays_selected() -> None:
    selected = Selected()
    await selected.lists(namespace("a", "first"))
    await selected.change(Verb.DELETED, namespace("a", "first", deleted_at=DELETED_AT))
    await selected.change(Verb.ADDED, namespace("a", "second"))
    selected.clock.now_s += CLOSING_S
    assert selected.names == ["a"]
    await selected.lists(namespace("a", "third"))
    assert selected.gone == [Unit("a")], "a list that has the name does not call it gone"


async def test_nothing_is_known_before_the_first_list() -> None:
    selected = Selected()
    assert selected.selection.trouble == "their list is under way"


def test_of_a_namespace_only_its_metadata_is_decoded() -> None:
    value = {"metadata": {"name": "a", "uid": "u", "resourceVersion": "7"}, "spec": 5, "status": []}
    line = decode_watch(Namespace, msgspec.json.encode({"type": "ADDED", "object": value}))
    assert isinstance(line, Delta)
    assert line.object.metadata.name == "a"
    page = decode_list(Namespace, msgspec.json.encode({"metadata": {"resourceVersion": "9"}, "items": [value]}))
    assert (page.malformed, [each.metadata.uid for each in page.items]) == (0, ["u"])


async def test_what_is_known_of_a_namespace_that_is_given_up_is_not_told_as_gone_though_it_is_asked_about() -> None:
    """It was suspected, then forgotten, and only then came the answer that it is not there."""
    rig = Rig()
    await rig.deliver("pods", "ADDED", pod())
    rig.absences.suspect(Uid("pod-1"))
    rig.directory.clear(lambda name: name == "ns")
    await rig.deliver("pods", "ADDED", pod("other", namespace="other"))
    rig.absences.suspect(Uid("other"))
    asking = asyncio.create_task(rig.absences.run())
    await until(lambda: "Pod Deleted" in rig.outbox.said)
    asking.cancel()
    assert [record.object.uid for record in rig.outbox.records if record.reason == "Deleted"] == ["other"]
