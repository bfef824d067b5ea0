"""The Kubernetes double's objects: resource versions, history, snapshots, compaction. Pure: time is an argument.

As in etcd, one counter numbers the changes of all resources. Each object is serialised once, when it is written.
"""

from __future__ import annotations

import uuid
from bisect import bisect_right
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from console.doubles.kube_resources import RESOURCES, Resource, field_values
from console.doubles.kube_selectors import EVERYTHING, Selector

__all__ = ["Change", "Expired", "Key", "NoSuchObject", "Page", "Store", "Stored", "line_for"]

Key = tuple[str, str]
"""Namespace (empty if there is none) and name."""

FIRST_VERSION: Final = 1_000  # so that a client's version 1 is too old from the start, as in any real cluster


class NoSuchObject(Exception):
    """There is no object of that name."""


class Expired(Exception):
    """The history asked for is compacted away. `oldest` is the first version from which one may go on."""

    def __init__(self, oldest: int) -> None:
        super().__init__(oldest)
        self.oldest = oldest


class Stored(msgspec.Struct, frozen=True):
    """One state of one object."""

    resource: Resource
    namespace: str
    name: str
    uid: str
    version: int
    labels: dict[str, str]
    bare: bytes
    """JSON without kind and apiVersion, as in the items of a list."""

    @property
    def key(self) -> Key:
        return self.namespace, self.name

    @property
    def typed(self) -> bytes:
        """JSON with kind and apiVersion, as alone or in a watch."""
        head = f'{{"kind":"{self.resource.kind}","apiVersion":"{self.resource.api_version}",'
        return head.encode() + self.bare[1:]

    def matches(self, selector: Selector) -> bool:
        """Reading fields costs a decoding, which few requests ask for and each write would have to pay."""
        fields = field_values(self.resource, msgspec.json.decode(self.bare)) if selector.fields else {}
        return selector.matches(self.labels, fields)

    @property
    def created_at(self) -> str:
        return str(msgspec.json.decode(self.bare)["metadata"]["creationTimestamp"])

    def restamped(self, version: int) -> Stored:
        """The same state under another resource version."""
        value = msgspec.json.decode(self.bare)
        value["metadata"]["resourceVersion"] = str(version)
        return msgspec.structs.replace(self, version=version, bare=msgspec.json.encode(value))


class Change(msgspec.Struct, frozen=True):
    """One write. The line is what a watch without selectors gets."""

    version: int
    before: Stored | None
    after: Stored | None
    line: bytes

    @property
    def kind(self) -> str:
        if self.after is None:
            return "DELETED"
        return "ADDED" if self.before is None else "MODIFIED"

    @property
    def subject(self) -> Stored:
        """The newest state there is of the object."""
        state = self.after or self.before
        if state is None:
            raise AssertionError("a change of nothing")
        return state


class Page(msgspec.Struct, frozen=True):
    """Part of a list as of one version."""

    items: list[Stored]
    version: int
    left: int
    """How many matching objects follow."""


def watch_line(kind: str, stored: Stored) -> bytes:
    """One event of a watch."""
    return b'{"type":"%b","object":%b}\n' % (kind.encode(), stored.typed)


def line_for(change: Change, selector: Selector) -> bytes:
    """What a watch with `selector` is sent of `change`; empty if it concerns no object it may see.

    An object that stops matching is DELETED for that watch: in its last matching state, at the change's version.
    """
    if not selector:
        return change.line
    matched, matches = (state is not None and state.matches(selector) for state in (change.before, change.after))
    if matches and change.after is not None:
        return watch_line("MODIFIED" if matched else "ADDED", change.after)
    if matched and change.before is not None:
        return watch_line("DELETED", change.before.restamped(change.version))
    return b""


