"""An Event is left out only if its pod's status says the same; the same reason of anybody else stays."""

import msgspec
import pytest

from common.record import Aspect
from tests.unit.watcher.rig import Rig, event, pod
from watcher.objects import Event, Pod
from watcher.status import facts_of
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
        ("kubelet", "Preempting", "Preempted in order to admit critical pod"),
        ("kubelet", "DeadlineExceeded", "Pod was active on the node longer than the specified deadline"),
        ("default-scheduler", "FailedScheduling", "0/1 nodes are available: 1 Insufficient cpu."),
        ("gke.io/optimize-utilization-scheduler", "FailedScheduling", "0/3 nodes are available: 3 Insufficient cpu."),
        ("default-scheduler", "FailedScheduling", 'running PreBind plugin "VolumeBinding": binding volumes: …'),
        ("default-scheduler", "Preempted", "Preempted by pod 5c0e3ad6-… on node node1"),
        ("node-controller", "NodeNotReady", "Node is not ready"),
        ("taint-eviction-controller", "TaintManagerEviction", "Marking for deletion Pod dev/web-1"),
    ],
)
def test_what_the_status_says_too_is_left_out(component: str, reason: str, message: str) -> None:
    assert told_by_status(said(component, reason, message))


REFUSED = [  # texts of kubernetes 1.35, pkg/kubelet, and of the plugins that it asks
    ("OutOfcpu", "Node didn't have enough resource: cpu, requested: 150, used: 11388, capacity: 11500"),
    ("OutOfmemory", "Node didn't have enough resource: memory, requested: 1053818880, used: 5740953600, capacity: …"),
    ("OutOfpods", "Node didn't have enough resource: pods, requested: 1, used: 32, capacity: 32"),
    ("OutOfephemeral-storage", "Node didn't have enough resource: ephemeral-storage, requested: 9, used: 2, …"),
    ("OutOfnvidia.com/gpu", "Node didn't have enough resource: nvidia.com/gpu, requested: 1, used: 1, capacity: 1"),
    ("AppArmor", 'Cannot enforce AppArmor: profile "p" is not loaded'),
    ("InitContainerRestartPolicyForbidden", 'Init container "proxy" may not have a non-default restartPolicy'),
    ("InvalidNodeInfo", "Kubelet cannot get node info."),
    ("NodeAffinity", "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector"),
    ("NodeName", "Predicate NodeName failed: node(s) didn't match the requested node name"),
    ("NodePorts", "Predicate NodePorts failed: node(s) didn't have free ports for the requested pod ports"),
    ("NodeShutdown", "Pod was rejected as the node is shutting down."),
    ("PodFeatureUnsupported", "Pod requires node features that are not available: x"),
    ("PodLevelResourcesNotSupported", "PodLevelResources feature gate is disabled"),
    ("PodOSNotSupported", "Failed to admit pod as the OS field doesn't match node OS"),
    ("PodOSSelectorNodeLabelDoesNotMatch", "Failed to admit pod as the `kubernetes.io/os` label doesn't match …"),
    ("SMTAlignmentError", "SMT Alignment Error: requested 3 cpus not multiple cpus per core = 2"),
    ("SupplementalGroupsPolicyNotSupported", 'SupplementalGroupsPolicy="Strict" is not supported in this node'),
    ("SysctlForbidden", "forbidden sysctl: \"kernel.msgmax\" not allowlisted"),
    ("TaintToleration", "Predicate TaintToleration failed: node(s) had taints that the pod didn't tolerate"),
    ("TopologyAffinityError", "Resources cannot be allocated with Topology locality"),
    ("UnexpectedAdmissionError", "Allocate failed due to rpc error: code = Unavailable desc = …, which is unexpected"),
    ("UnexpectedPredicateFailureType", "GeneralPredicates failed due to …, which is unexpected."),
    ("UnknownReason", "GeneralPredicates failed due to unknown reason, which is unexpected."),
    ("VolumeAttachmentLimitExceeded", "Node has reached its volume attachment limit, rejecting pod. …"),
]  # fmt: skip


@pytest.mark.parametrize(("reason", "message"), REFUSED)
def test_a_pod_that_the_kubelet_does_not_take_is_told_of_once(reason: str, message: str) -> None:
    """`rejectPod` writes both the Event and `status.reason`; another's Event of that name is another fact."""
    assert told_by_status(said("kubelet", reason, message))
    assert not told_by_status(said("somebody", reason, message))
    status = {"phase": "Failed", "reason": reason, "message": f"Pod was rejected: {message}"}
    (fact,) = facts_of(msgspec.convert({"metadata": {"uid": "u"}, "status": status}, Pod))
    assert (fact.details.aspect, fact.reason) == (Aspect.POD_ENDED, reason)
    assert message in fact.message


@pytest.mark.parametrize(
    ("component", "reason", "message"),
    [
        ("karpenter", "FailedScheduling", "Failed to schedule pod, no instance type has enough resources"),
        ("stork", "FailedScheduling", "Unable to schedule pod using volumes on any node"),
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


@pytest.mark.parametrize("order", ["pods first", "events first"])
async def test_a_refused_pod_has_one_line_in_either_order(order: str) -> None:
    rig = Rig()
    await rig.deliver("pods", "ADDED", pod())
    reason, message = "OutOfnvidia.com/gpu", "Node didn't have enough resource: nvidia.com/gpu, requested: 1, …"
    refused = {**pod(version="20"), "status": {"phase": "Failed", "reason": reason, "message": message}}
    told = {**event(version="20", reason=reason, message=message), "source": {"component": "kubelet"}}
    steps = [("pods", "MODIFIED", refused), ("events", "ADDED", told)]
    for step in steps if order == "pods first" else reversed(steps):
        await rig.deliver(*step)
    assert [record.reason for record in rig.outbox.records].count(reason) == 1


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
