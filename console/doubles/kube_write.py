"""Writes through the Kubernetes API of the double: create, update, patch, delete. Pure."""

from __future__ import annotations

from typing import Any

import msgspec

from console.doubles import kube_status as refusals
from console.doubles.kube_read import Refused
from console.doubles.kube_resources import RESOURCES, Target
from console.doubles.kube_store import NoSuchObject, Store, Stored
from console.doubles.server import Reply, json_reply

__all__ = ["create", "delete", "get", "merge", "patch", "update"]


def get(store: Store, target: Target) -> Reply:
    """One object. Raises Refused."""
    return Reply(200, _existing(store, target).typed)


def create(store: Store, target: Target, body: bytes, now_s: float) -> Reply:
    """A new object. Raises Refused: the name is taken, the namespace does not exist."""
    value = _object(body)
    resource, metadata = target.resource, value["metadata"]
    if resource.namespaced:
        metadata["namespace"] = target.namespace
        namespaces = RESOURCES["namespaces"]
        _existing(store, Target(namespaces, name=target.namespace))
    try:
        store.get(resource, (metadata.get("namespace", ""), metadata["name"]))
    except NoSuchObject:
        return Reply(201, store.put(resource, {**resource.defaults, **value}, now_s).typed)
    raise Refused(refusals.already_exists(resource, metadata["name"]))


def update(store: Store, target: Target, body: bytes, now_s: float) -> Reply:
    """Replace an object. Raises Refused: it does not exist, or is newer than the version that the new one names."""
    before, value = _existing(store, target), _object(body)
    if value["metadata"].get("resourceVersion", str(before.version)) != str(before.version):
        raise Refused(refusals.conflict(target.resource, target.name))
    value["metadata"] |= {"namespace": target.namespace, "uid": before.uid}
    return Reply(200, store.put(target.resource, value, now_s).typed)


def patch(store: Store, target: Target, body: bytes, now_s: float) -> Reply:
    """Change an object by a merge patch (RFC 7396). Raises Refused: it does not exist."""
    before = _existing(store, target)
    value = merge(msgspec.json.decode(before.bare), msgspec.json.decode(body))
    return Reply(200, store.put(target.resource, value, now_s).typed)


def delete(store: Store, target: Target, now_s: float) -> Reply:
    """Take an object away at once, without grace, a namespace with all in it. Raises Refused: it does not exist."""
    gone = _existing(store, target)
    if target.resource.kind == "Namespace":
        return Reply(200, store.end_namespace(gone.name, now_s).typed)
    store.delete(target.resource, gone.key)
    details = {"name": gone.name, "kind": target.resource.plural, "uid": gone.uid}
    return json_reply(
        200, {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}
    )


def merge(value: Any, change: Any) -> Any:
    """`value` with a merge patch applied: null removes, objects are merged, all else replaces."""
    if not isinstance(change, dict):
        return change
    merged = dict(value) if isinstance(value, dict) else {}
    for name, part in change.items():
        if part is None:
            merged.pop(name, None)
        else:
            merged[name] = merge(merged.get(name), part)
    return merged


def _existing(store: Store, target: Target) -> Stored:
    try:
        return store.get(target.resource, (target.namespace, target.name))
    except NoSuchObject as error:
        raise Refused(refusals.not_found(target.resource, target.name)) from error


def _object(body: bytes) -> dict[str, Any]:
    try:
        value = msgspec.json.decode(body, type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise Refused(refusals.bad_request(str(error))) from error
    if not isinstance(value.get("metadata"), dict) or not value["metadata"].get("name"):
        raise Refused(refusals.bad_request("metadata.name: Required value"))
    return value
