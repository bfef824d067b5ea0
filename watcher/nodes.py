"""Events of nodes that explain what becomes of the pods on them. Only where it is asked for (`--node-events`).

A node has no namespace, so its Events are kept in `default` (read: client-go's recorder), where a watch of their own
follows them: each watcher reads all of them and tells the agents of the pods that it knows. Told is what ends pods or
keeps them from running, by reason; what else a node says (it came up, it is cordoned, its images are cleaned up) is
nobody's news. No position is saved: a start lists an hour of Events, and Redis knows what was told.
"""

from __future__ import annotations

from random import Random
from typing import Final, assert_never

import structlog

from common.clock import Clock
from common.telemetry.metrics import WatcherMetrics
from watcher.neighbours import NODE
from watcher.objects import Event, Verb
from watcher.paths import EVENTS, collection_path
from watcher.records import event_order
from watcher.reflection import Began, Change, Changed, Completed, Found, Rebuilt, Rejected
from watcher.reflector import Api, Reflector, Target
from watcher.router import Router
from watcher.versions import is_newer

__all__ = ["NODE_SCOPE", "REASONS", "NodeEvents"]

NODE_SCOPE: Final = "nodes"
"""By which name the repeats and what lingers tell these Events from others."""
_NAMESPACE: Final = "default"
REASONS: Final = frozenset((
    # The node controller and the kubelet (read: kubernetes 1.35, pkg/controller and pkg/kubelet/events).
    "NodeNotReady", "Rebooted", "Shutdown", "SystemOOM", "EvictionThresholdMet",
    "NodeHasDiskPressure", "NodeHasInsufficientMemory", "NodeHasInsufficientPID", "DeletingNode", "RemovingNode",
    "DeletingAllPods", "NodeShutdown",
    # Karpenter.
    "SpotInterrupted", "SpotRebalanceRecommendation", "InstanceStopping", "InstanceTerminating", "InstanceUnhealthy",
    "TerminatingOnInterruption", "DisruptionTerminating", "TerminationGracePeriodExpiring",
    # AWS' node termination handler.
    "SpotInterruption", "RebalanceRecommendation", "ScheduledEvent", "StateChange", "ASGLifecycle",
    # Azure.
    "PreemptScheduled", "TerminateScheduled", "RebootScheduled", "RedeployScheduled", "FreezeScheduled",
    # cluster-autoscaler; node-problem-detector.
    "ScaleDown", "OOMKilling", "KernelOops", "TaskHung",
))  # fmt: skip


class NodeEvents:
    """A sink of Events, and the reflector that fills it."""

    def __init__(
        self, api: Api, router: Router, metrics: WatcherMetrics, clock: Clock, random: Random, *, watch_timeout_s: float
    ) -> None:
        self.position = ""
        self._router = router
        self._listed: list[Event] = []
        self._floor: str | None = None
        """What the first list shows is history: it may have been told, or of no concern, before we came."""
        self._is_first = True
        target = Target(
            Event,
            EVENTS,
            _NAMESPACE,
            collection_path(EVENTS, _NAMESPACE),
            {"fieldSelector": f"involvedObject.kind={NODE}"},
            _all_are_ours,
            optional="what ends a node is not told; leave --node-events out if that is as it should be",
        )
        self._reflector = Reflector(target, api, self, metrics, clock, random, watch_timeout_s=watch_timeout_s)

    async def run(self) -> None:
        """Follow the nodes' Events until cancelled."""
        await self._reflector.run()

    def read_anew(self) -> None:
        """Redis may have lost what was told: list it once more. What is history stays so."""
        self._reflector.list_anew()

    async def take(self, change: Change[Event]) -> None:
        match change:
            case Began(position):
                self._listed = []
                self._is_first = self._floor is None or bool(is_newer(self._floor, position))  # or another cluster's
                self._floor = position if self._is_first else self._floor
                self._router.read_anew(NODE_SCOPE)
            case Found(objects):
                self._listed += filter(_explains, objects)
            case Completed(position):
                self._tell_listed()
                self.position = position
            case Changed(deltas, position):
                for delta in deltas:
                    if delta.verb is not Verb.DELETED and _explains(delta.object):
                        self._router.route_beside(delta.object, NODE_SCOPE, history=False, before=self.position)
                self.position = position
            case Rejected(count, why):
                structlog.get_logger().warning("Events of nodes that could not be decoded", count=count, why=why)
            case Rebuilt():
                pass  # no position is saved that could be another cluster's
            case _:
                assert_never(change)

    def _tell_listed(self) -> None:
        listed, self._listed = self._listed, []
        for event in sorted(listed, key=event_order):
            self._router.route_beside(event, NODE_SCOPE, history=self._is_history(event), before="")

    def _is_history(self, event: Event) -> bool:
        return self._is_first or is_newer(event.metadata.resource_version, self._floor or "") is False


def _explains(event: Event) -> bool:
    return event.involved_object.kind == NODE and event.reason in REASONS


def _all_are_ours(_namespace: str) -> bool:
    return True
