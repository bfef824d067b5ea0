"""Carry out a plan's steps in the Kubernetes double, and remember what was said about whom, and who could hear it."""

from __future__ import annotations

import base64
import json
import uuid
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from aiohttp import web

from console.doubles.kube import KubeDouble
from console.doubles.kube_control import Delete, Put, SendLine
from console.doubles.kube_resources import Target
from console.doubles.server import Reply
from tests.faults.compressed import now_s
from tests.faults.plan import POISON, DeletePod, Plan, PutEvent, PutPod, PutReplicaSet, PutSecret, PutTry, Workspace
from tests.faults.record import Listed, Pod, Said

__all__ = ["Cluster", "RecordingKube"]


SINGLE_TRIES: Final = 9
"""So many tries have Events of their own; one stands for those that follow (client-go)."""
TRIES: Final = 900
"""From here on events of a workspace are tries, one number for each cause."""
_LETTERS: Final = "bcdfghjklmnpqrstvwxz2456789"


class RecordingKube(KubeDouble):
    """Remembers when it showed all pods of a namespace, or of all ("")."""

    def __init__(self, *, bookmark_every_s: float) -> None:
        super().__init__(bookmark_every_s=bookmark_every_s)
        self.listed: list[Listed] = []

    def _effect(self, request: web.BaseRequest, user: str, verb: str, target: Target, body: bytes) -> Reply:
        reply = super()._effect(request, user, verb, target, body)
        whole = request.query.get("limit") != "1"  # a list of one only asks for the version
        if verb == "list" and target.resource.plural == "pods" and reply.status == 200 and whole:
            self.listed.append(Listed(now_s(), target.namespace))
        return reply


