"""All that is watched of one namespace, or of the whole cluster: one reflector per resource.

The unit that is added to and removed from a running program.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from random import Random

import structlog
from msgspec import Struct
from msgspec.structs import replace

from common.clock import Clock
from common.ids import Unit
from common.store.ledger import Ledger
from common.telemetry.metrics import WatcherMetrics
from watcher.absence import Absences
from watcher.directory import Directory, Place
from watcher.domain import Domain
from watcher.floor import Floors
from watcher.intake import EventSink, ObjectSink, Start
from watcher.kube_errors import Forbidden
from watcher.objects import Event, Pod, ReplicaSet, ResourceT
from watcher.parking import Parking
from watcher.paths import EVENTS, PLURALS, RESOURCES, collection_path, scope_name
from watcher.publisher import Publisher
from watcher.reflector import Api, Reflector, Sink, Target
from watcher.registrar import Registrar
from watcher.router import Router
from watcher.selectors import FieldSelector, LabelSelector
from watcher.sightings import POD, REPLICA_SET
from watcher.versions import oldest

__all__ = ["Parts", "Territory"]


class Parts(Struct, frozen=True):
    """What all territories of a program share."""

    api: Api
    ledger: Ledger
    publisher: Publisher
    directory: Directory
    parking: Parking
    router: Router
    registrar: Registrar
    absences: Absences
    metrics: WatcherMetrics
    clock: Clock
    random: Random
    labels: LabelSelector
    fields: FieldSelector
    watch_timeout_s: float


class Territory:
    """Reads `namespace` (`*`: the cluster) for the units of `domain`, until `run` is cancelled.

    Its domain may lose units while it runs; it gains some only between two runs.
    """

    def __init__(self, namespace: str, domain: Domain, parts: Parts) -> None:
        self.namespace = namespace
        self.domain = domain
        self._parts = parts
        self._events: EventSink | None = None
        self._objects: dict[str, ObjectSink] = {}
        self._reflectors: list[Reflector[Pod] | Reflector[ReplicaSet] | Reflector[Event]] = []
        self._reading: list[asyncio.Task[None]] = []

    @property
    def synced(self) -> bool:
        """Each resource is read, or known to be forbidden: the others go on meanwhile."""
        return bool(self._reflectors) and all(
            each.synced or isinstance(each.trouble, Forbidden) for each in self._reflectors
        )

    @property
    def may_miss_objects(self) -> bool:
        """Whether what Events wait for cannot all be read. Many do without ReplicaSets for good, but nobody without
        pods: if these are forbidden, that will be mended."""
        return not self.synced or any(
            isinstance(each.trouble, Forbidden) and each.resource == PLURALS[POD] for each in self._reflectors
        )

    @property
    def trouble(self) -> str:
        """Why something is not heard, "" if all is."""
        return next((str(each.trouble) for each in self._reflectors if each.trouble is not None), "")

    def positions(self) -> dict[str, str]:
        """How far each resource was read in memory."""
        held = {resource: sink.position for resource, sink in self._objects.items()}
        if self._events is not None:
            held[EVENTS] = self._events.position
        return held

    def leave(self) -> None:
        """Tell what is held: the last run was cancelled."""
        for sink in self._objects.values():
            sink.leave()
        if self._events is not None:
            self._events.leave()

    def part(self, units: frozenset[Unit]) -> None:
        """Tell and save what is known of `units`, and forget them: they go to another watcher."""
        for sink in self._objects.values():
            sink.part(units)
        if self._events is not None:
            self._events.part(units)
        self._parts.directory.clear(lambda namespace: self.domain.unit_of(namespace) in units)

    def tick(self) -> None:
        """Save what may be saved now that parked events and held repeats have gone."""
        for sink in self._objects.values():
            sink.save()
        if self._events is not None:
            self._events.save()

    async def load(self, fresh: frozenset[Unit]) -> dict[str, Start]:
        """Take up the objects known of the units `fresh`; where each resource is to be read from, for all units.

        Raises `StoreError`.
        """
        ledger, here = self._parts.ledger, self.positions()
        starts = {}
        for resource in RESOURCES:
            units = self.domain.units
            saved, floors = await ledger.positions(resource, units), await ledger.floors(resource, units)
            reached = {}
            for unit in units:
                position = saved.get(unit, "") if unit in fresh else here.get(resource, "")
                # Without a floor the position's meaning is lost; a list is always safe.
                reached[unit] = position if unit in floors else ""
            starts[resource] = Start(oldest(reached.values()), floors, reached)
        for resource in PLURALS.values():
            loaded = [self._parts.registrar.load(await ledger.objects(resource, unit)) for unit in fresh]
            if not all(loaded):
                structlog.get_logger().warning(
                    "saved objects cannot be read (another release packed them, or their tokens are sealed under a key "
                    "that is not given); they are listed anew",
                    resource=resource,
                )
                starts[resource] = replace(starts[resource], resume="")
        self._parts.router.meet()
        return starts

    def from_floors(self) -> dict[str, Start]:
        """Lists that begin where memory ends: what is newer than that is shown."""
        return {
            resource: Start("", dict.fromkeys(self.domain.units, position) if position else {}, {})
            for resource, position in self.positions().items()
        }

    async def run(self, starts: Mapping[str, Start]) -> None:
        """Follow all resources from `starts`."""
        parts, labels = self._parts, self._parts.labels.text
        pods = self._object_sink(POD, starts, selected=bool(labels or parts.fields.text))
        owners = self._object_sink(REPLICA_SET, starts, selected=bool(parts.fields.namespace_text))
        scope = scope_name(EVENTS, self.namespace)
        floors = Floors(EVENTS, self.domain, starts[EVENTS].floors, parts.publisher)
        events = EventSink(scope, self.domain, starts[EVENTS], floors, parts.router, parts.publisher)
        self._objects = {PLURALS[POD]: pods, PLURALS[REPLICA_SET]: owners}
        self._events = events
        common = parts.fields.namespace_text
        self._reflectors = [
            self._reflector(Pod, "pods", _given(labelSelector=labels, fieldSelector=parts.fields.text), pods),
            self._reflector(ReplicaSet, "replicasets", _given(fieldSelector=common), owners),
            self._reflector(Event, EVENTS, _given(fieldSelector=common), events),
        ]
        async with asyncio.TaskGroup() as group:
            self._reading = [group.create_task(reflector.run()) for reflector in self._reflectors]

    def interrupt(self) -> None:
        """Cancel what reads once more: `run` hands on only the first cancellation, and one may get lost."""
        for task in self._reading:
            task.cancel()

    def _object_sink(self, kind: str, starts: Mapping[str, Start], *, selected: bool) -> ObjectSink:
        parts, start = self._parts, starts[PLURALS[kind]]
        return ObjectSink(
            Place(kind, self.namespace),
            self.domain,
            start,
            Floors(PLURALS[kind], self.domain, start.floors, parts.publisher),
            parts.labels,
            parts.directory,
            parts.registrar,
            parts.router,
            parts.absences,
            parts.publisher,
            parts.clock,
            selected=selected,
        )

    def _reflector(
        self, kind: type[ResourceT], resource: str, selectors: Mapping[str, str], sink: Sink[ResourceT]
    ) -> Reflector[ResourceT]:
        parts = self._parts
        path = collection_path(resource, self.namespace)
        return Reflector(
            Target(kind, resource, self.namespace, path, selectors, self._is_ours),
            parts.api,
            sink,
            parts.metrics,
            parts.clock,
            parts.random,
            watch_timeout_s=parts.watch_timeout_s,
        )

    def _is_ours(self, namespace: str) -> bool:
        return self.domain.unit_of(namespace) is not None


def _given(**selectors: str) -> dict[str, str]:
    return {name: text for name, text in selectors.items() if text}
