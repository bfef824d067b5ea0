"""What the start of a pod went on: its one summary, from its status and what Events said of its images. Pure.

The ends of the phases come from what stays in the status (when the pod was scheduled, its init containers were done, it
was ready), so any watcher at any time reads the same. Only of images does the status say nothing: there Events are
needed, the first `Pulling` and `Pulled` of each container (`watcher/pulls.py`). The first of them also ends the phase
of the volumes: the condition `PodReadyToStartContainers` would, but kubelets set it only after the images were pulled
(kubernetes/kubernetes#134660). As containers of one pod are started one after the other (the kubelet's source, read),
their pulls add up.

A time that is not known leaves its phases out. So does one that cannot be, because clocks differ or somebody else's
Event says so. Decision and alternatives: ADR 32.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from msgspec import Struct

from common.record import Aspect, Details, Level, Timeline
from watcher.facts import Fact
from watcher.objects import Pod
from watcher.pod_status import Condition, ContainerStatus, PodStatus
from watcher.pulls import Pull
from watcher.versions import unix_ms

__all__ = ["Start", "had_started", "is_whole", "start_fact", "start_of"]

_SECOND_MS: Final = 1_000
_DOUBT_MS: Final = 3_000
"""By so much phases may exceed the whole before they cannot be right: times are cut to seconds, at four places."""


class Start(Struct, frozen=True):
    """What the status of a pod says of its start, which is over. Times are Unix."""

    uid: str
    namespace: str
    failed: bool
    created_at_ms: int
    scheduled_at_ms: int
    """0 if unknown."""
    initialized_at_ms: int
    """When its init containers were done, 0 also if it has none."""
    ended_at_ms: int
    """When it was ready, or failed."""
    inits: tuple[str, ...]
    begun: tuple[str, ...]
    """Containers that have been started, init containers among them: each has had its image."""


def start_of(pod: Pod) -> Start | None:
    """How the start of `pod` ended, None if it has not or nobody says when."""
    status = pod.status
    created_at_ms = unix_ms(pod.metadata.creation_timestamp)
    if status is None or not created_at_ms:
        return None
    ready = _since_ms(status, "Ready")
    if not ready and not _failed(pod, status):
        return None
    inits = tuple(each.name for each in status.init_container_statuses or ())
    ended_at_ms = ready or _failed_at_ms(status)
    if not ended_at_ms:
        return None
    return Start(
        uid=pod.metadata.uid,
        namespace=pod.metadata.namespace,
        failed=not ready,
        created_at_ms=created_at_ms,
        scheduled_at_ms=_since_ms(status, "PodScheduled"),
        initialized_at_ms=_since_ms(status, "Initialized") if inits else 0,
        ended_at_ms=ended_at_ms,
        inits=inits,
        begun=tuple(each.name for each in _containers(status) if ready or _has_begun(each)),
    )


def had_started(pod: Pod) -> bool:
    """Whether `pod` is not ready now, but was before: `Ready` was taken away after the kubelet had first said no."""
    if pod.status is None:
        return False
    since_ms = next((unix_ms(each.last_transition_time) for each in _conditions(pod.status, "Ready", "False")), 0)
    begun_ms = unix_ms(pod.status.start_time)
    return bool(begun_ms) and since_ms > begun_ms + _SECOND_MS


def is_whole(start: Start, pulls: Sequence[Pull]) -> bool:
    """Whether `pulls` say all that is to be known of the images."""
    whole = {pull.container for pull in pulls if pull.is_whole}
    return whole.issuperset(start.begun)


def start_fact(start: Start, pulls: Sequence[Pull]) -> Fact:
    """The summary of `start`."""
    aspect = Aspect.NOT_STARTED if start.failed else Aspect.STARTED
    return Fact(
        about=start.uid,
        namespace=start.namespace,
        identity=f"{start.uid}/start",
        version=1,
        topic="start",
        times=1,
        reason="PodFailed" if start.failed else "PodStarted",
        message="",
        level=Level.ERROR if start.failed else Level.DEBUG,
        details=Details(aspect, timeline=_timeline(start, pulls)),
        at_ms=start.ended_at_ms,
    )


def _timeline(start: Start, pulls: Sequence[Pull]) -> Timeline:
    total_ms = max(0, start.ended_at_ms - start.created_at_ms)
    if not start.scheduled_at_ms:
        return Timeline(total_ms)
    scheduled_ms = max(0, start.scheduled_at_ms - start.created_at_ms)
    known = Timeline(total_ms, scheduled_ms)
    of_each = {pull.container: pull for pull in pulls if pull.had_at_ms and pull.container in start.begun}
    spans = {name: _span_ms(pull) for name, pull in of_each.items()}
    if not start.begun or len(of_each) < len(set(start.begun)) or None in spans.values():
        return known
    images_ms = {name: span for name, span in spans.items() if span is not None}
    whole = _with_images(start, known, total_ms, of_each, images_ms)
    return known if whole is None else whole


def _with_images(
    start: Start, known: Timeline, total_ms: int, of_each: Mapping[str, Pull], images_ms: Mapping[str, int]
) -> Timeline | None:
    """`known` with what follows from the images, None if that cannot be."""
    scheduled_ms = known.scheduled_ms or 0
    first_at_ms = min(pull.asked_at_ms or pull.had_at_ms - images_ms[name] for name, pull in of_each.items())
    volumes_ms = max(0, first_at_ms - start.scheduled_at_ms)
    inits_ms = None
    if start.initialized_at_ms:
        images_of_inits_ms = sum(span for name, span in images_ms.items() if name in start.inits)
        inits_ms = max(0, start.initialized_at_ms - first_at_ms - images_of_inits_ms)
    rest_ms = total_ms - scheduled_ms - volumes_ms - sum(images_ms.values()) - (inits_ms or 0)
    if rest_ms < -_DOUBT_MS:
        return None
    in_inits = bool(start.inits) and not start.initialized_at_ms
    pulled = {pull.image: pull.size_bytes for pull in of_each.values() if not pull.cached}
    return Timeline(
        total_ms=total_ms,
        scheduled_ms=scheduled_ms,
        volumes_ms=volumes_ms,
        images_ms=sum(images_ms.values()),
        inits_ms=max(0, rest_ms) if in_inits else inits_ms,
        containers_ms=None if in_inits else max(0, rest_ms),
        pulled=len(pulled),
        cached=len({pull.image for pull in of_each.values()} - pulled.keys()),
        pulled_bytes=sum(pulled.values()) if all(pulled.values()) else 0,
    )


def _span_ms(pull: Pull) -> int | None:
    """From the first request for an image until it was there, None if unknown."""
    if not pull.asked_at_ms:
        return 0 if pull.cached else pull.took_ms or None
    span_ms = max(0, pull.had_at_ms - pull.asked_at_ms)
    # Both are cut to the second; a larger difference is of tries that failed before the one that `took_ms` is of.
    return span_ms if span_ms - pull.took_ms >= 2 * _SECOND_MS or not pull.took_ms else pull.took_ms


def _failed(pod: Pod, status: PodStatus) -> bool:
    """Whether it failed by itself, without ever having been ready."""
    return status.phase == "Failed" and pod.metadata.deletion_timestamp is None and not had_started(pod)


def _since_ms(status: PodStatus, kind: str) -> int:
    """Since when the condition `kind` is true, 0 if it is not or nobody says."""
    return next((unix_ms(each.last_transition_time) for each in _conditions(status, kind, "True")), 0)


def _conditions(status: PodStatus, kind: str, value: str) -> Iterator[Condition]:
    return (each for each in status.conditions or () if each.type == kind and each.status == value)


def _containers(status: PodStatus) -> Iterator[ContainerStatus]:
    """Those that a start needs."""
    yield from status.init_container_statuses or ()
    yield from status.container_statuses or ()


def _has_begun(status: ContainerStatus) -> bool:
    """Whether it was made. One that the kubelet gave up before has an ending, too, but no id."""
    states = [state for state in (status.state, status.last_state) if state is not None]
    return any(
        state.running is not None or (state.terminated is not None and state.terminated.container_id)
        for state in states
    )


def _failed_at_ms(status: PodStatus) -> int:
    """When its last container ended; of one that was evicted before it had any, when that was decided; else 0."""
    ended_at_ms = max((_ended_at_ms(each) for each in _containers(status)), default=0)
    return ended_at_ms or _since_ms(status, "DisruptionTarget")


def _ended_at_ms(status: ContainerStatus) -> int:
    ended = status.state.terminated if status.state is not None else None
    return unix_ms(ended.finished_at) if ended is not None else 0
