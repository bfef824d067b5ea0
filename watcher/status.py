"""What one look at a pod tells of its life: `facts_of`. Pure.

A healthy pod tells nothing, and finding that out must cost next to nothing, because most looks are at healthy pods.
What is read where: `endings`, `waits`, `conditions`; here are the pod's own end and the order. In that order a later
fact may come of an earlier one: the pod's end, then its conditions, then containers in the order of their start, each
one's endings before its wait.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from common.record import Aspect, Details, Level
from watcher.conditions import TELLING, condition_fact
from watcher.endings import EPHEMERAL, INIT, SIDECAR, endings
from watcher.facts import Fact, Look
from watcher.objects import Pod
from watcher.pod_status import ContainerStatus, PodStatus
from watcher.specs import Container
from watcher.versions import order_key
from watcher.waits import wait

__all__ = ["facts_of", "pod_end"]

_ALWAYS: Final = "Always"
_ENDED: Final = ("Succeeded", "Failed")


def facts_of(pod: Pod) -> Sequence[Fact]:
    """All that the status of `pod` tells, whether it was told before or not."""
    status = pod.status
    if status is None or _is_calm(pod, status):
        return ()
    look = Look(
        uid=pod.metadata.uid,
        namespace=pod.metadata.namespace,
        order=order_key(pod.metadata.resource_version),
        going=_is_going(pod, status),
    )
    facts = [pod_end(look.uid, look.namespace, status.reason, status.message or "")] if status.reason else []
    for condition in status.conditions or ():
        if (condition.type, condition.status) in TELLING:
            fact = condition_fact(look, status, condition)
            if fact is not None:
                facts.append(fact)
    for each, spec, role in _containers(pod, status):
        facts += endings(look, each, spec, role, restarts=_restarts(pod, role))
        waits = wait(look, each, role)
        if waits is not None:
            facts.append(waits)
    return facts


def pod_end(uid: str, namespace: str, reason: str, message: str, at_ms: int = 0) -> Fact:
    """A pod ended as a whole, for `reason`."""
    return Fact(
        about=uid,
        namespace=namespace,
        identity=f"{uid}/end/{reason}",
        version=1,
        topic=f"end/{reason}",
        times=1,
        reason=reason,
        message=message,
        level=Level.ERROR,
        details=Details(Aspect.POD_ENDED),
        at_ms=at_ms,
    )


def _is_calm(pod: Pod, status: PodStatus) -> bool:
    """Whether nothing in `status` can tell anything."""
    if status.reason:
        return False
    for condition in status.conditions or ():
        if (condition.type, condition.status) in TELLING:
            return False
    for group in (status.container_statuses, status.ephemeral_container_statuses):
        for each in group or ():
            if not _runs_well(each):
                return False
    return all(_runs_well(each) or _is_done(pod, each) for each in status.init_container_statuses or ())


def _runs_well(status: ContainerStatus) -> bool:
    """Whether it runs and has never ended before."""
    state, last = status.state, status.last_state
    return state is not None and state.running is not None and (last is None or last.terminated is None)


def _is_done(pod: Pod, status: ContainerStatus) -> bool:
    """Whether it is an init container that did its work at once; a sidecar must not end."""
    ended = status.state.terminated if status.state is not None else None
    if ended is None or ended.reason != "Completed" or status.restart_count:
        return False
    inits = (pod.spec.init_containers if pod.spec is not None else None) or ()
    return all(each.name != status.name or each.restart_policy != _ALWAYS for each in inits)


def _is_going(pod: Pod, status: PodStatus) -> bool:
    """Whether the pod was asked to end, or its end is a fact of its own."""
    if pod.metadata.deletion_timestamp is not None or status.reason:
        return True
    return any(each.type == "DisruptionTarget" and each.status == "True" for each in status.conditions or ())


def _containers(pod: Pod, status: PodStatus) -> Iterator[tuple[ContainerStatus, Container | None, str]]:
    """Each container's status, its specification and its role; first those that start first."""
    inits = {each.name: each for each in (pod.spec.init_containers if pod.spec is not None else None) or ()}
    mains = {each.name: each for each in (pod.spec.containers if pod.spec is not None else None) or ()}
    over = status.phase in _ENDED
    for each in status.init_container_statuses or ():
        spec = inits.get(each.name)
        sidecar = spec is not None and spec.restart_policy == _ALWAYS
        if not (sidecar and over):  # a sidecar of a pod that is over was asked to end
            yield each, spec, SIDECAR if sidecar else INIT
    for each in status.container_statuses or ():
        yield each, mains.get(each.name), ""
    for each in status.ephemeral_container_statuses or ():
        yield each, None, EPHEMERAL


def _restarts(pod: Pod, role: str) -> bool:
    """Whether a container of `role` is started again however it ended: then no end of it is wanted."""
    if role:
        return role == SIDECAR
    return pod.spec is None or pod.spec.restart_policy in (None, "", _ALWAYS)
