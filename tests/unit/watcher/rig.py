"""A watcher without network and Redis: real directory, registrar, router and sinks around an outbox that remembers."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncGenerator, Callable, Collection, Mapping, Sequence
from random import Random
from typing import Any, cast

import msgspec
from cryptography.fernet import Fernet
from prometheus_client import CollectorRegistry

from common.crypto import TokenVault
from common.ids import AgentId, Uid, Unit
from common.record import LogRecord, decode_record
from common.store.model import Card, Entry
from common.telemetry.metrics import WatcherMetrics
from watcher.absence import Absences
from watcher.directory import ANY_NAMESPACE, Directory, Place
from watcher.domain import Domain
from watcher.floor import Floors
from watcher.intake import EventSink, ObjectSink, Start
from watcher.kube_errors import KubeError, NotFound
from watcher.lines import Oversized
from watcher.lingering import Lingering
from watcher.mounts import Kind
from watcher.objects import Event, Pod, ReplicaSet, ResourceT, decode_watch
from watcher.parking import Parking
from watcher.paths import PLURALS, scope_name
from watcher.publisher import Publisher
from watcher.pursuit import Pursuit
from watcher.reflection import Began, Changed, Completed, Found, Lines, Watching, advance
from watcher.registrar import Registrar
from watcher.relay import Relay
from watcher.repeats import SPELLS_S, Repeats
from watcher.router import Router
from watcher.selectors import LabelSelector, parse_labels
from watcher.sightings import POD, REPLICA_SET
from watcher.sought import Source, SourceData
from watcher.sources import SourceName, Sources
from watcher.unmade import Unmade
from watcher.words import Silence, Words

TOKEN = "11111111-2222-4333-8444-555555555555"
OTHER_TOKEN = "99999999-2222-4333-8444-555555555555"


async def until(condition: Callable[[], bool]) -> None:
    """Let the others run until `condition` holds."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - the code under test has no event to wait for
            await asyncio.sleep(0.001)


class ManualClock:
    """Time moves only when told; sleeps return at once and are noted."""

    def __init__(self) -> None:
        self.now_s = 1_000.0
        self.slept: list[float] = []

    def monotonic_s(self) -> float:
        return self.now_s

    def unix_s(self) -> float:
        return 1_800_000_000.0 + self.now_s

    async def sleep(self, delay_s: float) -> None:
        self.slept.append(delay_s)
        self.now_s += delay_s
        await asyncio.sleep(0)


