"""Names of what is watched: the API's paths and the Ledger's scopes. Pure."""

from __future__ import annotations

from typing import Final

from watcher.directory import ANY_NAMESPACE
from watcher.neighbours import JOB, STATEFUL_SET
from watcher.sightings import POD, REPLICA_SET

__all__ = [
    "EVENTS",
    "MAKER_PLURALS",
    "NAMESPACES",
    "PLURALS",
    "RESOURCES",
    "collection_path",
    "maker_path",
    "object_path",
    "scope_name",
]

EVENTS: Final = "events"
NAMESPACES: Final = "namespaces"
PLURALS: Final = {POD: "pods", REPLICA_SET: "replicasets"}
RESOURCES: Final = (*PLURALS.values(), EVENTS)
"""What is read of a unit."""
MAKER_PLURALS: Final = {STATEFUL_SET: "statefulsets", JOB: "jobs"}
"""What is read by name only."""
_MAKER_GROUPS: Final = {STATEFUL_SET: "/apis/apps/v1", JOB: "/apis/batch/v1"}
_GROUPS: Final = {"pods": "/api/v1", "events": "/api/v1", "namespaces": "/api/v1", "replicasets": "/apis/apps/v1"}


def collection_path(resource: str, namespace: str) -> str:
    """All of `resource` in `namespace`, or in the cluster."""
    group = _GROUPS[resource]
    return f"{group}/{resource}" if namespace == ANY_NAMESPACE else f"{group}/namespaces/{namespace}/{resource}"


def object_path(kind: str, namespace: str, name: str) -> str:
    return f"{collection_path(PLURALS[kind], namespace)}/{name}"


def maker_path(kind: str, namespace: str, name: str) -> str:
    """Of a kind in `MAKER_PLURALS`."""
    return f"{_MAKER_GROUPS[kind]}/namespaces/{namespace}/{MAKER_PLURALS[kind]}/{name}"


def scope_name(resource: str, namespace: str) -> str:
    """By which name the parking and the repeats tell one stream of `resource` from another."""
    return f"{resource}/{namespace}"
