"""Strategies for what a pod's status may say, and for what Redis may hold of it: right in the main, wrong in places."""

from __future__ import annotations

from typing import Any, Final

from hypothesis import strategies as st

from common.ids import Uid
from common.record import STATUS_VERSION, Aspect, Details, Level, LogRecord, ObjectRef, Origin, Timeline
from tests.faults.generated import json_values, likely, messages, nasty, objects, words
from watcher.pulls import Pull
from watcher.timeline import Start

__all__ = ["pods", "pulls", "starts", "status_records"]

numbers: Final = st.integers(0, 9) | st.integers(-(2**31), 2**31 - 1) | st.sampled_from((2**63, 2**64, 2**70, -(2**70)))
reasons: Final = st.one_of(
    st.sampled_from(
        ("", "OOMKilled", "Error", "Completed", "StartError", "ContainerCannotRun", "ContainerStatusUnknown",
         "CrashLoopBackOff", "ErrImagePull", "ImagePullBackOff", "InvalidImageName", "CreateContainerConfigError",
         "RunContainerError", "ContainerCreating", "PodInitializing", "Evicted", "NodeLost", "Preempting",
         "Unschedulable", "PreemptionByScheduler", "TerminationByKubelet", "ContainersNotReady", "LastWords")
    ),
    words, nasty,
)  # fmt: skip
causes: Final = st.one_of(
    messages,
    st.builds(
        lambda form, text: form.replace("…", text),
        st.sampled_from(
            (
                'Back-off pulling image "…": ErrImagePull: …', 'Back-off pulling image "…"',
                "back-off 1h2m3.5s restarting failed container=… pod=…",
                "0/5 nodes are available: 3 Insufficient …, 2 …",
                "0/5 nodes are available: 99999999999999999999 node(s) had …. preemption: …",
                "exceeded quota: q, requested: …=1, used: …=1, limited: …=1",
                "exceeded quota: q.…, requested: pods=1,cpu=2, used: pods=1,cpu=2, limited: pods=1,cpu=2",
                'rpc error: code = NotFound desc = failed to pull image "…": …: unknown: unknown',
                "failed to create containerd task: OCI runtime create failed: … no space left on device …",
            )
        ),
        nasty | words,
    ),
)  # fmt: skip
times: Final = st.sampled_from(
    (None, "", "2026-11-22T15:49:08Z", "2026-11-22T15:49:38Z", "2026-11-22T16:49:08Z", "0001-01-01T00:00:00Z",
     "9999-12-31T23:59:59Z", "9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59", "2026-11-22T15:49:08",
     "nonsense")
)  # fmt: skip


@st.composite
def _states(draw: st.DrawFn) -> dict[str, Any]:
    ended = {
        "exitCode": draw(numbers), "signal": draw(st.none() | numbers), "reason": draw(st.none() | reasons),
        "message": draw(st.none() | causes), "startedAt": draw(times), "finishedAt": draw(times),
        "containerID": draw(st.none() | words),
    }  # fmt: skip
    waiting = {"reason": draw(st.none() | reasons), "message": draw(st.none() | causes)}
    return draw(
        st.sampled_from(
            ({}, {"terminated": ended}, {"waiting": waiting}, {"running": {"startedAt": draw(times)}},
             {"terminated": ended, "waiting": waiting})
        )
    )  # fmt: skip


@st.composite
def _containers(draw: st.DrawFn) -> dict[str, Any]:
    return {
        "name": draw(st.sampled_from(("main", "helper")) | nasty), "state": draw(st.none() | _states()),
        "lastState": draw(st.none() | _states()), "restartCount": draw(numbers), "image": draw(words | nasty),
    }  # fmt: skip


@st.composite
def _conditions(draw: st.DrawFn) -> dict[str, Any]:
    kinds = ("PodScheduled", "DisruptionTarget", "Ready", "PodReadyToStartContainers", "Initialized")
    return {
        "type": draw(st.sampled_from(kinds)), "status": draw(st.sampled_from(("True", "False", "Unknown"))),
        "reason": draw(st.none() | reasons), "message": draw(st.none() | causes), "lastTransitionTime": draw(times),
    }  # fmt: skip


