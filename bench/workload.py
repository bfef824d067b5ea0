"""What the API double is told to write: workspaces, their pods and events, and when. Pure.

Pods and events are a recorded pod and event (Kubernetes 1.35) under other names, so their size and fields are real.
Every event's message ends in a mark, `[w00012.e3#0]`, by which its line is known again in Coder: workspace, event of
that workspace, and how often that event had been written before.
"""

from __future__ import annotations

import copy
import uuid
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec

from console.doubles.kube_control import Put, Step

__all__ = [
    "EVENTS_PER_WORKSPACE",
    "EVENT_SPACING_S",
    "NAMESPACE",
    "Workspace",
    "arrivals",
    "event",
    "idle",
    "pod",
    "recorded_pod",
    "repeats",
    "stream",
    "workspaces",
]

EVENTS_PER_WORKSPACE: Final = 6
EVENT_SPACING_S: Final = 0.005
NAMESPACE: Final = "bench"

_FOLDER: Final = Path(__file__).parent
_REASONS: Final = ("Scheduled", "Pulling", "Pulled", "Created", "Started", "Unhealthy")
_IDS: Final = uuid.UUID("5f0c6d7e-4f6e-4a53-9a55-0b4b7f2e9d10")


class Workspace(msgspec.Struct, frozen=True):
    """One workspace: one pod with one agent's token in it."""

    name: str
    uid: str
    token: str


def workspaces(number: int, prefix: str = "w") -> list[Workspace]:
    """`number` workspaces, the same ones at every call."""
    names = (f"{prefix}{place:05d}" for place in range(number))
    return [Workspace(name, str(uuid.uuid5(_IDS, f"pod {name}")), str(uuid.uuid5(_IDS, name))) for name in names]


def recorded_pod() -> bytes:
    """A pod as a real API server sent it."""
    return (_FOLDER / "recorded_pod.json").read_bytes()


_POD: Final[dict[str, Any]] = msgspec.json.decode(recorded_pod())
_EVENT: Final[dict[str, Any]] = msgspec.json.decode((_FOLDER / "recorded_event.json").read_bytes())


def pod(workspace: Workspace) -> dict[str, Any]:
    """The workspace's pod, running and ready."""
    made = copy.deepcopy(_POD)
    made["metadata"] |= {"name": workspace.name, "namespace": NAMESPACE, "uid": workspace.uid}
    made["metadata"]["labels"]["com.coder.workspace.name"] = workspace.name
    del made["metadata"]["creationTimestamp"]  # the double fills in the time at which it writes
    for variable in made["spec"]["containers"][0]["env"]:
        if variable["name"] == "CODER_AGENT_TOKEN":
            variable["value"] = workspace.token
    return made


def event(workspace: Workspace, place: int, repeat: int, unix_s: float) -> dict[str, Any]:
    """The workspace's event number `place` as written after `repeat` earlier writes, seen at `unix_s`."""
    name = f"{workspace.name}.e{place}"
    made = copy.deepcopy(_EVENT)
    seen_at = datetime.fromtimestamp(unix_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    uid = str(uuid.uuid5(_IDS, f"event {name}"))
    made["metadata"] |= {"name": name, "namespace": NAMESPACE, "uid": uid, "creationTimestamp": seen_at}
    made["involvedObject"] |= {"name": workspace.name, "namespace": NAMESPACE, "uid": workspace.uid}
    made |= {
        "reason": _REASONS[place % len(_REASONS)],
        # About as long as the recorded one, which the table of wordings hides.
        "message": f'Successfully pulled image "busybox:1.35" from a near registry [{name}#{repeat}]',
        "count": repeat + 1,
        "firstTimestamp": seen_at,
        "lastTimestamp": seen_at,
    }
    return made


def arrivals(
    new: Sequence[Workspace], *, every_s: float, start_unix_s: float, events: int = EVENTS_PER_WORKSPACE
) -> list[Step]:
    """One workspace each `every_s` seconds (0: all at once), `events` events each, 5 ms apart, the first after 5 ms."""
    return [
        step
        for number, workspace in enumerate(new)
        for step in _arrival(workspace, number * every_s, events, start_unix_s)
    ]


def _arrival(workspace: Workspace, at_s: float, events: int, start_unix_s: float) -> Iterator[Step]:
    yield Step(at_s, Put("pods", pod(workspace)))
    for place in range(events):
        event_at_s = at_s + (place + 1) * EVENT_SPACING_S
        yield Step(event_at_s, Put("events", event(workspace, place, 0, start_unix_s + event_at_s)))


def idle(new: Sequence[Workspace], *, every_s: float) -> list[Step]:
    """Pods without events, one each `every_s` seconds."""
    return [Step(number * every_s, Put("pods", pod(workspace))) for number, workspace in enumerate(new)]


def stream(workspace: Workspace, *, events: int, every_s: float, start_unix_s: float) -> list[Step]:
    """One pod and `events` different events of it, one each `every_s` seconds."""
    steps = [Step(0.0, Put("pods", pod(workspace)))]
    for place in range(events):
        at_s = (place + 1) * every_s
        steps.append(Step(at_s, Put("events", event(workspace, place, 0, start_unix_s + at_s))))
    return steps


def repeats(of: Sequence[Workspace], *, updates: int, per_s: float, start_unix_s: float) -> list[Step]:
    """`updates` writes of event 0 of the workspaces, which take turns, `per_s` writes a second. The first is number 1:
    number 0 was written before.
    """
    return [
        Step(
            number / per_s,
            Put("events", event(of[number % len(of)], 0, number // len(of) + 1, start_unix_s + number / per_s)),
        )
        for number in range(updates)
    ]
