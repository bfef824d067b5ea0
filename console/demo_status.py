"""What the status of a played pod says, and which Events say nothing more: the demo's own reading of it. Pure.

The judge must not use the watcher's eyes, so this is written anew, for the statuses that the demo's recordings hold: a
container that ends and is started again, one that is killed for memory, an image that cannot be pulled, a pod without a
node and one that is evicted, and how long it was until a pod was ready.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

__all__ = ["OWN_MARKS", "endings", "is_in_status", "status_facts"]

OWN_MARKS: Final = ("💥", "⏳", "📦", "🚫", "🏁", "⏱️")
"""How lines about a status begin."""
_REPEATED: Final = {
    "Failed": ("Failed to pull image", "Error: "),
    "BackOff": ("Back-off ",),
    "FailedScheduling": ("0/",),
    "Evicted": ("Usage of ",),
}
_PAUSE: Final = re.compile(r"back-off (\d+)s ")
_NO_NODE: Final = re.compile(r"(\d+/\d+ nodes) are available: (\d+ )(\w)([^.]*)\.")
_MEBIBYTES: Final = re.compile(r"(\d+)Mi")

_Told = tuple[str, str, int]


def is_in_status(event: dict[str, Any]) -> bool:
    """Whether the status of its pod says all that `event` says."""
    beginnings = _REPEATED.get(event.get("reason", ""), ())
    return event["involvedObject"]["kind"] == "Pod" and str(event["message"]).startswith(beginnings)


def status_facts(pod: dict[str, Any]) -> Iterator[_Told]:
    """What is counted, how its line begins, and the count; a line of a later count may stand for an earlier one."""
    status = pod.get("status", {})
    yield from _of_the_pod(pod, status)
    for container in status.get("containerStatuses", ()):
        yield from _ending(pod, container)
        yield from _waiting(pod["metadata"]["uid"], container)


def endings(pod: dict[str, Any]) -> Iterator[tuple[str, str, int]]:
    """The end of each container that has just failed: the pod's UID, the container, its restarts before."""
    for container in pod.get("status", {}).get("containerStatuses", ()):
        if container.get("state", {}).get("terminated", {}).get("exitCode", 0) != 0:
            yield pod["metadata"]["uid"], container["name"], container["restartCount"]


def _of_the_pod(pod: dict[str, Any], status: dict[str, Any]) -> Iterator[_Told]:
    uid = pod["metadata"]["uid"]
    if status.get("reason") == "Evicted":
        yield f"{uid}/end", f"🚫 The pod was evicted: {status['message'].strip()}", 1
    for condition in status.get("conditions", ()):
        if (condition["type"], condition["status"]) == ("Ready", "True"):
            yield f"{uid}/start", f"⏱️ Pod started in {_since_made(pod, condition['lastTransitionTime'])}", 1
        if (condition["type"], condition["status"]) == ("PodScheduled", "False"):
            short = _NO_NODE.match(condition["message"])
            why = f"{short[1]}: {short[2]}{short[3].lower()}{short[4]}" if short else ""
            yield f"{uid}/unscheduled", f"⏳ No node for the pod yet: {why}", 1


def _since_made(pod: dict[str, Any], at: str) -> str:
    span = datetime.fromisoformat(at) - datetime.fromisoformat(pod["metadata"]["creationTimestamp"])
    return f"{span.seconds} s" if span.seconds else "less than a second"


def _ending(pod: dict[str, Any], container: dict[str, Any]) -> Iterator[_Told]:
    ended = container.get("state", {}).get("terminated")
    if ended is None or ended["exitCode"] == 0 or "deletionTimestamp" in pod["metadata"]:
        return
    name, restarts, code = container["name"], container["restartCount"], ended["exitCode"]
    who = f"Restart {restarts} of container {name}" if restarts else f"Container {name}"
    if pod["status"].get("reason") == "Evicted":
        text = f"🏁 {who} ended with the pod (exit code {code}"
    elif ended.get("reason") == "OOMKilled":
        text = f"💥 {who} was killed: out of memory (OOMKilled, limit {_memory_limit(pod, name)}, exit code {code}"
    else:
        text = f"💥 {who} ended with exit code {code}"
    yield f"{pod['metadata']['uid']}/ended/{name}", text, restarts + 1


def _memory_limit(pod: dict[str, Any], container: str) -> str:
    (spec,) = (each for each in pod["spec"]["containers"] if each["name"] == container)
    return _MEBIBYTES.sub(r"\1 MiB", spec["resources"]["limits"]["memory"])


def _waiting(uid: str, container: dict[str, Any]) -> Iterator[_Told]:
    name, waiting = container["name"], container.get("state", {}).get("waiting", {})
    pause = _PAUSE.match(waiting.get("message", ""))
    if pause is not None:
        text = f"⏳ Container {name} ended too soon and is started again after a pause of {pause[1]} s"
        yield f"{uid}/back_off/{name}", text, int(pause[1])
    if waiting.get("reason") == "ErrImagePull":
        yield f"{uid}/image/{name}", f"📦 Image {container['image']} of container {name} cannot be pulled", 1
