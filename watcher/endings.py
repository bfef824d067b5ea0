"""How containers ended. Pure.

An ending is `state.terminated`, and afterwards, until the next, the sticky `lastState.terminated`: the same fact. It
is known by its number among the endings of its container, one more than the restarts before it. The kubelet shows
what ended under `lastState` while the container waits for its restart, still with the old count, or runs again, with
the next. A container's id tells the two readings of one ending apart from two endings, should a kubelet count
otherwise.

A level says how much it is news: the first ending and one after a long run are errors; one of a loop is a warning,
except for want of memory; what comes of a pod's own end is debug. That an init container is done is not told at all.
Source: FACTS 2, recorded streams, the kubelet's source (read).
"""

from __future__ import annotations

from typing import Final

from common.record import Aspect, Details, Level
from watcher.facts import Fact, Look
from watcher.limits import quantity_bytes
from watcher.pod_status import ContainerStatus, Terminated
from watcher.specs import Container
from watcher.versions import unix_ms

__all__ = ["INIT", "SIDECAR", "endings", "is_starting"]

INIT: Final = "init"
SIDECAR: Final = "sidecar"
EPHEMERAL: Final = "ephemeral"
OOM_KILLED: Final = "OOMKilled"
LOST: Final = "ContainerStatusUnknown"
"""The kubelet looked for the container and found none; the exit code 137 that comes with it is made up. So it also says
of one that was never made, when its pod goes.
"""
LONG_RUN_MS: Final = 600_000
"""After so long a run the kubelet forgets its back-off: a restart is no part of a loop any more."""
_STARTING: Final = frozenset(("", "ContainerCreating", "PodInitializing"))


def endings(look: Look, status: ContainerStatus, spec: Container | None, role: str, *, restarts: bool) -> list[Fact]:
    """The endings that `status` shows, older first. `restarts`: an ending with exit code 0 is unwanted, too."""
    shown = []
    if status.last_state is not None and (last := status.last_state.terminated) is not None:
        shown.append((last, status.restart_count + (0 if _has_begun(status) else 1)))
    if status.state is not None and (now := status.state.terminated) is not None:
        shown.append((now, status.restart_count + 1))
    return [
        _ending(look, status, spec, role, ended, max(1, number), restarts=restarts)
        for ended, number in shown
        if _tells(ended, role, going=look.going)
    ]


def is_starting(reason: str | None) -> bool:
    """Whether a container that waits for `reason` is only on its way."""
    return (reason or "") in _STARTING


def _has_begun(status: ContainerStatus) -> bool:
    """Whether the restart count covers already what came after the last ending."""
    waiting = status.state.waiting if status.state is not None else None
    return waiting is None or is_starting(waiting.reason)


def _tells(ended: Terminated, role: str, *, going: bool) -> bool:
    if ended.reason == LOST:
        return not going
    if ended.exit_code != 0 or ended.reason == OOM_KILLED:
        return True
    return not going and role not in (INIT, EPHEMERAL)


def _ending(
    look: Look,
    status: ContainerStatus,
    spec: Container | None,
    role: str,
    ended: Terminated,
    number: int,
    *,
    restarts: bool,
) -> Fact:
    reason = ended.reason or ""
    started_at_ms, ended_at_ms = unix_ms(ended.started_at), unix_ms(ended.finished_at)
    limits = spec.resources.limits if spec is not None and spec.resources is not None else None
    return Fact(
        about=look.uid,
        namespace=look.namespace,
        identity=f"{look.uid}/ended/{status.name}",
        version=number,
        topic=f"ended/{status.name}/{reason}/{ended.exit_code}",
        times=number,
        reason=reason,
        message=ended.message or "",
        level=_level(ended, number, ended_at_ms - (started_at_ms or ended_at_ms), going=look.going, restarts=restarts),
        details=Details(
            aspect=Aspect.ENDED,
            role=role,
            image=status.image,
            exit_code=ended.exit_code,
            signal=ended.signal or 0,
            restarts=number - 1,
            started_at_ms=started_at_ms,
            limit_bytes=quantity_bytes(limits.memory) if limits is not None else 0,
            expected=look.going,
        ),
        at_ms=ended_at_ms,
        container=status.name,
        sign=ended.container_id or "",
    )


def _level(ended: Terminated, number: int, ran_ms: int, *, going: bool, restarts: bool) -> Level:
    if going:
        return Level.DEBUG
    if ended.reason == OOM_KILLED:
        return Level.ERROR
    if ended.exit_code == 0:
        return Level.WARN if restarts else Level.DEBUG
    return Level.ERROR if number == 1 or ran_ms >= LONG_RUN_MS else Level.WARN
