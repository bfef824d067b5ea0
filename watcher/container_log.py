"""Read the end of the log of one container that has ended: this one and no other of the same name.

The API has no request for the log of a container by its id. It gives that of the newest one, or with `previous` of the
one before, as the kubelet sees it at that moment, and a restart moves the one to the other. So the pod is looked at
before and after: if the container stands in the same place both times, its log is what was read. What is left is the
instant in which the kubelet has restarted it and the API server does not know yet.

Of the asked lines the kubelet sends the first bytes and leaves out the rest, which are the last words; so an answer
that is as long as it may be is asked for again with fewer lines. A log that was cleaned up comes as 200 with the text
of an error (kubernetes issue 142258). Source: the kubelet's and the API server's source (read).
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final, Protocol

from watcher.directory import Known
from watcher.kube_errors import NotFound, ServerFault
from watcher.objects import Pod, decode_pod
from watcher.paths import object_path
from watcher.pod_status import ContainerStatus

__all__ = ["ANSWER_MAX_BYTES", "LogApi", "Place", "place_of", "read_end"]

ANSWER_MAX_BYTES: Final = 128 * 1024
TRIES: Final = 3
"""How often the container may move while it is read, in one attempt."""
_FEWER: Final = 4
_CLEANED_UP: Final = (b"unable to retrieve container logs for ", b"failed to try resolving symlinks in path ")


class LogApi(Protocol):
    """What is needed of the Kubernetes API. Both raise `KubeError`."""

    async def get(self, path: str, query: Mapping[str, str] | None = None) -> bytes:
        """A whole answer."""
        ...

    async def get_beginning(self, path: str, query: Mapping[str, str], max_bytes: int) -> bytes:
        """An answer, or its beginning if it is longer."""
        ...


class Place(StrEnum):
    """Where a container that has ended stands in the status of its pod."""

    NEWEST = "state"
    PREVIOUS = "lastState"


def place_of(pod: Pod, uid: str, container: str, container_id: str) -> Place | None:
    """Where the container is, None if a newer one has taken its place."""
    status = pod.status
    if status is None or pod.metadata.uid != uid:
        return None
    for group in (status.init_container_statuses, status.container_statuses, status.ephemeral_container_statuses):
        for each in group or ():
            if each.name == container:
                return _place_in(each, container_id)
    return None


def _place_in(status: ContainerStatus, container_id: str) -> Place | None:
    for state, place in ((status.state, Place.NEWEST), (status.last_state, Place.PREVIOUS)):
        ended = state.terminated if state is not None else None
        if ended is not None and ended.container_id == container_id:
            return place
    return None


async def read_end(api: LogApi, known: Known, container: str, container_id: str, lines: int) -> bytes:
    """The last `lines` lines, or fewer, of the container's log.

    Raises `KubeError`: `NotFound` if there is none any more, `ServerFault` if it moved during each try.
    """
    path = object_path(known.kind, known.namespace, known.name)
    place = await _look(api, path, known, container, container_id)
    for _ in range(TRIES):
        body = await _tail(api, path, container, place, lines)
        before, place = place, await _look(api, path, known, container, container_id)
        if place is before:
            return body
    raise ServerFault("the container was restarted while its log was read")


async def _look(api: LogApi, path: str, known: Known, container: str, container_id: str) -> Place:
    try:
        pod = decode_pod(await api.get(path))
    except ValueError as error:
        raise ServerFault(f"no pod that can be read: {error}") from error
    place = place_of(pod, known.uid, container, container_id)
    if place is None:
        raise NotFound("a newer container has taken its place")
    return place


async def _tail(api: LogApi, path: str, container: str, place: Place, lines: int) -> bytes:
    while True:
        query = {"container": container, "tailLines": str(lines), "limitBytes": str(ANSWER_MAX_BYTES)}
        if place is Place.PREVIOUS:
            query["previous"] = "true"
        body = await api.get_beginning(f"{path}/log", query, ANSWER_MAX_BYTES)
        if body.startswith(_CLEANED_UP) and b"\n" not in body:
            raise NotFound("its log was cleaned up")
        if len(body) < ANSWER_MAX_BYTES or lines == 1:
            return body
        lines = max(1, lines // _FEWER)
