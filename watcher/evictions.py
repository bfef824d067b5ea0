"""Evictions that no status tells: the kubelet's Event about one waits for the end of its pod. Pure.

A pod whose containers all end with 0 when they are asked to is Succeeded, and its status then says neither «Evicted»
nor what was short (seen on 1.35; kubernetes/kubernetes#118310, #141483): what a well-behaved agent does hides why it
ended. The Event is written before the containers are asked to end, so it waits: if the status tells the end, it says
no more; if the pod is over without a word, its end is told in the Event's words, under the identity that the status
would have given it. What waits holds its watch's saved position, so a crash does not lose it. That of a pod that nobody
knows waits like any Event (`watcher/parking.py`), and comes here when the pod is met.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from msgspec import Struct

from common.ids import Uid
from common.record import Aspect
from watcher.facts import Fact
from watcher.objects import Event
from watcher.sightings import Sighting
from watcher.status import pod_end
from watcher.versions import oldest

__all__ = ["WAITING_MAX", "WAITS_S", "Evicted", "Evictions", "is_eviction"]

WAITS_S: Final = 120.0
"""What was evicted may take its grace period to end. Whoever may write Events may write this one about a pod that goes
on: it is told as any Event then."""
WAITING_MAX: Final = 1_000
_EVICTED: Final = "Evicted"
_TELLING: Final = frozenset((Aspect.POD_ENDED, Aspect.DISRUPTED))


class Evicted(Struct, frozen=True):
    """The kubelet said that it evicts a pod."""

    event: Event
    scope: str
    history: bool
    before: str
    """As those of `Router.route`."""
    since_s: float

    @property
    def fact(self) -> Fact:
        """What the status would have told."""
        event = self.event
        return pod_end(event.about, event.namespace, _EVICTED, event.message or "", at_ms=event.at_ms)


def is_eviction(event: Event) -> bool:
    """Whether `event`, one that a pod's status tells (`superseded`), says that the kubelet evicts it."""
    return event.reason == _EVICTED


class Evictions:
    """What waits, and which ends want an explanation."""

    def __init__(self) -> None:
        # In the order of coming.
        self._waiting: dict[Uid, Evicted] = {}
        self._over: dict[Uid, bool] = {}
        """Pods that are over, and whether their status says why: as many as may wait, the newest."""
        self._dropped = 0

    def __len__(self) -> int:
        """How many wait."""
        return len(self._waiting)

    def hear(self, evicted: Evicted) -> bool:
        """The kubelet evicts a pod. Whether that explains an end that was seen before; otherwise it waits."""
        uid = Uid(evicted.event.about)
        if uid in self._over:
            self._dropped += self._over[uid]
            return not self._over[uid]
        self._waiting.setdefault(uid, evicted)
        return False

    def see(self, seen: Sighting) -> Evicted | None:
        """A look at a pod. Answers what explains its end, if it is over and its status does not."""
        says_why = any(fact.details.aspect in _TELLING for fact in seen.facts)
        if not (says_why or seen.over):
            return None
        self._over[seen.uid] = says_why
        if len(self._over) > WAITING_MAX:
            del self._over[next(iter(self._over))]
        waiting = self._waiting.pop(seen.uid, None)
        if says_why and waiting is not None:
            self._dropped += 1
            return None
        return waiting

    def release(self, uid: Uid) -> Evicted | None:
        """What waits of a pod that is gone. How it ended is remembered: Events may come after it."""
        return self._waiting.pop(uid, None)

    def due(self, now_s: float) -> Sequence[Evicted]:
        """What has waited so long that its pod may not have been evicted at all, or finds no room."""
        crowd = len(self._waiting) - WAITING_MAX
        late = [
            each
            for place, each in enumerate(self._waiting.values())
            if place < crowd or now_s - each.since_s >= WAITS_S
        ]
        for each in late:
            del self._waiting[Uid(each.event.about)]
        return late

    def counted(self) -> int:
        """Since this was asked last: Events that only repeat what a status tells."""
        dropped, self._dropped = self._dropped, 0
        return dropped

    def oldest_before(self, scope: str) -> str | None:
        """The oldest position before what waits in `scope`; None if nothing does."""
        befores = [each.before for each in self._waiting.values() if each.scope == scope]
        return oldest(befores) if befores else None

    def forget(self, scope: str, is_theirs: Callable[[str], bool]) -> None:
        """Let go what waits in `scope` of the namespaces that `is_theirs` names: it will be read anew."""
        self._waiting = {
            uid: each
            for uid, each in self._waiting.items()
            if each.scope != scope or not is_theirs(each.event.namespace)
        }
