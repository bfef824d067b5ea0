"""Take changes from reflectors: objects to the registrar, events and what a status tells to the router.

Each scope's position is saved after the appends it covers, and never past what still waits for its object or its
token, or a repeat that is held.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, assert_never

import structlog
from msgspec import Struct

from common.clock import Clock
from common.ids import Unit
from watcher.absence import Absences
from watcher.directory import Directory, Place
from watcher.domain import Domain
from watcher.floor import Floors
from watcher.objects import Delta, Event, Metadata, Pod, ReplicaSet, Verb
from watcher.paths import EVENTS, PLURALS, scope_name
from watcher.publisher import Publisher
from watcher.records import event_order
from watcher.reflection import Began, Change, Changed, Completed, Found, Rebuilt, Rejected
from watcher.registrar import Registrar
from watcher.router import ROUTED, Router
from watcher.selectors import LabelSelector
from watcher.sightings import Sighting, sight
from watcher.versions import is_newer, unix_ms

__all__ = ["EVENT_TTL_S", "EventSink", "ObjectSink", "Start"]

EVENT_TTL_S: Final = 3600.0
"""Kubernetes' own default: beyond it a relist would not bring the event back either."""


class Start(Struct, frozen=True):
    """Where one resource of a domain is read from."""

    resume: str
    """"" = from a list."""
    floors: Mapping[Unit, str]
    reached: Mapping[Unit, str]
    """How far each unit had been read; `resume` may lie before, for another unit's sake."""


class _Sink:
    """What the sinks of one domain have in common: how far they have read, and how far of that is told."""

    def __init__(
        self,
        resource: str,
        scope: str,
        domain: Domain,
        start: Start,
        floors: Floors,
        router: Router,
        publisher: Publisher,
    ) -> None:
        """`scope` names the sink to whatever keeps something for it (`Router.told_up_to`)."""
        self.position = start.resume
        self.scope = scope
        self._resource = resource
        self._domain = domain
        self._read = domain.units
        """What this sink reads. The domain may lose some of it, and gain others, which the next reading begins with."""
        self._reached = start.reached
        self._floors = floors
        self._router = router
        self._publisher = publisher
        self._saved = ""
        self._lists = False
        """A list is under way: what waited was dropped for it, and what it shows of that is not known yet."""

    def save(self) -> None:
        """Save how far everything is told."""
        position = self._told_up_to()
        if position and position != self._saved:
            self._saved = position
            self._publisher.reach(self._resource, self._domain.units & self._read, position)

    def part(self, units: frozenset[Unit]) -> None:
        """Tell and save what is held of `units`, which go to another watcher; the domain still has them."""
        self._router.release(self.scope)
        position = self._told_up_to()
        if position:
            self._publisher.reach(self._resource, units, position)
        self._read -= units
        self._router.hand_over(self.scope, lambda namespace: self._domain.unit_of(namespace) in units)

    def leave(self) -> None:
        """Tell what is held: nothing more is read."""
        self._router.release(self.scope)
        self.save()

    def _told_up_to(self) -> str:
        """ "" if that is unknown."""
        return "" if self._lists else self._router.told_up_to(self.scope, self.position)

    async def _begin_list(self, position: str) -> None:
        self._lists = True
        self._router.read_anew(self.scope)
        await self._floors.begin(position)

    async def _complete_list(self, position: str) -> None:
        self._lists = False
        self.position = position
        self.save()
        await self._floors.complete()

    def _rebuilt(self) -> None:
        """It is another cluster: nothing of the one before counts."""
        self._floors.forget()
        self._reached, self.position = {}, ""


class EventSink(_Sink):
    """Events of one domain."""

    def __init__(
        self, scope: str, domain: Domain, start: Start, floors: Floors, router: Router, publisher: Publisher
    ) -> None:
        super().__init__(EVENTS, scope, domain, start, floors, router, publisher)
        self._listed: list[Event] = []

    async def take(self, change: Change[Event]) -> None:
        match change:
            case Began(position):
                self._listed = []
                await self._begin_list(position)
            case Found(objects):
                self._listed += [event for event in objects if event.involved_object.kind in ROUTED]
            case Completed(position):
                self._tell_listed()
                await self._complete_list(position)
            case Changed(deltas, position):
                for delta in deltas:
                    self._changed(delta)
                self.position = position
            case Rejected(count, why):
                _say_rejected(self.scope, count, why)
            case Rebuilt():
                self._rebuilt()
            case _:
                assert_never(change)
        self.save()
        await self._publisher.room()

    def _changed(self, delta: Delta[Event]) -> None:
        event = delta.object
        unit = self._domain.unit_of(event.metadata.namespace)
        is_old = unit is None or _was_reached(self._reached, unit, event.metadata)
        if not is_old and delta.verb is not Verb.DELETED:  # a deleted Event has only expired
            self._router.route(event, self.scope, history=False, before=self.position)
        self.position = event.metadata.resource_version or self.position

    def _tell_listed(self) -> None:
        """What was missed, in order of time; a list comes in order of names."""
        listed, self._listed = self._listed, []
        units = ((event, self._domain.unit_of(event.metadata.namespace)) for event in sorted(listed, key=event_order))
        ours = [(event, unit) for event, unit in units if unit is not None]
        self._router.foresee(event for event, _ in ours)
        for event, unit in ours:
            shown = self._floors.shows(unit, event.metadata.resource_version)
            self._router.route(event, self.scope, history=not shown, before="")


