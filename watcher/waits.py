"""Why containers wait that ought to run. Pure.

An image that cannot be had is one topic, whatever Kubernetes calls it at the moment: it alternates between the error
of a try (`ErrImagePull`) and the pause after it (`ImagePullBackOff`), whose message holds the error, too, since
Kubernetes 1.32. Before, it held nothing: such a look is `vague`. A different error of the same image is news. Source:
FACTS 2, recorded streams, the kubelet's source (read).
"""

from __future__ import annotations

import re
from typing import Final

from common.record import Aspect, Details, Level
from watcher.endings import is_starting
from watcher.facts import Fact, Look, digest, unvarying
from watcher.pod_status import ContainerStatus, Waiting

__all__ = ["wait"]

CRASH_LOOP: Final = "CrashLoopBackOff"
PULL_BACK_OFF: Final = "ImagePullBackOff"
_IMAGE_REASONS: Final = frozenset(
    (
        PULL_BACK_OFF, "ErrImagePull", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError",
        "RegistryUnavailable", "SignatureValidationFailed",
    )
)  # fmt: skip
_PULL_PAUSE: Final = re.compile(r'Back-off pulling image "[^"]*"(?:: (?:([A-Z][A-Za-z]{1,60}): )?(.*))?', re.DOTALL)
_PAUSE: Final = re.compile(r"back-off (?:(\d{1,4})h)?(?:(\d{1,4})m)?(?:(\d{1,6})(?:\.\d+)?s)? ")


def wait(look: Look, status: ContainerStatus, role: str) -> Fact | None:
    """What keeps the container of `status` from running, None if nothing does or something else tells it."""
    waiting = status.state.waiting if status.state is not None else None
    if waiting is None or look.going or is_starting(waiting.reason):
        return None
    if waiting.reason == CRASH_LOOP:
        return _back_off(look, status, waiting, role)
    if waiting.reason in _IMAGE_REASONS:
        return _image(look, status, waiting, role)
    last = status.last_state.terminated if status.last_state is not None else None
    if last is not None and waiting.message and last.message == waiting.message:
        return None  # it failed as it started: that is its ending
    return _other(look, status, waiting, role)


def _back_off(look: Look, status: ContainerStatus, waiting: Waiting, role: str) -> Fact:
    pause_s = _pause_s(waiting.message or "")
    return Fact(
        about=look.uid,
        namespace=look.namespace,
        identity=f"{look.uid}/back_off/{status.name}",
        version=max(1, pause_s),
        topic=f"back_off/{status.name}",
        times=max(1, pause_s),
        reason=CRASH_LOOP,
        message=waiting.message or "",
        level=Level.WARN,
        details=Details(Aspect.BACK_OFF, role, status.image, restarts=status.restart_count, pause_s=pause_s),
        container=status.name,
    )


def _pause_s(message: str) -> int:
    pause = _PAUSE.match(message)
    if pause is None:
        return 0
    hours, minutes, seconds = (int(part or 0) for part in pause.groups())
    return hours * 3600 + minutes * 60 + seconds


def _image(look: Look, status: ContainerStatus, waiting: Waiting, role: str) -> Fact:
    reason, cause = waiting.reason or "", waiting.message or ""
    pause = _PULL_PAUSE.fullmatch(cause) if reason == PULL_BACK_OFF else None
    if pause is not None:
        reason, cause = pause[1] or ("ErrImagePull" if pause[2] else PULL_BACK_OFF), pause[2] or ""
    return Fact(
        about=look.uid,
        namespace=look.namespace,
        identity=f"{look.uid}/image/{status.name}/{digest(reason, unvarying(cause))}",
        version=status.restart_count + 1,
        topic=f"image/{status.name}",
        times=look.order,
        reason=reason,
        message=cause,
        level=Level.ERROR,
        details=Details(Aspect.IMAGE, role, status.image, restarts=status.restart_count),
        container=status.name,
        vague=not cause,
    )


def _other(look: Look, status: ContainerStatus, waiting: Waiting, role: str) -> Fact:
    reason, message = waiting.reason or "", waiting.message or ""
    return Fact(
        about=look.uid,
        namespace=look.namespace,
        identity=f"{look.uid}/waiting/{status.name}/{digest(reason, unvarying(message))}",
        version=status.restart_count + 1,
        topic=f"waiting/{status.name}/{reason}",
        times=look.order,
        reason=reason,
        message=message,
        level=Level.ERROR,
        details=Details(Aspect.WAITING, role, status.image, restarts=status.restart_count),
        container=status.name,
    )
