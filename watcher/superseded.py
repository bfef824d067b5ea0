"""Which Events only repeat what the status of their pod says. Pure.

One fact, one line, the better one: the status says it with exit code, restart count and cause, and it says it also
where client-go's recorder no longer writes (FACTS 2). Each entry was compared with the status that comes with it: all
that the Event says must be there. What decides is who says it and how the message begins, never a look at the status:
so the choice is the same in any order of coming. The same reason of another component (Karpenter's FailedScheduling)
is another fact, unless it is the same program under another name. Source: recorded streams, the sources of the kubelet,
kube-scheduler and the node controller (read).

One has an exception: a status may forget that its pod was evicted (`watcher/evictions.py`).
"""

from __future__ import annotations

import re
from typing import Final

from watcher.objects import Event

__all__ = ["told_by_status"]

_KUBELET: Final = "kubelet"
_SCHEDULER: Final = "default-scheduler"
_ALL: Final = ("",)
_BEGINNINGS: Final[dict[tuple[str, str], tuple[str, ...]]] = {
    # The waiting reason and message, or the ending of a container that could not be started. `Failed` also stands for
    # directories that could not be made, which no status tells.
    (_KUBELET, "Failed"): ("Failed to pull image ", "Error: "),
    (_KUBELET, "BackOff"): ("Back-off restarting failed container", "Back-off pulling image "),
    (_KUBELET, "InspectFailed"): _ALL,
    (_KUBELET, "ErrImageNeverPull"): _ALL,
    # `status.reason` and `status.message`.
    (_KUBELET, "Evicted"): _ALL,
    (_KUBELET, "Preempting"): _ALL,
    (_KUBELET, "DeadlineExceeded"): _ALL,
    # The condition PodScheduled has the same message.
    (_SCHEDULER, "FailedScheduling"): _ALL,
    # The condition Ready, which only the node controller takes away without a reason.
    ("node-controller", "NodeNotReady"): _ALL,
    # The condition DisruptionTarget.
    (_SCHEDULER, "Preempted"): _ALL,
    ("taint-eviction-controller", "TaintManagerEviction"): ("Marking for deletion Pod ",),
}
_REFUSALS: Final = frozenset((
    "AppArmor", "InitContainerRestartPolicyForbidden", "InvalidNodeInfo", "NodeAffinity", "NodeName", "NodePorts",
    "NodeShutdown", "PodFeatureUnsupported", "PodLevelResourcesNotSupported", "PodOSNotSupported",
    "PodOSSelectorNodeLabelDoesNotMatch", "SMTAlignmentError", "SupplementalGroupsPolicyNotSupported",
    "SysctlForbidden", "TaintToleration", "TopologyAffinityError", "UnexpectedAdmissionError",
    "UnexpectedPredicateFailureType", "UnknownReason", "VolumeAttachmentLimitExceeded",
))  # fmt: skip
"""For these the kubelet does not take a pod that was given to it. Reason and message of each stand in an Event and in
`status.reason` and `status.message` (read: kubernetes 1.35, `rejectPod` and who calls it in pkg/kubelet).
"""
_OUT_OF: Final = "OutOf"
"""Begins the rest of its refusals; the name of a resource follows: `OutOfcpu`, `OutOfnvidia.com/gpu`."""
_FAILED_SCHEDULING: Final = "FailedScheduling"
_NO_FIT: Final = re.compile(r"\d+/\d+ nodes are available: ")
"""Kube-scheduler writes under the name of its profile (`gke.io/optimize-utilization-scheduler`), and nobody else writes
this. The condition PodScheduled has the same message."""


def told_by_status(event: Event) -> bool:
    """Whether `event`, which is about a pod, says nothing that its status does not say."""
    reason = event.reason or ""
    if event.component == _KUBELET and (reason in _REFUSALS or reason.startswith(_OUT_OF)):
        return True
    if reason == _FAILED_SCHEDULING and _NO_FIT.match(event.message or ""):
        return True
    beginnings = _BEGINNINGS.get((event.component, reason))
    return beginnings is not None and (event.message or "").startswith(beginnings)
