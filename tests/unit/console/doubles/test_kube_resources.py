"""What paths name."""

from __future__ import annotations

import pytest

from console.doubles.kube_resources import RESOURCES, Target, parse_path


@pytest.mark.parametrize(
    ("path", "resource", "namespace", "name", "subresource"),
    [
        ("/api/v1/pods", "pods", "", "", ""),
        ("/api/v1/namespaces", "namespaces", "", "", ""),
        ("/api/v1/namespaces/n", "namespaces", "", "n", ""),
        ("/api/v1/namespaces/n/events", "events", "n", "", ""),
        ("/api/v1/namespaces/n/pods/p", "pods", "n", "p", ""),
        ("/api/v1/namespaces/n/pods/p/status", "pods", "n", "p", "status"),
        ("/apis/apps/v1/namespaces/n/replicasets", "replicasets", "n", "", ""),
    ],
)
def test_paths(path: str, resource: str, namespace: str, name: str, subresource: str) -> None:
    assert parse_path(path) == Target(RESOURCES[resource], namespace, name, subresource)


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/api/v1",
        "/api/v1/gadgets",
        "/api/v1/replicasets",  # of another group
        "/apis/apps/v1/pods",
        "/api/v1/pods/p",  # a name needs a namespace
        "/api/v1/namespaces/n/namespaces",
        "/api/v1/namespaces/n/pods/p/exec",
        "/apis/apps/v2/replicasets",
    ],
)
def test_paths_to_nowhere(path: str) -> None:
    assert parse_path(path) is None