class Outbox:
    """What a publisher was asked to write, in order."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.on_new: dict[str, Callable[[], None]] = {}
        """What is to be called for an identity that Redis takes as news."""
        self.registered: list[tuple[AgentId, Uid, Card]] = []
        self.released: list[tuple[AgentId, Uid]] = []
        self.positions: dict[str, str] = {}
        self.floors_set: list[tuple[str, str]] = []
        self.objects: dict[str, dict[Uid, bytes]] = {}
        self.forgotten: set[Unit] = set()
        self.flushes: list[dict[str, str]] = []
        """The positions that were to be saved at each wait for all to be written."""

    def register(self, agent: AgentId, uid: Uid, card: Card) -> None:
        self.registered.append((agent, uid, card))

    def release(self, agent: AgentId, uid: Uid) -> None:
        self.released.append((agent, uid))

    def append(self, entry: Entry, on_new: Callable[[], None] | None = None) -> None:
        if on_new is not None:
            self.on_new[entry.identity] = on_new
        self.entries.append(entry)

    def keep(
        self, resource: str, unit: Unit, *, put: Mapping[Uid, bytes] | None = None, remove: Collection[Uid] = ()
    ) -> None:
        kept = self.objects.setdefault(f"{resource}/{unit}", {})
        kept.update(put or {})
        for uid in remove:
            kept.pop(uid, None)

    async def flushed(self) -> None:
        self.flushes.append(dict(self.positions))

    def forget(self, units: Collection[Unit]) -> None:
        self.forgotten.update(units)

    def reach(self, resource: str, units: frozenset[Unit], position: str) -> None:
        for unit in units:
            self.positions[f"{resource}/{unit}"] = position

    async def room(self) -> None:
        return

    async def set_floors(self, resource: str, floor: str, units: Collection[Unit]) -> None:
        self.floors_set += [(f"{resource}/{unit}", floor) for unit in sorted(units)]

    @property
    def records(self) -> list[LogRecord]:
        read = [decode_record(entry.payload) for entry in self.entries]
        assert all(isinstance(record, LogRecord) for record in read)
        return cast(list[LogRecord], read)

    @property
    def said(self) -> list[str]:
        """`<kind> <reason>` and, for events, `x<count>`."""
        return [
            f"{record.object.kind} {record.reason}" + (f" x{record.count}" if record.type else "")
            for record in self.records
        ]


TOKEN_KEY = Fernet.generate_key()


class FakeApi:
    """Answers `get` from a table by path; a missing path is not found. Watches play what `watch_script` yields."""

    def __init__(self) -> None:
        self.objects: dict[str, object] = {}
        self.asked: list[str] = []

    def secret(self, namespace: str, name: str, data: Mapping[str, str]) -> None:
        self.objects[f"/api/v1/namespaces/{namespace}/secrets/{name}"] = {"data": dict(data)}

    def config_map(self, namespace: str, name: str, data: Mapping[str, str]) -> None:
        self.objects[f"/api/v1/namespaces/{namespace}/configmaps/{name}"] = {"data": dict(data)}

    async def get(self, path: str, query: Mapping[str, str] | None = None) -> bytes:
        self.asked.append(path)
        await asyncio.sleep(0)
        answer = self.objects.get(path)
        if answer is None:
            raise NotFound(path)
        if isinstance(answer, KubeError):
            raise answer
        return msgspec.json.encode(answer)

    def watch(
        self, path: str, query: Mapping[str, str], *, inactivity_s: float
    ) -> AsyncGenerator[list[bytes | Oversized], None]:
        raise NotImplementedError


class Whole:
    """Every namespace, as one unit."""

    units = frozenset((Unit("*"),))

    def unit_of(self, _namespace: str) -> Unit:
        return Unit("*")


class Rig:
    """All that decides, put together as `watcher.parts` does."""

    def __init__(
        self,
        *,
        selector: str = "",
        selected: bool = False,
        parked_max: int = 100,
        known_max: int = 100,
        lingering_max: int = 100,
        floor: str = "",
        domain: Domain | None = None,
        reached: Mapping[Unit, str] | None = None,
        token_keys: Sequence[bytes] = (TOKEN_KEY,),
        words: Callable[[Rig], Words] = lambda _rig: Silence(),
        spells_s: Sequence[float] = SPELLS_S,
    ) -> None:
        self.clock = ManualClock()
        self.reached = dict(reached or {})
        self.api = FakeApi()
        self.outbox = Outbox()
        self.metrics = WatcherMetrics(CollectorRegistry())
        self.domain: Domain = Whole() if domain is None else domain
        self.floors = dict.fromkeys(self.domain.units, floor) if floor else {}
        self.directory = Directory(known_max)
        self.parking = Parking(parked_max)
        self.vault = TokenVault([Fernet(key) for key in token_keys], b"k" * 32)
        publisher = cast(Publisher, self.outbox)
        self.repeats = Repeats(spells_s)
        self.lingering = Lingering(lingering_max)
        self.relay = Relay(self.directory, publisher, self.metrics, self.clock, self.lingering)
        self.words = words(self)
        self.router = Router(
            self.directory, self.parking, self.repeats, publisher, self.relay, self.metrics, self.clock, self.words
        )
        self.sources = Sources(self.api, self.metrics, self.clock, Random(1))
        self.registrar = Registrar(
            self.directory,
            self.vault,
            publisher,
            Pursuit(self.sources),
            self.metrics,
            self.clock,
            self.router.leaving,
            unit_of=self.domain.unit_of,
            on_registered=self.router.flush,
            on_ending=self.router.ending,
        )
        self.sources.on_answer = self.registrar.source_answered
        self.router.starts.keep = self.router.tries.keep = self.registrar.keep
        self.absences = Absences(self.api, self.directory, Random(1), on_gone=lambda uid: self.registrar.gone(uid, 77))
        labels = parse_labels(selector)
        self.unmade = Unmade(
            self.api,
            self.relay,
            self.sources,
            lambda: self.registrar.vault,
            labels,
            self.metrics,
            self.clock,
            Random(1),
        )
        self.relay.on_unmade = self.unmade.ask
        self.pods = self._objects(POD, labels, selected, publisher)
        self.owners = self._objects(REPLICA_SET, labels, selected, publisher)
        self.event_floors = Floors("events", self.domain, self.floors, publisher)
        self.events = EventSink(
            scope_name("events", ANY_NAMESPACE), self.domain, self._start(), self.event_floors, self.router, publisher
        )

    def _start(self) -> Start:
        return Start("", self.floors, self.reached)

    def _objects(self, kind: str, labels: LabelSelector, selected: bool, publisher: Publisher) -> ObjectSink:
        return ObjectSink(
            Place(kind, ANY_NAMESPACE),
            self.domain,
            self._start(),
            Floors(PLURALS[kind], self.domain, self.floors, publisher),
            labels,
            self.directory,
            self.registrar,
            self.router,
            self.absences,
            publisher,
            self.clock,
            selected=selected,
        )

    async def deliver(self, resource: str, verb: str, value: Mapping[str, Any]) -> None:
        """One watch line, as the server would send it."""
        await self.deliver_line(resource, msgspec.json.encode({"type": verb, "object": value}))

    async def deliver_line(self, resource: str, line: bytes) -> None:
        match resource:
            case "pods":
                await self._follow(Pod, line, self.pods.take, self.pods.position)
            case "replicasets":
                await self._follow(ReplicaSet, line, self.owners.take, self.owners.position)
            case _:
                await self._follow(Event, line, self.events.take, self.events.position)

    async def _follow(self, kind: type[ResourceT], line: bytes, take: Callable[..., Any], position: str) -> None:
        changes, _ = advance(Watching(position), Lines([decode_watch(kind, line)]))
        for change in changes:
            if not isinstance(change, Changed) or change.deltas or change.position != position:
                await take(change)


def agent_env(token: str = TOKEN) -> list[dict[str, Any]]:
    return [{"name": "CODER_AGENT_TOKEN", "value": token}]


def secret_env(name: str = "agent", key: str = "token") -> list[dict[str, Any]]:
    return [{"name": "CODER_AGENT_TOKEN", "valueFrom": {"secretKeyRef": {"name": name, "key": key}}}]


def pod(
    uid: str = "pod-1",
    *,
    namespace: str = "ns",
    name: str = "",
    version: str = "10",
    env: list[dict[str, Any]] | None = None,
    phase: str = "Pending",
    ready: bool = False,
    started: bool = False,
    deleting: bool = False,
) -> dict[str, Any]:
    metadata = {
        "name": name or uid,
        "namespace": namespace,
        "uid": uid,
        "resourceVersion": version,
        "creationTimestamp": "2026-11-22T15:49:07Z",
    }
    if deleting:
        metadata["deletionTimestamp"] = "2026-11-22T15:50:00Z"
    state = (
        {"running": {"startedAt": "2026-11-22T15:49:08Z"}} if started else {"waiting": {"reason": "ContainerCreating"}}
    )
    return {
        "metadata": metadata,
        "spec": {"containers": [{"name": "c", "env": agent_env() if env is None else env}]},
        "status": {
            "phase": phase,
            "conditions": [{"type": "Ready", "status": "True" if ready else "False"}],
            "containerStatuses": [{"name": "c", "state": state}],
        },
    }


def replica_set(uid: str = "rs-1", *, labels: Mapping[str, str] | None = None, ready: int = 0) -> dict[str, Any]:
    return {
        "metadata": {"name": uid, "namespace": "ns", "uid": uid, "resourceVersion": "9"},
        "spec": {
            "replicas": 1,
            "template": {
                "metadata": {"labels": dict(labels or {})},
                "spec": {"containers": [{"name": "c", "env": agent_env()}]},
            },
        },
        "status": {"replicas": 1, "readyReplicas": ready},
    }


def event(
    uid: str = "ev-1",
    *,
    about: str = "pod-1",
    kind: str = "Pod",
    namespace: str = "ns",
    own_namespace: str = "",
    version: str = "11",
    count: int = 1,
    reason: str = "Scheduled",
    at: str = "2026-11-22T15:49:08Z",
    message: str = "said",
) -> dict[str, Any]:
    return {
        "metadata": {"name": uid, "namespace": own_namespace or namespace, "uid": uid, "resourceVersion": version},
        "involvedObject": {"kind": kind, "namespace": namespace, "name": about, "uid": about},
        "reason": reason,
        "message": message,
        "type": "Normal",
        "count": count,
        "firstTimestamp": at,
        "lastTimestamp": at,
        "source": {"component": "kubelet"},
    }


SECRET = SourceName("ns", Source(Kind.SECRET, "agent"))


def data_of(token: str) -> SourceData:
    """What `SECRET` holds for `token`."""
    return SourceData({"token": base64.b64encode(token.encode()).decode()})


async def take_list(
    rig: Rig, *, pods: list[Any] | None = None, events: list[Any] | None = None, version: str = "50"
) -> None:
    """A whole list of pods, of events, or of both."""
    if pods is not None:
        listed = msgspec.json.decode(msgspec.json.encode(pods), type=list[Pod])
        await rig.pods.take(Began(version))
        await rig.pods.take(Found(listed))
        await rig.pods.take(Completed(version, frozenset(Uid(each.metadata.uid) for each in listed)))
    if events is not None:
        await rig.events.take(Began(version))
        await rig.events.take(Found([msgspec.convert(each, Event) for each in events]))
        await rig.events.take(Completed(version, frozenset()))
