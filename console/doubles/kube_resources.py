"""The resources that the Kubernetes double serves and how a request's path names them. Pure.

Source of the selectable fields and of what the watch cache serves: Kubernetes 1.35 (read, and recorded for bookmarks).
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

__all__ = ["RESOURCES", "Resource", "Target", "field_values", "parse_path"]

_METADATA: Final = ("metadata.name", "metadata.namespace")


class Resource(msgspec.Struct, frozen=True):
    """One kind of object and its peculiarities."""

    plural: str
    kind: str
    group: str = ""
    namespaced: bool = True
    fields: tuple[str, ...] = _METADATA
    """What a field selector may name."""
    cached: bool = True
    """False: lists and watches bypass the watch cache, so there are no periodic bookmarks."""
    empty: bytes = b""
    """Members that Go writes for an empty object of this kind, as seen in bookmarks."""
    defaults: dict[str, Any] = {}
    """Members that a created object gets if it has none of that name."""
    name_label: str = ""
    """The label that always bears an object's name, if there is one."""

    @property
    def api_version(self) -> str:
        return f"{self.group}/v1" if self.group else "v1"

    @property
    def qualified(self) -> str:
        """`pods`, `replicasets.apps`."""
        return f"{self.plural}.{self.group}" if self.group else self.plural


_WORKLOAD: Final = b',"selector":null,"template":{"metadata":{},"spec":{"containers":null}}'

RESOURCES: Final = {
    resource.plural: resource
    for resource in (
        Resource("namespaces", "Namespace", namespaced=False, fields=("metadata.name", "status.phase"),
                 empty=b',"spec":{},"status":{}', defaults={"status": {"phase": "Active"}},
                 name_label="kubernetes.io/metadata.name"),
        Resource("pods", "Pod", fields=(
            *_METADATA, "spec.nodeName", "spec.restartPolicy", "spec.schedulerName", "spec.serviceAccountName",
            "spec.hostNetwork", "status.phase", "status.podIP", "status.nominatedNodeName",
        ), empty=b',"spec":{"containers":null},"status":{}', defaults={"status": {"phase": "Pending"}}),
        Resource("events", "Event", cached=False, fields=(
            *_METADATA, "involvedObject.kind", "involvedObject.namespace", "involvedObject.name", "involvedObject.uid",
            "involvedObject.apiVersion", "involvedObject.resourceVersion", "involvedObject.fieldPath", "reason",
            "reportingComponent", "source", "type",
        )),
        Resource("secrets", "Secret", fields=(*_METADATA, "type"), defaults={"type": "Opaque"}),
        Resource("configmaps", "ConfigMap"),
        Resource("replicasets", "ReplicaSet", group="apps", fields=(*_METADATA, "status.replicas"),
                 empty=b',"spec":{"replicas":0' + _WORKLOAD + b'},"status":{"replicas":0}'),
        Resource("statefulsets", "StatefulSet", group="apps"),
        Resource("jobs", "Job", group="batch"),
        Resource("deployments", "Deployment", group="apps",
                 empty=b',"spec":{"replicas":0' + _WORKLOAD + b',"strategy":{}},"status":{}'),
    )
}  # fmt: skip


class Target(msgspec.Struct, frozen=True):
    """What a path names. An empty namespace is the whole cluster, an empty name the collection."""

    resource: Resource
    namespace: str = ""
    name: str = ""
    subresource: str = ""

    @property
    def right(self) -> str:
        """What a rule of access calls it. A status is its object's here."""
        return f"{self.resource.plural}/log" if self.subresource == "log" else self.resource.plural


def parse_path(path: str) -> Target | None:
    """What `path` names, None if the double serves no such thing."""
    match path.strip("/").split("/"):
        case ["api", "v1", *rest]:
            group = ""
        case ["apis", group, "v1", *rest]:
            pass
        case _:
            return None
    namespace = ""
    match rest:
        case ["namespaces", _, _, *_]:
            namespace, rest = rest[1], rest[2:]
    match rest:
        case [plural] | [plural, _] | [plural, _, "status"] | ["pods" as plural, _, "log"]:
            resource = RESOURCES.get(plural)
        case _:
            return None
    if resource is None or resource.group != group or (namespace and not resource.namespaced):
        return None
    name, subresource, *_ = [*rest[1:], "", ""]
    return None if name and resource.namespaced and not namespace else Target(resource, namespace, name, subresource)


def field_values(resource: Resource, value: dict[str, Any]) -> dict[str, str]:
    """The selectable fields of an object, absent ones as empty strings."""
    return {field: _dig(value, field) for field in resource.fields}


def _dig(value: dict[str, Any], field: str) -> str:
    found: Any = value
    # A field selector's `source` is the component's name, not the object.
    for step in ("source", "component") if field == "source" else field.split("."):
        found = found.get(step) if isinstance(found, dict) else None
    if isinstance(found, bool):
        return str(found).lower()
    return "" if found is None else str(found)