_specs: Final = st.fixed_dictionaries(
    {
        "name": st.sampled_from(("main", "helper")),
        "restartPolicy": st.sampled_from((None, "Always", "Never")),
        "resources": st.fixed_dictionaries(
            {
                "limits": st.fixed_dictionaries(
                    {"memory": st.sampled_from((None, "32Mi", "1e99", "99999999999999999999Ei"))}
                )
            }
        ),
    }
)
_lists: Final = st.none() | st.lists(_containers(), max_size=2)


@st.composite
def pods(draw: st.DrawFn) -> dict[str, Any]:
    """A pod with something to tell."""
    status: dict[str, Any] = {
        "phase": draw(st.sampled_from(("Pending", "Running", "Failed", "Succeeded"))),
        "reason": draw(st.none() | reasons), "message": draw(st.none() | causes), "startTime": draw(times),
        "conditions": draw(st.none() | st.lists(_conditions(), max_size=3)), "containerStatuses": draw(_lists),
        "initContainerStatuses": draw(_lists), "ephemeralContainerStatuses": draw(_lists),
    }  # fmt: skip
    for key in draw(st.lists(st.sampled_from(sorted(status)), max_size=1)):
        status[key] = draw(status_parts)
    metadata = {
        "name": "pod", "namespace": "ns", "uid": "u", "resourceVersion": draw(likely | words),
        "creationTimestamp": draw(times), "deletionTimestamp": draw(times),
    }  # fmt: skip
    spec = {
        "containers": draw(st.lists(_specs, max_size=2)), "initContainers": draw(st.lists(_specs, max_size=2)),
        "restartPolicy": draw(st.sampled_from((None, "Always", "Never"))),
    }  # fmt: skip
    return {"metadata": metadata, "spec": spec, "status": status}


status_parts: Final = st.none() | json_values | objects
at_ms: Final = st.just(0) | st.integers(1, 2**45) | st.integers(1, 2**70)
pulls: Final = st.builds(
    Pull, st.sampled_from(("main", "helper", "other")), asked_at_ms=at_ms, had_at_ms=at_ms, took_ms=at_ms,
    size_bytes=st.integers(0, 10**15), image=words, cached=st.booleans(),
)  # fmt: skip
starts: Final = st.builds(
    Start, uid=st.just("u"), namespace=st.just("ns"), failed=st.booleans(), created_at_ms=st.integers(1, 2**45),
    scheduled_at_ms=st.integers(0, 2**45), initialized_at_ms=st.integers(0, 2**45), ended_at_ms=st.integers(1, 2**45),
    inits=st.sampled_from(((), ("helper",))), begun=st.sampled_from(((), ("main",), ("helper", "main"))),
)  # fmt: skip

# -- what Redis may hold: whatever another release, or anybody with the password, has written

_any_number: Final = st.integers(-(2**63), 2**64 - 1) | st.integers(0, 200)
_details: Final = st.builds(
    Details,
    st.sampled_from([*map(str, Aspect), "of a newer release", ""]),
    st.sampled_from(("", "init", "sidecar", "ephemeral")) | nasty,
    words | nasty,
    st.none() | _any_number,
    *[_any_number] * 5,
    st.booleans(),
    st.none() | st.builds(Timeline, _any_number, *[st.none() | _any_number] * 5, *[_any_number] * 3),
)
status_records: Final = st.builds(
    LogRecord,
    v=st.just(STATUS_VERSION),
    origin=st.sampled_from(Origin),
    object=st.builds(ObjectRef, likely | nasty, words, messages.map(lambda text: text[:300]), words.map(Uid)),
    identity=words,
    version=st.integers(1, 10**9),
    reason=reasons,
    message=causes,
    level=st.sampled_from(Level),
    type=likely,
    count=_any_number,
    first_at_ms=_any_number,
    last_at_ms=_any_number,
    component=words,
    container=nasty | words,
    details=st.none() | _details,
)
