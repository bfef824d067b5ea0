"""Events about what stands beside a pod, to the agents of those it concerns: now, or when they come.

An Event about a neighbour concerns who lives beside it and was not made too long after it happened; if nobody lives
there, those that were lately deleted, for it may tell why. Each agent has an Event once, however many of its objects
stand there. A StatefulSet or Job without a pod has agents of its own, found in its template (`watcher/unmade.py`).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection
from typing import Final

from common.clock import Clock
from common.ids import AgentId
from common.telemetry.metrics import WatcherMetrics
from watcher.directory import Directory, Known
from watcher.lingering import LINGER_MAX_S, LINGER_S, Lingering, Lingers
from watcher.neighbours import MAKERS, NODE, Tie
from watcher.objects import Event
from watcher.publisher import Publisher
from watcher.records import neighbour_record
from watcher.telling import entries

__all__ = ["Relay"]

FOUND_S: Final = 600.0
"""How long the agents of an owner without a pod are remembered: its Events come at most 1,000 s apart, mostly less."""
FRESH_S: Final = 60.0
"""After which a template is read again at the next Event: it may have got another token."""
FOUND_MAX: Final = 1_000
UNMADE: Final = "FailedCreate"
"""The reason of an owner's Event when a pod of it cannot be made."""


class Relay:
    """Knows who hears an Event about a neighbour, tells them, and keeps it for those to come."""

    def __init__(
        self, directory: Directory, publisher: Publisher, metrics: WatcherMetrics, clock: Clock, lingering: Lingering
    ) -> None:
        self.on_unmade: Callable[[Event], None] = _nobody_asks
        """Told of an Event about an owner whose pod could not be made."""
        self._directory = directory
        self._publisher = publisher
        self._clock = clock
        self._lingering = lingering
        self._overflow = metrics.records.labels("neighbours_overflow")
        self._found: OrderedDict[Tie, tuple[float, Known]] = OrderedDict()
        """Owners without a pod by their UID, and when they were found."""

    def keep(self, lingers: Lingers) -> None:
        """Keep an Event for those who come."""
        self._overflow.inc(self._lingering.keep(lingers))
        if lingers.tie.kind in MAKERS and lingers.event.reason == UNMADE and not self._is_fresh(lingers.tie):
            self.on_unmade(lingers.event)

    def is_heard(self, event: Event, tie: Tie, *, history: bool) -> bool:
        """Whether somebody is to be told of `event` now."""
        return bool(self._hearers(event, tie, history=history))

    def tell(self, event: Event, tie: Tie, *, history: bool) -> None:
        """Tell `event` to all whom it concerns. `history`: only to those who waited when we first came."""
        kept = self._lingering.get(event, tie)
        told: set[AgentId] = set() if kept is None else kept.told
        for known in self._hearers(event, tie, history=history):
            self._append(event, known, told)

    def catch_up(self, known: Known) -> None:
        """Tell the agents of `known` what lately happened beside it."""
        for each in self._lingering.about(known.ties, known.namespace):
            self._offer(each, known)

    def meet(self) -> None:
        """Objects were taken over from another watcher: tell their agents what lately happened beside them."""
        for each in self._lingering:
            for known in self._directory.beside(each.tie, each.event.metadata.namespace):
                self._offer(each, known)

    def found(self, owner: Known) -> None:
        """`owner`, which has no pod, has these agents; it stands beside itself."""
        (tie,) = owner.ties
        self._found.pop(tie, None)
        self._found[tie] = self._clock.monotonic_s(), owner
        if len(self._found) > FOUND_MAX:
            self._found.popitem(last=False)
        self.catch_up(owner)

    def forget_found(self) -> None:
        """Agents are named anew."""
        self._found.clear()

    def is_waited_for(self, tie: Tie, namespace: str) -> bool:
        """Whether an Event about `tie` is kept."""
        return bool(self._lingering.about((tie,), namespace))

    def oldest_before(self, scope: str) -> str | None:
        """The position before the oldest event of `scope` that is kept; None if none is."""
        return self._lingering.oldest_before(scope)

    def expire(self, unheard: Collection[str]) -> None:
        """Drop what was kept long enough, but nothing of the scopes in `unheard`."""
        now_s = self._clock.monotonic_s()
        self._lingering.expire(now_s - LINGER_S, unheard)
        self._lingering.expire(now_s - LINGER_MAX_S)
        while self._found and now_s - next(iter(self._found.values()))[0] >= FOUND_S:
            self._found.popitem(last=False)

    def clear(self, scope: str, covers: Callable[[str], bool]) -> None:
        """Drop what is kept of `scope` in namespaces that are read no more, or anew."""
        self._lingering.clear(scope, covers)

    def _is_fresh(self, tie: Tie) -> bool:
        """Whether the template of the owner `tie` was read only just now."""
        found = self._found.get(tie)
        return found is not None and self._clock.monotonic_s() - found[0] < FRESH_S

    def _hearers(self, event: Event, tie: Tie, *, history: bool) -> list[Known]:
        namespace = event.metadata.namespace
        live = self._directory.beside(tie, namespace)
        hearers = [known for known in live if _concerns(event, known, history=history)]
        if (found := self._found.get(tie)) is not None and found[1].namespace == namespace:
            hearers.append(found[1])
        if hearers:
            return hearers
        gone = self._directory.lately_beside(tie, namespace)
        return [known for known in gone if _concerns(event, known, history=history)]

    def _offer(self, kept: Lingers, known: Known) -> None:
        if _concerns(kept.event, known, history=kept.history):
            self._append(kept.event, known, kept.told)

    def _append(self, event: Event, known: Known, told: set[AgentId]) -> None:
        """To the agents of `known` that are not in `told`, and put them there."""
        seats = [seat for seat in known.seats if seat.agent not in told]
        if not seats:
            return
        # Nobody would ever hear that an owner without a pod is gone: its agents are let go at once.
        is_found = known.kind in MAKERS
        for seat, entry in zip(seats, entries(neighbour_record(event), seats), strict=True):
            told.add(seat.agent)
            if is_found:
                self._publisher.register(seat.agent, known.uid, known.card(seat))
            self._publisher.append(entry)
            if is_found:
                self._publisher.release(seat.agent, known.uid)


def _concerns(event: Event, known: Known, *, history: bool) -> bool:
    """Whether `event`, about a neighbour of `known`, is for its agents."""
    if not known.seats or (history and not known.told):
        return False
    at_ms = event.at_ms
    early_s = 0.0 if event.involved_object.kind == NODE else LINGER_S  # a pod comes to a node, not a node to a pod
    return at_ms == 0 or at_ms >= known.created_at_ms - int(early_s * 1000)


def _nobody_asks(_event: Event) -> None:
    return
