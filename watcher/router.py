"""From what Kubernetes said to the streams of those concerned: an Event or a fact of a pod's status, now or later.

Both go one way: to the agents of their object, or parked until its token can be read, and folded if they only repeat.
So what is told of one object keeps its order, whichever watch brought it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from functools import partial
from typing import Final

from msgspec.structs import replace

from common.clock import Clock
from common.ids import Uid
from common.record import Aspect, LogRecord
from common.telemetry.metrics import WatcherMetrics
from watcher.directory import Directory, Known, Place
from watcher.evictions import Evicted, Evictions, is_eviction
from watcher.facts import Fact
from watcher.leaving import Leaving
from watcher.lingering import Lingers
from watcher.neighbours import BESIDE, tie_of
from watcher.objects import Event
from watcher.parking import Parked, Parking
from watcher.publisher import Publisher
from watcher.records import event_record, fact_record, unkept
from watcher.relay import Relay
from watcher.repeats import Repeats, Telling
from watcher.reported import Reported
from watcher.sightings import POD, REPLICA_SET, Sighting
from watcher.start_times import StartTimes
from watcher.starts import Ended, Starts
from watcher.superseded import told_by_status
from watcher.telling import tell
from watcher.timeline import start_fact
from watcher.tries import Tries
from watcher.versions import oldest
from watcher.words import Words

__all__ = ["ROUTED", "Router"]

_OBJECTS: Final = frozenset((POD, REPLICA_SET))
ROUTED: Final = BESIDE | {POD, REPLICA_SET}
"""The kinds of objects whose Events are told: to their own agents, or to those who stand beside them."""


class Router:
    """Finds the agents of an event, now or when its object registers, and tells them unless it only repeats."""

    def __init__(
        self,
        directory: Directory,
        parking: Parking,
        repeats: Repeats,
        publisher: Publisher,
        relay: Relay,
        metrics: WatcherMetrics,
        clock: Clock,
        words: Words,
    ) -> None:
        self._relay = relay
        self._directory = directory
        self._parking = parking
        self._repeats = repeats
        self._reported = Reported()
        self._evictions = Evictions()
        self.starts: Final = Starts(directory)
        self.leaving: Final = Leaving(directory)
        """Filled by whoever hears of ends."""
        self.tries: Final = Tries(directory)
        self._publisher = publisher
        self._clock = clock
        self._start_times = StartTimes(metrics)
        self._words = words
        self._overflow = metrics.records.labels("parked_overflow")
        self._foreign = metrics.records.labels("malformed")
        self._folded = metrics.records.labels("folded")
        self._unfolded = metrics.records.labels("fold_overflow")
        self._superseded = metrics.records.labels("told_by_status")

    def foresee(self, listed: Iterable[Event]) -> None:
        """All that a list holds, before any of it is routed."""
        self.tries.foresee(listed)

    def route(self, event: Event, scope: str, *, history: bool, before: str) -> None:
        """`history`: it was there before we first came. `before`: the scope's position before this event, "" in a list.

        In a list no repeat is held: it may be what was missed.
        """
        involved = event.involved_object
        if involved.kind not in ROUTED:
            return
        if involved.namespace != event.metadata.namespace:
            self._foreign.inc()  # no one may write into another namespace's logs
            return
        if involved.kind in BESIDE:
            self.route_beside(event, scope, history=history, before=before)
            return
        superseded = involved.kind == POD and told_by_status(event)
        if superseded and not is_eviction(event):
            self._superseded.inc()
            return
        known = self._directory.find(Uid(involved.uid), involved.namespace)
        if known is None and self._directory.is_bare(Place(involved.kind, involved.namespace), Uid(involved.uid)):
            return
        if known is None:
            self._park(Parked(scope, event, history, before, self._clock.monotonic_s()))
        elif superseded:
            self._hear_eviction(Evicted(event, scope, history, before, self._clock.monotonic_s()))
        else:
            self._pass_on(event, scope, history=history, before=before)
            self._hear(event)

    def route_beside(self, event: Event, scope: str, *, history: bool, before: str) -> None:
        """As `route`, for an Event about what may stand beside somebody."""
        tie, told = tie_of(event), self.tries.take(event)
        if tie is None or told is None:
            return
        now_s = self._clock.monotonic_s()
        self._relay.keep(Lingers(scope, told, tie, history, before, now_s))
        if self._relay.is_heard(told, tie, history=history):
            for each in self._repeats.take(told, scope, before, now_s):
                self._tell_one(each, history=history and each is told)

    def look(self, seen: Sighting, scope: str, *, history: bool, before: str) -> None:
        """Tell what the status of an object says that was not told before. Arguments as those of `route`."""
        known = self._directory.get(seen.uid)
        if known is None:
            return
        if (explained := self._evictions.see(seen)) is not None:
            self._tell_eviction(explained)
        for fact in self._reported.take(known.uid, seen.facts):
            if fact.key in known.quiet:
                continue
            if before and fact.at_ms == 0:
                fact = replace(fact, at_ms=int(self._clock.unix_s() * 1000))
            if self._words.wants(fact):
                fact = replace(fact, scope=scope, before=before)
            self._pass_on(fact, scope, history=history, before=before)
        start = seen.start if not known.begun else None
        if start is not None:
            ended = Ended(start, scope, history, before, self._clock.monotonic_s())
            self._tell_start(self.starts.see(known, ended))

    def flush(self, uid: Uid) -> None:
        """Tell what waited for `uid`, the newest count of each event, and how many could not wait so long; it waits on
        if the object still awaits a token for another agent.
        """
        self._tell_unkept(uid)
        evictions = self._parking.pull(uid, _waits_for_an_end)
        stays = uid in self._directory.awaiting
        waiting = self._parking.waiting_for(uid) if stays else self._parking.take(uid)
        self._parking.mark_heard(uid)
        newest: dict[str, Parked] = {}
        for parked in waiting:
            if (event := self._as_told(parked.event)) is None:
                continue
            before = newest.get(event.topic)
            if before is not None and event.times <= before.event.times:
                continue  # delivered again: it happened where it stands
            newest.pop(event.topic, None)  # each has the place of its last coming
            newest[event.topic] = replace(parked, event=event)
        if not stays:
            self._folded.inc(len(waiting) - len(newest))
        heard = [each.event for each in newest.values() if self._is_heard(each)]
        self._tell(self._repeats.tell(heard, self._clock.monotonic_s()))
        for each in newest.values():
            if isinstance(each.event, Event):
                self._hear(each.event)
        for each in evictions:
            if isinstance(each.event, Event):
                self._hear_eviction(Evicted(each.event, each.scope, each.history, each.before, each.since_s))
        if (known := self._directory.get(uid)) is not None:
            self._relay.catch_up(known)

    def ending(self, known: Known) -> None:
        """Tell what is held of `known`, whose end is about to be told."""
        self._tell_start(self.starts.release(known.uid))
        if (unexplained := self._evictions.release(known.uid)) is not None:
            self._pass_on_eviction(unexplained)
        self._reported.forget(known.uid)
        self._tell(self._repeats.release(known.uid, self._clock.monotonic_s()))
        self._relay.catch_up(known)  # what is held of its neighbours goes to others

    def release(self, scope: str) -> None:
        """Tell what is held in `scope`."""
        self._tell(self._repeats.release_scope(scope, self._clock.monotonic_s()))

    def read_anew(self, scope: str) -> None:
        """A list of `scope` begins, which will show again what still is: nothing of before waits any longer.

        But for the starts of pods, which may not be ready any more.
        """
        self.release(scope)
        self._evictions.forget(scope, lambda _namespace: True)
        self._reported.forget_all(self._parking.clear(scope).__contains__)
        self._relay.clear(scope, lambda _namespace: True)

    def hand_over(self, scope: str, is_theirs: Callable[[str], bool]) -> None:
        """Forget what is parked of, and what was reported about, objects in namespaces that are read no more, or anew
        from what Redis remembers.
        """
        self._parking.clear(scope, is_theirs)
        self._relay.clear(scope, is_theirs)
        self.starts.forget(scope, is_theirs)
        self._evictions.forget(scope, is_theirs)
        self._words.forget(is_theirs)
        self._reported.forget_all(lambda uid: (known := self._directory.get(uid)) is None or is_theirs(known.namespace))

    def expire(self, unheard: Collection[str]) -> None:
        """Let go what was kept long enough for those to come; in the scopes of `unheard` it waits on."""
        self._relay.expire(unheard)

    def tick(self, *, can_hear: bool = True) -> None:
        """Tell what was held long enough. `can_hear`: all Events were read of late."""
        self._tell(self._repeats.due(self._clock.monotonic_s()))
        for ended in self.starts.due(self._clock.monotonic_s(), can_hear=can_hear):
            self._tell_start(ended)
        for evicted in self._evictions.due(self._clock.monotonic_s()):
            self._pass_on_eviction(evicted)
        self._superseded.inc(self._evictions.counted())
        folded, overflowed = self._repeats.counted()
        self._folded.inc(folded)
        self._unfolded.inc(overflowed)
        self._reported.forget_all(lambda uid: self._directory.get(uid) is None)
        self._words.tick()

    def meet(self) -> None:
        """Objects were taken over from another watcher."""
        self._relay.meet()

    def renamed(self) -> None:
        """Agents have other names from now on."""
        self._relay.forget_found()

    def told_up_to(self, scope: str, position: str) -> str:
        """The newest position up to which all of `scope` is told: `position`, or before the oldest of what is parked,
        held, kept for those to come, waits to be summed up, for its last words, an end or a last look; "" if unknown.
        """
        keepers = (self._parking, self._repeats, self._relay, self.starts, self._words, self.leaving, self._evictions)
        befores = [before for keeper in keepers if (before := keeper.oldest_before(scope)) is not None]
        return oldest([position, *befores]) if befores else position

    def _pass_on(self, event: Telling, scope: str, *, history: bool, before: str) -> None:
        """Tell, unless it is to be held, those who are known; keep it for those who are not yet."""
        uid = Uid(event.about)
        known = self._directory.find(uid, event.namespace)
        heard = known is not None and _hears(known, history=history)
        if (told := self._as_told(event)) is None:
            self._folded.inc()
            return
        if heard:
            self._tell(self._repeats.take(told, scope, before, self._clock.monotonic_s()))
        if uid in self._directory.awaiting:
            self._park(Parked(scope, event, history, before, self._clock.monotonic_s(), heard))

    def _as_told(self, event: Telling) -> Telling | None:
        """What is said of `event`; None if another says it, too."""
        return self.tries.take(event) if isinstance(event, Event) else event

    def _hear(self, event: Event) -> None:
        if event.involved_object.kind == POD:
            self._tell_start(self.starts.hear(event))

    def _hear_eviction(self, evicted: Evicted) -> None:
        if self._evictions.hear(evicted):
            self._tell_eviction(evicted)

    def _tell_eviction(self, evicted: Evicted) -> None:
        """Its pod is over: what its status leaves out."""
        for fresh in self._reported.take(Uid(evicted.event.about), [evicted.fact]):
            self._pass_on(fresh, evicted.scope, history=evicted.history, before=evicted.before)

    def _pass_on_eviction(self, evicted: Evicted) -> None:
        """What the Event says, as it is: nothing was seen that agrees with it."""
        self._pass_on(evicted.event, evicted.scope, history=evicted.history, before=evicted.before)

    def _tell_start(self, ended: Ended | None) -> None:
        """Tell what the start went on, once; those who cannot be told yet will be."""
        if ended is None:
            return
        uid = Uid(ended.start.uid)
        known = self._directory.find(uid, ended.start.namespace)
        if known is None:
            return
        fact = start_fact(ended.start, known.pulls)
        for fresh in self._reported.take(uid, [fact]):
            self._pass_on(fresh, ended.scope, history=ended.history, before=ended.before)
        if uid not in self._directory.awaiting:
            self.starts.settle(uid)
            self._reported.settle(uid, fact.topic)

    def _park(self, parked: Parked) -> None:
        self._overflow.inc(self._parking.park(parked))

    def _tell_unkept(self, uid: Uid) -> None:
        """Say how many events about `uid` were dropped before it had an agent."""
        known = self._directory.get(uid)
        if known is not None and not known.seats:
            return
        missing = self._parking.unkept.take(uid, history=known is not None and known.told)
        if known is not None and missing:
            tell(self._publisher, unkept(known, missing), known)

    def _is_heard(self, parked: Parked) -> bool:
        known = self._directory.find(Uid(parked.event.about), parked.event.namespace)
        return known is not None and _hears(known, history=parked.history)

    def _tell(self, events: Iterable[Telling]) -> None:
        for event in events:
            self._tell_one(event, history=False)

    def _tell_one(self, event: Telling, *, history: bool) -> None:
        """`history`: of what stands beside them, only those who waited when we first came are told."""
        if isinstance(event, Event) and event.involved_object.kind not in _OBJECTS:
            if (tie := tie_of(event)) is not None:
                self._relay.tell(event, tie, history=history)
            return
        known = self._directory.find(Uid(event.about), event.namespace)
        if known is not None:
            tell(self._publisher, _record(event, known), known, self._counting(event))
            if isinstance(event, Fact):
                self._words.want(event)

    def _counting(self, event: Telling) -> Callable[[], None] | None:
        """What is to be done should Redis not know `event` yet: a start is counted."""
        timeline = event.details.timeline if isinstance(event, Fact) else None
        if timeline is None:
            return None
        failed = isinstance(event, Fact) and event.details.aspect == Aspect.NOT_STARTED
        return partial(self._start_times.observe, timeline, failed=failed)


def _waits_for_an_end(parked: Parked) -> bool:
    """Whether it came before its pod was known, and is to be told with the pod's end only."""
    event = parked.event
    return isinstance(event, Event) and event.involved_object.kind == POD and told_by_status(event) and not parked.heard


def _hears(known: Known, *, history: bool) -> bool:
    """Whether the object has someone to tell, and what was there before we first came concerns them."""
    return bool(known.seats) and (known.told or not history)


def _record(event: Telling, known: Known) -> LogRecord:
    return fact_record(event, known) if isinstance(event, Fact) else event_record(event, known)