class Cluster:
    """The workspaces of one plan."""

    def __init__(self, kube: KubeDouble, plan: Plan) -> None:
        self.said: list[Said] = []
        self.pods: dict[str, Pod] = {}
        self.compacted_s: list[float] = []
        self._kube = kube
        self._plan = plan
        self._uids: dict[str, str] = {}
        self._first_at: dict[str, str] = {}
        self._newest: dict[str, tuple[str, dict[str, Any]]] = {}
        self._tries: Counter[str] = Counter()

    def act(self, act: PutPod | DeletePod | PutEvent | PutReplicaSet | PutTry | PutSecret) -> None:
        match act:
            case PutSecret(index):
                about = self._plan.workspaces[index]
                data = {"token": base64.b64encode(about.token.encode()).decode()}
                metadata = {"name": f"w{index}", "namespace": about.namespace}
                self._kube.apply(Put("secrets", {"metadata": metadata, "data": data}))
            case PutPod():
                self._put_pod(act)
            case DeletePod():
                self._delete_pod(act)
            case PutEvent():
                self._put_event(act)
            case PutReplicaSet():
                self._put_replica_set(act)
            case PutTry():
                self._put_try(act)

    def repeat(self, index: int) -> None:
        """Deliver once more what was written some time ago."""
        if self._newest:
            names = sorted(self._newest)
            resource, value = self._newest[names[index % len(names)]]
            self._kube.apply(SendLine(json.dumps({"type": "MODIFIED", "object": value}) + "\n", resource))

    def _put_pod(self, act: PutPod) -> None:
        about, name = self._plan.workspaces[act.workspace], _pod(act.workspace, act.number)
        value = {
            "metadata": {"name": name, "namespace": about.namespace, "uid": self._uid(name)},
            "spec": _pod_spec(act.workspace, about),
            "status": {"phase": "Pending", "conditions": [{"type": "Ready", "status": "False"}]},
        }
        version = self._put("pods", value)
        self.pods[name] = Pod(about.token, now_s(), by_secret=about.by_secret, namespace=about.namespace)
        self.said.append(Said(about.token, name, f"created {name}", 1, version, now_s()))

    def _delete_pod(self, act: DeletePod) -> None:
        about, name = self._plan.workspaces[act.workspace], _pod(act.workspace, act.number)
        self._kube.apply(Delete("pods", name, about.namespace))
        self.pods[name] = msgspec.structs.replace(self.pods[name], went_s=now_s())
        self._newest.pop(name, None)
        self.said.append(Said(about.token, name, f"deleted {name}", 1, self._kube.writes()[-1].version, now_s()))

    def _put_event(self, act: PutEvent) -> None:
        about, pod = self._plan.workspaces[act.workspace], _pod(act.workspace, act.number)
        mark = f"w{act.workspace}e{act.event}"
        version = self._write_event(
            about.namespace, mark, ("Pod", pod), act.count,
            reason="Because",
            message=f"{mark} happened{' ' + POISON if act.poisonous else ''}",
            type="Warning" if act.event % 5 == 0 else "Normal",
            source={"component": "kubelet"},
        )  # fmt: skip
        self.said.append(Said(about.token, pod, mark, act.count, version, now_s()))

    def _put_replica_set(self, act: PutReplicaSet) -> None:
        about, name = self._plan.workspaces[act.workspace], _replica_set(act.workspace)
        value = {
            "metadata": {"name": name, "namespace": about.namespace, "uid": self._uid(name)},
            "spec": {"replicas": 2, "template": {"spec": _pod_spec(act.workspace, about)}},
            "status": {"replicas": 1},
        }
        self._put("replicasets", value)
        self.pods[name] = Pod(about.token, now_s(), by_secret=about.by_secret, namespace=about.namespace)

    def _put_try(self, act: PutTry) -> None:
        """As client-go writes them: each pod has another name, and so each of the first tries is another Event."""
        about, owner = self._plan.workspaces[act.workspace], _replica_set(act.workspace)
        mark = f"w{act.workspace}e{TRIES + act.cause}"
        self._tries[mark] += 1
        combined = self._tries[mark] - SINGLE_TRIES
        name = f"{mark}-combined" if combined > 0 else f"{mark}-{act.number}"
        pod = f"{owner}-{''.join(_LETTERS[act.number // len(_LETTERS) ** place % len(_LETTERS)] for place in range(5))}"
        said = f'Error creating: pods "{pod}" is forbidden: {mark} forbids'
        version = self._write_event(
            about.namespace, name, ("ReplicaSet", owner), max(1, combined),
            reason="FailedCreate",
            message=f"(combined from similar events): {said}" if combined > 0 else said,
            type="Warning",
            source={"component": "replicaset-controller"},
        )  # fmt: skip
        self.said.append(Said(about.token, owner, mark, self._tries[mark], version, now_s()))

    def _write_event(self, namespace: str, name: str, about: tuple[str, str], count: int, **said: object) -> int:
        """An Event about the object of this kind and name that has happened `count` times. Answers its version."""
        at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        kind, involved = about
        value = {
            "metadata": {"name": name, "namespace": namespace, "uid": self._uid(name)},
            "involvedObject": {"kind": kind, "namespace": namespace, "name": involved, "uid": self._uid(involved)},
            "count": count,
            "firstTimestamp": self._first_at.setdefault(name, at),
            "lastTimestamp": at,
            **said,
        }
        return self._put("events", value)

    def names(self, uids: Iterable[str]) -> frozenset[str]:
        """What the objects of `uids` are called."""
        wanted = frozenset(uids)
        return frozenset(name for name, uid in self._uids.items() if uid in wanted)

    def _put(self, resource: str, value: dict[str, Any]) -> int:
        self._kube.apply(Put(resource, value))
        version = self._kube.writes()[-1].version
        value = {**value, "metadata": {**value["metadata"], "resourceVersion": str(version)}}
        self._newest[value["metadata"]["name"]] = (resource, value)
        return version

    def _uid(self, name: str) -> str:
        return self._uids.setdefault(name, str(uuid.uuid5(uuid.NAMESPACE_OID, f"{self._plan.seed}/{name}")))


def _pod_spec(index: int, about: Workspace) -> dict[str, Any]:
    source: dict[str, Any] = {"value": about.token}
    if about.by_secret:
        source = {"valueFrom": {"secretKeyRef": {"name": f"w{index}", "key": "token"}}}
    return {"containers": [{"name": "main", "env": [{"name": "CODER_AGENT_TOKEN", **source}]}]}


def _replica_set(workspace: int) -> str:
    return f"w{workspace}-rs"


def _pod(workspace: int, number: int) -> str:
    return f"w{workspace}-pod{number}"
