"""What one look at a pod, or at an object with a pod template, tells, in the same words for all. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from common.ids import Uid
from watcher.facts import Fact
from watcher.neighbours import Tie, ties_of
from watcher.objects import Metadata, Pod, ReplicaSet
from watcher.selectors import LabelSelector
from watcher.specs import PodTemplate
from watcher.status import facts_of
from watcher.timeline import Start, had_started, start_of
from watcher.tokens import Found, all_started, discover

__all__ = ["POD", "REPLICA_SET", "Sighting", "sight", "sight_template", "tag_of"]

POD: Final = "Pod"
REPLICA_SET: Final = "ReplicaSet"


class Sighting(Struct, frozen=True):
    kind: str
    metadata: Metadata
    ours: bool
    """By the label selector."""
    found: list[Found]
    """Empty also if the object is not ours."""
    waiting: bool
    """Somebody probably waits for it: it has not become ready."""
    started: bool
    """Its containers that carry tokens have started."""
    failed: bool
    """It ended badly by itself. One that is asked to end ends as Failed too, if its program does not exit with 0."""
    over: bool = False
    """It ended, and nobody had asked it to."""
    facts: Sequence[Fact] = ()
    """What its status tells; of an object without tokens nothing, because nobody would hear it."""
    ties: tuple[Tie, ...] = ()
    """What stands beside it; likewise."""
    pod: Pod | None = None
    """Itself if it is a pod with tokens: what is read of its start is not worth reading at each look."""

    @property
    def uid(self) -> Uid:
        return Uid(self.metadata.uid)

    @property
    def start(self) -> Start | None:
        """How the start of a pod ended, None if it has not."""
        return start_of(self.pod) if self.pod is not None else None

    @property
    def had_started(self) -> bool:
        """A pod that is not ready any more."""
        return self.pod is not None and had_started(self.pod)

    @property
    def workspace(self) -> str:
        return tag_of(self.metadata, "workspace")

    @property
    def owner(self) -> str:
        return tag_of(self.metadata, "owner")


def sight(seen: Pod | ReplicaSet, selector: LabelSelector) -> Sighting:
    """`selector` binds ReplicaSets here; for pods the API server has applied it already."""
    return _sight_pod(seen) if isinstance(seen, Pod) else _sight_replica_set(seen, selector)


def _sight_pod(pod: Pod) -> Sighting:
    found = discover(pod.spec)
    phase = pod.status.phase if pod.status is not None else ""
    conditions = pod.status.conditions if pod.status is not None else None
    over = phase in ("Succeeded", "Failed") and pod.metadata.deletion_timestamp is None
    ready = any(each.type == "Ready" and each.status == "True" for each in conditions or ())
    return Sighting(
        kind=POD,
        metadata=pod.metadata,
        ours=True,
        found=found,
        waiting=not ready and phase not in ("Succeeded", "Failed"),
        started=bool(found) and all_started(pod, found),
        failed=phase == "Failed" and over,
        over=over,
        facts=facts_of(pod) if found else (),
        ties=ties_of(pod.metadata, pod.spec, pod=True) if found else (),
        pod=pod if found else None,
    )


def _sight_replica_set(owner: ReplicaSet, selector: LabelSelector) -> Sighting:
    wanted = owner.spec.replicas if owner.spec is not None else None
    ready = owner.status.ready_replicas if owner.status is not None else None
    return sight_template(
        REPLICA_SET,
        owner.metadata,
        owner.spec.template if owner.spec is not None else None,
        selector,
        waiting=(1 if wanted is None else wanted) > (ready or 0),
    )


def sight_template(
    kind: str, metadata: Metadata, template: PodTemplate | None, selector: LabelSelector, *, waiting: bool
) -> Sighting:
    """An object that makes pods of `template`. `waiting`: as `Sighting` has it."""
    labels = template.metadata.labels if template is not None and template.metadata is not None else None
    ours = template is not None and selector.matches(labels or {})
    spec = template.spec if ours and template is not None else None
    found = discover(spec)
    return Sighting(
        kind=kind,
        metadata=metadata,
        ours=ours,
        found=found,
        waiting=waiting,
        started=False,  # a template has no containers of its own
        failed=False,
        ties=ties_of(metadata, spec, pod=False) if found else (),
    )


def tag_of(metadata: Metadata, name: str) -> str:
    """What labels or annotations say of the `workspace` or its `owner`, "" if nothing."""
    for tags in (metadata.labels, metadata.annotations):
        value = getattr(tags, name, None)
        if value:
            return str(value)
    return ""
