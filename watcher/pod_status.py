"""What this program reads of a pod's `status`. Structs only; `watcher/status.py` says what they tell.

Most pods are healthy and say little: `gc=False` and few fields keep the decoding of such a pod cheap. Source: FACTS 2,
recorded streams.
"""

from __future__ import annotations

from msgspec import Struct, field

from watcher.whole import Whole

__all__ = ["Condition", "ContainerState", "ContainerStatus", "PodStatus", "Running", "Terminated", "Waiting"]


class Waiting(Struct, frozen=True, gc=False):
    reason: str | None = None
    message: str | None = None


class Running(Struct, frozen=True, gc=False, rename="camel"):
    started_at: str | None = None


class Terminated(Struct, frozen=True, gc=False, rename="camel"):
    exit_code: Whole = 0
    signal: Whole | None = None
    reason: str | None = None
    message: str | None = None
    started_at: str | None = None
    finished_at: str | None = None
    container_id: str | None = field(name="containerID", default=None)


class ContainerState(Struct, frozen=True, gc=False):
    """One of the three is there; none means waiting."""

    waiting: Waiting | None = None
    running: Running | None = None
    terminated: Terminated | None = None


class ContainerStatus(Struct, frozen=True, gc=False, rename="camel"):
    name: str
    state: ContainerState | None = None
    last_state: ContainerState | None = None
    restart_count: Whole = 0
    image: str = ""


class Condition(Struct, frozen=True, gc=False, rename="camel"):
    type: str = ""
    status: str = ""
    reason: str | None = None
    message: str | None = None
    last_transition_time: str | None = None


class PodStatus(Struct, frozen=True, rename="camel"):
    phase: str = ""
    reason: str | None = None
    message: str | None = None
    start_time: str | None = None
    conditions: list[Condition] | None = None
    container_statuses: list[ContainerStatus] | None = None
    init_container_statuses: list[ContainerStatus] | None = None
    ephemeral_container_statuses: list[ContainerStatus] | None = None
