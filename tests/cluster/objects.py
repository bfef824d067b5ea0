"""Kubernetes objects as the tests write them: workspaces, and what happens to them."""

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

Object = dict[str, Any]

TOKEN = "CODER_AGENT_TOKEN"


def now() -> str:
    """The time as Kubernetes writes it: whole seconds."""
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def container(token: str) -> Object:
    """A container that holds its agent token as a value."""
    return {"name": "dev", "image": "example.test/dev:1", "env": [{"name": TOKEN, "value": token}]}


def container_with_secret(secret: str, key: str) -> Object:
    """A container that takes its agent token from a Secret."""
    source = {"secretKeyRef": {"name": secret, "key": key}}
    return {"name": "dev", "image": "example.test/dev:1", "env": [{"name": TOKEN, "valueFrom": source}]}


def pod(name: str, what: Object, labels: Mapping[str, str] | None = None) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": dict(labels or {})},
        "spec": {"containers": [what]},
    }


def deployment(name: str, what: Object, *, replicas: int = 1, labels: Mapping[str, str] | None = None) -> Object:
    chosen = {"app": name}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": chosen},
            "template": {"metadata": {"labels": chosen | dict(labels or {})}, "spec": {"containers": [what]}},
        },
    }


def stateful_set(name: str, spec: Object, *claims: Object) -> Object:
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": spec}
    made: Object = {"serviceName": name, "replicas": 1, "selector": {"matchLabels": labels}, "template": template}
    return {"metadata": {"name": name}, "spec": made | {"volumeClaimTemplates": list(claims)}}


def job(name: str, spec: Object) -> Object:
    template = {"spec": spec | {"restartPolicy": "Never"}}
    return {"metadata": {"name": name}, "spec": {"template": template, "activeDeadlineSeconds": 3600}}


def secret(name: str, **values: str) -> Object:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": values}


def config_map(name: str, **values: str) -> Object:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": values}


def quota(**hard: str) -> Object:
    return {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "quota"}, "spec": {"hard": hard}}


def event(about: Object, reason: str, message: str, *, warning: bool = False) -> Object:
    """An Event such as a kubelet writes, about an object as the API server returned it."""
    meta, at = about["metadata"], now()
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"{meta['name']}.{uuid.uuid4().hex[:16]}", "namespace": meta["namespace"]},
        "involvedObject": {
            "apiVersion": about["apiVersion"],
            "kind": about["kind"],
            "namespace": meta["namespace"],
            "name": meta["name"],
            "uid": meta["uid"],
        },
        "reason": reason,
        "message": message,
        "type": "Warning" if warning else "Normal",
        "source": {"component": "kubelet", "host": "node1"},
        "firstTimestamp": at,
        "lastTimestamp": at,
        "count": 1,
    }
