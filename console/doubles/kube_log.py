"""The logs of containers as a kubelet hands them out through the API server. Pure.

Which container's log a request gets depends on the pod's status, as in the kubelet; here it is the status that the API
shows, so both always agree. Source: the kubelet's `validateContainerLogStatus` and log reader, the API server's
`LogLocation` (Kubernetes 1.35, read); a log that was cleaned up as 200: kubernetes issue 142258.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from console.doubles import kube_status as refusals
from console.doubles.kube_read import Refused
from console.doubles.kube_resources import Target
from console.doubles.kube_store import NoSuchObject, Store
from console.doubles.server import Reply

__all__ = ["read_log"]

_GROUPS: Final = (
    ("containers", "containerStatuses"),
    ("initContainers", "initContainerStatuses"),
    ("ephemeralContainers", "ephemeralContainerStatuses"),
)


def read_log(store: Store, target: Target, query: Mapping[str, str], logs: Mapping[str, str]) -> Reply:
    """The log that `query` asks for; `logs` by container id. Raises Refused."""
    try:
        pod: dict[str, Any] = msgspec.json.decode(store.get(target.resource, (target.namespace, target.name)).bare)
    except NoSuchObject:
        raise Refused(refusals.not_found(target.resource, target.name)) from None
    name = _container(pod, query.get("container", ""))
    node = pod.get("spec", {}).get("nodeName")
    if not node:
        return Reply(204, b"", content_type="text/plain")
    if not logs:
        details = {"name": node, "kind": "pods"}  # so it says, in the words of the resource that was asked for
        raise Refused(refusals.status(404, f'pods "{node}" not found', "NotFound", details))
    container_id = _id(pod, name, previous=query.get("previous") == "true")
    text = logs.get(container_id)
    if text is None:
        return Reply(200, f"unable to retrieve container logs for {container_id}".encode(), content_type="text/plain")
    rows = text.encode().splitlines(keepends=True)
    if "tailLines" in query:
        rows = rows[max(0, len(rows) - int(query["tailLines"])) :]
    content = b"".join(rows)
    if "limitBytes" in query:
        content = content[: int(query["limitBytes"])]
    return Reply(200, content, content_type="text/plain")


def _container(pod: dict[str, Any], name: str) -> str:
    """The container that is meant. Raises Refused: it does not exist, or has to be named."""
    pod_name, spec = pod["metadata"]["name"], pod.get("spec", {})
    names = [each["name"] for group, _ in _GROUPS for each in spec.get(group) or ()]
    if name and name not in names:
        raise Refused(refusals.bad_request(f"container {name} is not valid for pod {pod_name}"))
    mains = [each["name"] for each in spec.get("containers") or ()]
    if not name and len(mains) != 1:
        told = f"a container name must be specified for pod {pod_name}, choose one of: [{' '.join(names)}]"
        raise Refused(refusals.bad_request(told))
    return name or str(mains[0])


def _id(pod: dict[str, Any], name: str, *, previous: bool) -> str:
    """The id of the container whose log a kubelet would read. Raises Refused."""
    status = next(
        (each for _, group in _GROUPS for each in pod.get("status", {}).get(group) or () if each["name"] == name), None
    )
    where = f'container "{name}" in pod "{pod["metadata"]["name"]}"'
    if status is None:
        raise Refused(refusals.bad_request(f"{where} is not available"))
    state, last = status.get("state") or {}, (status.get("lastState") or {}).get("terminated") or {}
    if previous:
        if not last.get("containerID"):
            raise Refused(refusals.bad_request(f"previous terminated {where} not found"))
        return str(last["containerID"])
    if "running" in state:
        return str(status.get("containerID", ""))
    ended = (state.get("terminated") or {}).get("containerID") or last.get("containerID")
    if ended:
        return str(ended)
    reason = (state.get("waiting") or {}).get("reason", "ContainerCreating")
    raise Refused(refusals.bad_request(f"{where} is waiting to start: {reason}"))
