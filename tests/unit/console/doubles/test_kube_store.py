"""Versions, history and snapshots of the Kubernetes double's objects."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.doubles.kube_resources import RESOURCES
from console.doubles.kube_selectors import EVERYTHING, parse_selector
from console.doubles.kube_store import Change, Expired, Store, line_for

PODS = RESOURCES["pods"]
NAMESPACES = RESOURCES["namespaces"]
NOW_S = 1_795_000_000.0


def _pod(name: str, labels: dict[str, str] | None = None, **status: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": "ns", "labels": labels or {}}, "status": status}


def _store() -> tuple[Store, list[Change]]:
    changes: list[Change] = []
    return Store(changes.append), changes


def test_each_write_has_a_version_of_its_own() -> None:
    store, changes = _store()
    first = store.put(PODS, _pod("a"), NOW_S)
    second = store.put(PODS, _pod("a", phase="Running"), NOW_S)
    store.delete(PODS, ("ns", "a"))
    assert first.uid == second.uid
    assert [change.kind for change in changes] == ["ADDED", "MODIFIED", "DELETED"]
    versions = [change.version for change in changes]
    assert versions == sorted(set(versions))
    for change in changes:
        told = msgspec.json.decode(change.line)
        assert (told["type"], told["object"]["kind"]) == (change.kind, "Pod")
        assert told["object"]["metadata"]["resourceVersion"] == str(change.version)


def test_creation_time_stays() -> None:
    store, _ = _store()
    before = store.put(PODS, _pod("a"), NOW_S)
    assert store.put(PODS, _pod("a", phase="Running"), NOW_S + 60).created_at == before.created_at


def test_what_it_is_given_stays_as_it_is() -> None:
    store, _ = _store()
    value = {"kind": "Pod", "apiVersion": "v1", **_pod("a")}
    store.put(PODS, value, NOW_S)
    assert value == {"kind": "Pod", "apiVersion": "v1", **_pod("a")}


def test_a_compacted_version_is_expired_and_later_ones_are_not() -> None:
    store, _ = _store()
    store.put(PODS, _pod("a"), NOW_S)
    known = store.version
    store.compact()
    for ask in (lambda: store.since(PODS, known), lambda: store.page(PODS, version=known)):
        with pytest.raises(Expired):
            ask()
    listed = store.page(PODS).version
    store.put(PODS, _pod("b"), NOW_S)
    assert [change.subject.name for change in store.since(PODS, listed)] == ["b"]


def test_what_stops_matching_is_deleted_in_its_last_matching_state() -> None:
    store, changes = _store()
    selector = parse_selector("tier=x", "", ())
    for labels in ({"tier": "x"}, {"tier": "y"}, {"tier": "z"}):
        store.put(PODS, _pod("a", labels), NOW_S)
    added, deleted, nothing = (line_for(change, selector) for change in changes)
    assert msgspec.json.decode(added)["type"] == "ADDED"
    told = msgspec.json.decode(deleted)
    assert told["type"] == "DELETED"
    assert told["object"]["metadata"]["labels"] == {"tier": "x"}
    assert told["object"]["metadata"]["resourceVersion"] == str(changes[1].version)
    assert nothing == b""


Write = tuple[str, str | None]
writes = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["x", "y", None])), max_size=25)


def _carry_out(store: Store, write: Write) -> None:
    name, tier = write
    if tier is not None:
        store.put(PODS, _pod(name, {"tier": tier}), NOW_S)
    elif any(stored.name == name for stored in store.page(PODS).items):
        store.delete(PODS, ("ns", name))


@given(writes)
def test_a_snapshot_shows_what_a_list_showed_then(todo: list[Write]) -> None:
    store, _ = _store()
    shown = []
    for write in todo:
        _carry_out(store, write)
        shown.append((store.version, store.page(PODS).items))
    for version, items in shown:
        assert store.page(PODS, version=version).items == items


@given(writes, st.integers(0, 25), st.sampled_from(["", "tier=x", "tier!=x", "!tier"]))
def test_a_list_and_the_watch_after_it_add_up_to_a_later_list(todo: list[Write], listed_at: int, text: str) -> None:
    store, _ = _store()
    selector = parse_selector(text, "", ()) if text else EVERYTHING
    for write in todo[:listed_at]:
        _carry_out(store, write)
    page = store.page(PODS, selector=selector)
    known = {stored.name: stored.version for stored in page.items}
    for write in todo[listed_at:]:
        _carry_out(store, write)
    for change in store.since(PODS, page.version):
        line = line_for(change, selector)
        if not line:
            continue
        told = msgspec.json.decode(line)
        name, version = told["object"]["metadata"]["name"], int(told["object"]["metadata"]["resourceVersion"])
        assert version == change.version
        assert (told["type"] == "ADDED") == (name not in known)
        if told["type"] == "DELETED":
            del known[name]
        else:
            known[name] = version
    assert known == {stored.name: stored.version for stored in store.page(PODS, selector=selector).items}


@given(st.lists(st.tuples(st.sampled_from(["m", "n"]), st.sampled_from("abcd")), max_size=10), st.integers(1, 4))
def test_pages_add_up_to_the_list(keys: list[tuple[str, str]], limit: int) -> None:
    store, _ = _store()
    for namespace, name in keys:
        store.put(PODS, {"metadata": {"name": name, "namespace": namespace}}, NOW_S)
    whole = store.page(PODS)
    gathered = store.page(PODS, limit=limit)
    items = list(gathered.items)
    while gathered.left:
        gathered = store.page(PODS, limit=limit, after=items[-1].key, version=whole.version)
        items += gathered.items
    assert items == whole.items


def test_a_namespace_is_marked_emptied_and_gone() -> None:
    store, changes = _store()
    store.put(NAMESPACES, {"metadata": {"name": "ns"}}, NOW_S)
    store.put(PODS, _pod("a"), NOW_S)
    store.put(PODS, {"metadata": {"name": "b", "namespace": "other"}}, NOW_S)
    del changes[:]
    store.end_namespace("ns", NOW_S)
    assert [(change.kind, change.subject.name) for change in changes] == [
        ("MODIFIED", "ns"),
        ("DELETED", "a"),
        ("DELETED", "ns"),
    ]
    last = msgspec.json.decode(changes[-1].line)["object"]
    assert (last["status"]["phase"], "deletionTimestamp" in last["metadata"]) == ("Terminating", True)


def test_a_namespace_bears_its_name_as_a_label() -> None:
    store, _ = _store()
    made = store.put(NAMESPACES, {"metadata": {"name": "ns", "labels": {"a": "b"}}}, NOW_S)
    assert made.labels == {"a": "b", "kubernetes.io/metadata.name": "ns"}