class Store:
    """All objects and the history of their changes. `on_change` is called after each write."""

    def __init__(self, on_change: Callable[[Change], None]) -> None:
        self.version = FIRST_VERSION
        self.compacted = FIRST_VERSION
        self._objects: dict[str, dict[Key, Stored]] = {plural: {} for plural in RESOURCES}
        self._history: dict[str, list[Change]] = {plural: [] for plural in RESOURCES}
        self._on_change = on_change

    def get(self, resource: Resource, key: Key) -> Stored:
        """Raises NoSuchObject."""
        try:
            return self._objects[resource.plural][key]
        except KeyError:
            raise NoSuchObject(key[1]) from None

    def put(self, resource: Resource, value: dict[str, Any], now_s: float) -> Stored:
        """Create an object or replace the one of its name; what the server fills in is filled in.

        As on a real server an update that alters nothing is no change and gets no version.
        """
        metadata = {**value["metadata"]}
        key = (metadata.get("namespace", "") if resource.namespaced else "", metadata["name"])
        before = self._objects[resource.plural].get(key)
        if before is not None and metadata.setdefault("uid", before.uid) != before.uid:
            self.delete(resource, key)
            before = None
        metadata.setdefault("uid", str(uuid.uuid4()))
        if resource.name_label:
            metadata["labels"] = {**(metadata.get("labels") or {}), resource.name_label: metadata["name"]}
        metadata.setdefault("creationTimestamp", before.created_at if before else _timestamp(now_s))
        value = {name: part for name, part in value.items() if name not in ("kind", "apiVersion")}
        value["metadata"] = metadata
        if before is not None and _stored(resource, value, before.version).bare == before.bare:
            return before
        self.version += 1
        after = _stored(resource, value, self.version)
        self._objects[resource.plural][key] = after
        self._record(Change(self.version, before, after, watch_line("MODIFIED" if before else "ADDED", after)))
        return after

    def delete(self, resource: Resource, key: Key) -> Stored:
        """Take an object away; answers its last state. Raises NoSuchObject."""
        before = self.get(resource, key)
        del self._objects[resource.plural][key]
        self.version += 1
        self._record(Change(self.version, before, None, watch_line("DELETED", before.restamped(self.version))))
        return before

    def end_namespace(self, name: str, now_s: float) -> Stored:
        """Take a namespace away as its controller does: it is marked, emptied, and gone; answers it as it was marked.

        Raises NoSuchObject.
        """
        namespaces = RESOURCES["namespaces"]
        before = msgspec.json.decode(self.get(namespaces, ("", name)).bare)
        before["metadata"]["deletionTimestamp"] = _timestamp(now_s)
        before["status"] = {"phase": "Terminating"}
        marked = self.put(namespaces, before, now_s)
        for resource in RESOURCES.values():
            for key in [key for key in self._objects[resource.plural] if key[0] == name]:
                self.delete(resource, key)
        self.delete(namespaces, ("", name))
        return marked

    def page(
        self,
        resource: Resource,
        namespace: str = "",
        selector: Selector = EVERYTHING,
        *,
        limit: int = 0,
        after: Key | None = None,
        version: int | None = None,
    ) -> Page:
        """Objects in order of their keys as of `version` (None: now), those behind `after`, at most `limit` (0: all).

        Raises Expired if that version is compacted. Costs a walk through the whole resource.
        """
        objects = self._objects[resource.plural] if version is None else self._snapshot(resource, version)
        matching = [
            stored
            for key, stored in sorted(objects.items())
            if (not namespace or key[0] == namespace) and (after is None or key > after) and stored.matches(selector)
        ]
        items = matching[:limit] if limit > 0 else matching
        return Page(items, self.version if version is None else version, len(matching) - len(items))

    def since(self, resource: Resource, version: int) -> Sequence[Change]:
        """The changes after `version`, oldest first. Raises Expired."""
        if version + 1 < self.compacted:
            raise Expired(self.compacted)
        history = self._history[resource.plural]
        return history[bisect_right(history, version, key=lambda change: change.version) :]

    def compact(self) -> None:
        """Forget the whole history: who wants to go on from a version that it has seen has to list anew.

        So do an API server's restart and a compaction of etcd together; either alone keeps some (measured, 1.35).
        """
        # Meanwhile other resources were written: the newest version that anyone has seen is among the forgotten.
        self.version += 2
        self.compacted = self.version
        for history in self._history.values():
            history.clear()

    def _snapshot(self, resource: Resource, version: int) -> dict[Key, Stored]:
        objects = dict(self._objects[resource.plural])
        for change in reversed(self.since(resource, version)):
            if change.before is None:
                objects.pop(change.subject.key)
            else:
                objects[change.before.key] = change.before
        return objects

    def _record(self, change: Change) -> None:
        self._history[change.subject.resource.plural].append(change)
        self._on_change(change)


def _timestamp(now_s: float) -> str:
    return datetime.fromtimestamp(now_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _stored(resource: Resource, value: dict[str, Any], version: int) -> Stored:
    metadata = {**value["metadata"], "resourceVersion": str(version)}
    return Stored(
        resource=resource,
        namespace=metadata.get("namespace", ""),
        name=metadata["name"],
        uid=metadata["uid"],
        version=version,
        labels=metadata.get("labels") or {},
        bare=msgspec.json.encode({**value, "metadata": metadata}),
    )
