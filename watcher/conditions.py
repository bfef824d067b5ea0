"""What the conditions of a pod tell: no node for it, somebody about to end it, and what it had and lost. Pure.

A condition is known by the second of its last transition. Most conditions that are not True say only that a pod is on
its way, so two of them are judged by the time: a transition after the newest container began can only be a loss.
`Ready` without a reason was taken away by the node controller, because the node itself is not heard (recorded): its
reason is that of the Event which the node controller writes with it.
Source: FACTS 2.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from msgspec.structs import replace

from common.record import Aspect, Details, Level
from common.scheduling import condensed
from watcher.facts import Fact, Look, digest
from watcher.pod_status import Condition, ContainerStatus, PodStatus
from watcher.versions import unix_ms

__all__ = ["TELLING", "condition_fact"]

_BY_KUBELET: Final = "TerminationByKubelet"
_BY_NODE_CONTROLLER: Final = "NodeNotReady"
_LOSSES: Final = frozenset(("", "ContainersNotReady", "ReadinessGatesNotReady"))


def condition_fact(look: Look, status: PodStatus, condition: Condition) -> Fact | None:
    """What `condition` tells, which is one that `TELLING` names."""
    return _READERS[condition.type](look, status, condition)


def _unscheduled(look: Look, _status: PodStatus, condition: Condition) -> Fact | None:
    if look.going:
        return None
    known = f"{look.uid}/unscheduled/{digest(condition.reason or '', condensed(condition.message or ''))}"
    # It has no time of its own: the transition is that of the first message.
    return _fact(look, condition, Aspect.UNSCHEDULED, Level.WARN, known, 1, look.order, at_ms=0)


def _disrupted(look: Look, status: PodStatus, condition: Condition) -> Fact | None:
    if status.reason and condition.reason == _BY_KUBELET:
        return None  # the pod's end tells more
    return _dated(look, condition, Aspect.DISRUPTED, Level.ERROR)


def _unready(look: Look, status: PodStatus, condition: Condition) -> Fact | None:
    containers = status.container_statuses or ()
    lost = not look.going and status.phase == "Running" and (condition.reason or "") in _LOSSES
    # A container that does not run is its own fact.
    if not lost or not containers or any(_started_at_ms(each) == 0 for each in containers):
        return None
    if unix_ms(condition.last_transition_time) <= max(map(_started_at_ms, containers)):
        return None
    return _dated(look, condition, Aspect.UNREADY, Level.WARN, condition.reason or _BY_NODE_CONTROLLER)


def _sandbox(look: Look, status: PodStatus, condition: Condition) -> Fact | None:
    begun = max((_begun_at_ms(each) for each in status.container_statuses or ()), default=0)
    if look.going or status.phase != "Running" or not 0 < begun < unix_ms(condition.last_transition_time):
        return None
    return _dated(look, condition, Aspect.SANDBOX, Level.WARN)


_READERS: Final[dict[str, Callable[[Look, PodStatus, Condition], Fact | None]]] = {
    "PodScheduled": _unscheduled,
    "DisruptionTarget": _disrupted,
    "Ready": _unready,
    "PodReadyToStartContainers": _sandbox,
}
TELLING: Final = frozenset(
    (
        ("PodScheduled", "False"),
        ("DisruptionTarget", "True"),
        ("Ready", "False"),
        ("PodReadyToStartContainers", "False"),
    )
)
"""Type and status of those conditions that may tell something."""


def _dated(look: Look, condition: Condition, aspect: Aspect, level: Level, reason: str = "") -> Fact:
    """A fact whose telling is named by the second of its transition. `reason`: in place of the condition's."""
    at_ms = unix_ms(condition.last_transition_time)
    at_s = max(1, at_ms // 1000)
    fact = _fact(look, condition, aspect, level, f"{look.uid}/{aspect.value}", at_s, at_s, at_ms=at_ms)
    return replace(fact, reason=reason) if reason else fact


def _fact(
    look: Look,
    condition: Condition,
    aspect: Aspect,
    level: Level,
    identity: str,
    version: int,
    times: int,
    *,
    at_ms: int,
) -> Fact:
    return Fact(
        about=look.uid,
        namespace=look.namespace,
        identity=identity,
        version=version,
        topic=aspect.value,
        times=times,
        reason=condition.reason or "",
        message=condition.message or "",
        level=level,
        details=Details(aspect),
        at_ms=at_ms,
    )


def _started_at_ms(status: ContainerStatus) -> int:
    """When the container that runs began, 0 if none runs."""
    running = status.state.running if status.state is not None else None
    return unix_ms(running.started_at) if running is not None else 0


def _begun_at_ms(status: ContainerStatus) -> int:
    """When the newest container began, 0 if none has."""
    ended = status.state.terminated if status.state is not None else None
    return unix_ms(ended.started_at) if ended is not None else _started_at_ms(status)