class ObjectSink(_Sink):
    """Pods or ReplicaSets of one domain."""

    def __init__(
        self,
        place: Place,
        domain: Domain,
        start: Start,
        floors: Floors,
        selector: LabelSelector,
        directory: Directory,
        registrar: Registrar,
        router: Router,
        absences: Absences,
        publisher: Publisher,
        clock: Clock,
        *,
        selected: bool,
    ) -> None:
        """`selected`: the API server filters, so an object that it calls deleted may only have left the selection."""
        resource = PLURALS[place.kind]
        scope = scope_name(resource, place.namespace)
        super().__init__(resource, scope, domain, start, floors, router, publisher)
        self._place = place
        self._selector = selector
        self._directory = directory
        self._registrar = registrar
        self._absences = absences
        self._clock = clock
        self._selected = selected

    async def take(self, change: Change[Pod] | Change[ReplicaSet]) -> None:
        match change:
            case Began(position):
                await self._begin_list(position)
            case Found(objects):
                for each in objects:
                    self._listed(each)
            case Completed(position, uids):
                for uid in self._directory.uids(self._place) - uids:
                    self._absences.suspect(uid)
                self._directory.keep_bare(self._place, uids)
                await self._complete_list(position)
            case Changed(deltas, position):
                for delta in deltas:
                    self._changed(delta.verb, delta.object)
                    self.position = delta.object.metadata.resource_version or self.position
                self.position = position or self.position
            case Rejected(count, why):
                _say_rejected(self.scope, count, why)
            case Rebuilt():
                self._rebuilt()
            case _:
                assert_never(change)
        self.save()
        await self._publisher.room()

    def _listed(self, listed: Pod | ReplicaSet) -> None:
        unit = self._domain.unit_of(listed.metadata.namespace)
        if unit is None:
            return
        seen = sight(listed, self._selector)
        self._absences.clear(seen.uid)
        shown = self._floors.shows(unit, seen.metadata.resource_version)
        self._registrar.observe(seen, told=seen.waiting or shown)
        self._router.look(seen, self.scope, history=not shown, before="")

    def _changed(self, verb: Verb, changed: Pod | ReplicaSet) -> None:
        unit = self._domain.unit_of(changed.metadata.namespace)
        if unit is None or _was_reached(self._reached, unit, changed.metadata):
            return
        seen = sight(changed, self._selector)
        if verb is not Verb.DELETED:
            self._absences.clear(seen.uid)
            self._registrar.observe(seen, told=True)
            self._look(seen)
        elif self._directory.get(seen.uid) is None:
            self._registrar.gone_bare(seen.kind, seen.metadata.namespace, seen.uid)
        elif self._selected and seen.metadata.deletion_timestamp is None:
            self._absences.suspect(seen.uid)
        else:
            self._absences.clear(seen.uid)
            self._look(seen)
            now_ms = int(self._clock.unix_s() * 1000)
            due_ms = unix_ms(seen.metadata.deletion_timestamp)
            at_ms = min(due_ms or now_ms, now_ms)
            self._registrar.gone(seen.uid, at_ms, failed=seen.failed, scope=self.scope, before=self.position)

    def _look(self, seen: Sighting) -> None:
        self._router.look(seen, self.scope, history=False, before=self.position)


def _was_reached(reached: Mapping[Unit, str], unit: Unit, metadata: Metadata) -> bool:
    """Whether that was told before the reading began anew at an earlier position, for another unit's sake."""
    version = reached.get(unit, "")
    return bool(version) and is_newer(metadata.resource_version, version) is False


def _say_rejected(scope: str, count: int, why: str) -> None:
    structlog.get_logger().warning("objects that could not be decoded were left out", scope=scope, count=count, why=why)
