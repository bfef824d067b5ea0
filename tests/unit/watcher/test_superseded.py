"""An Event is left out only if its pod's status says the same; the same reason of anybody else stays."""

import msgspec
import pytest

from tests.unit.watcher.rig import Rig, event, pod
from watcher.objects import Event
from watcher.superseded import told_by_status


def said(component: str, reason: str, message: str) -> Event:
    value = {**event(reason=reason, message=message), "source": {"component": component}}
    return msgspec.convert(value, Event)


@pytest.mark.parametrize(
    ("component", "reason", "message"),
    [
        ("kubelet", "Failed", 'Failed to pull image "app:1": not found'),
        ("kubelet", "Failed", "Error: ErrImagePull"),
        ("kubelet", "Failed", 'Error: configmap "absent" not found'),
        ("kubelet", "BackOff", 'Back-off pulling image "app:1"'),
        ("kubelet", "BackOff", "Back-off restarting failed container c in pod web-1_dev(u)"),
        ("kubelet", "InspectFailed", 'Failed to apply default image tag "Bad::Name"'),
        ("kubelet", "ErrImageNeverPull", 'Container image "never:1" is not present with pull policy of Never'),
        ("kubelet", "Evicted", 'Usage of EmptyDir volume "v" exceeds the limit "5Mi". '),
        ("default-scheduler", "FailedScheduling", "0/1 nodes are available: 1 Insufficient cpu."),
        ("node-controller", "NodeNotReady", "Node is not ready"),
    ],
)
def test_what_the_status_says_too_is_left_out(component: str, reason: str, message: str) -> None:
    assert told_by_status(said(component, reason, message))


@pytest.mark.parametrize(
    ("component", "reason", "message"),
    [
        ("karpenter", "FailedScheduling", "Failed to schedule pod, no instance type has enough resources"),
        ("kubelet", "Failed", "error making pod data directories: no space left on device"),
        ("kubelet", "FailedMount", 'MountVolume.SetUp failed for volume "v"'),
        ("kubelet", "Unhealthy", "Readiness probe failed: not yet"),
        ("kubelet", "Pulling", 'Pulling image "app:1"'),
        ("taint-eviction-controller", "TaintManagerEviction", "Cancelling deletion of Pod dev/web-1"),
        ("", "BackOff", "Back-off restarting failed container c"),
    ],
)
def test_what_only_the_event_says_stays(component: str, reason: str, message: str) -> None:
    assert not told_by_status(said(component, reason, message))


async def test_only_events_about_pods_are_left_out_and_they_are_counted() -> None:
    rig = Rig()
    await rig.deliver("pods", "ADDED", pod())
    reason, message = "BackOff", "Back-off restarting failed container c"
    await rig.deliver("events", "ADDED", event("e1", version="20", reason=reason, message=message))
    await rig.deliver(
        "events", "ADDED", event("e2", about="rs-1", kind="ReplicaSet", version="21", reason=reason, message=message)
    )
    assert rig.outbox.said == ["Pod Created"]
    assert len(rig.parking) == 1
    assert rig.metrics.records.labels("told_by_status")._value.get() == 1  # noqa: SLF001 - no other way


def test_what_an_autoscaler_says_of_a_pod_is_another_fact() -> None:
    for component in ("karpenter", "eks-auto-mode/compute", "cluster-autoscaler"):
        for reason in ("FailedScheduling", "Nominated", "TriggeredScaleUp", "NotTriggerScaleUp", "Evicted"):
            assert not told_by_status(said(component, reason, "Failed to schedule pod, incompatible with nodepool"))
