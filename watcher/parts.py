"""Put a watcher together from its settings, and take it apart. The only file that knows all its parts."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from hashlib import blake2b
from random import Random
from typing import Final, TypeVar

import structlog

from common.backoff import Backoff
from common.bell import Bell
from common.clock import Clock
from common.crypto import TokenVault, WrongTokenKey
from common.ids import Unit
from common.settings.load import SettingsError
from common.settings.watcher import WatcherSettings
from common.store.address import is_sentinel
from common.store.connect import check_queue, check_server, connect
from common.store.errors import StoreError, StoreUnavailable
from common.store.keys import Keys
from common.store.ledger import Ledger
from common.store.lineage import Lineage
from common.store.model import RETENTION, Retention
from common.store.sentinel import follow, follow_sync
from common.store.tenures import Tenures
from common.store.writer import AgentWriter
from common.telemetry.http import Check
from common.telemetry.metrics import WatcherMetrics
from watcher.absence import Absences
from watcher.cancelling import end
from watcher.candidates import candidates_of, share
from watcher.crash_logs import crash_logs
from watcher.departed import Departed
from watcher.directory import TOMBSTONE_S, Directory
from watcher.domain import Slots
from watcher.identity import lives, new_name
from watcher.intake import EVENT_TTL_S
from watcher.kube import KubeClient
from watcher.lingering import Lingering
from watcher.nodes import NodeEvents
from watcher.parking import Parking
from watcher.publisher import Publisher
from watcher.pursuit import Pursuit
from watcher.registrar import Registrar
from watcher.relay import Relay
from watcher.repeats import SPELLS_S, Repeats
from watcher.router import Router
from watcher.selection import Selection
from watcher.selectors import SelectorError, parse_fields, parse_labels
from watcher.sharing import Sharing
from watcher.sightings import POD, REPLICA_SET
from watcher.sources import Sources
from watcher.starts import LAG_S
from watcher.territories import Territories
from watcher.territory import Parts
from watcher.unmade import Unmade

__all__ = ["Watcher"]

TICK_S: Final = 1.0
STALL_S: Final = 2 * TICK_S
"""A program whose tick comes so late has stood still."""
MARKER_EVERY_TICKS: Final = 5
FLUSH_S: Final = 5.0
"""How long a stop waits for Redis; what is not written then is read again at the next start."""
CANCELLED_WITHIN_S: Final = 1.0
STALLED_S: Final = 30.0
"""A loop that has not ticked for so long is dead."""
_BACKOFF: Final = Backoff(base_s=0.5, cap_s=5.0)

_Parsed = TypeVar("_Parsed")

log = structlog.get_logger()


class Watcher:
    """The parts of a watcher and their life."""

    def __init__(
        self,
        settings: WatcherSettings,
        metrics: WatcherMetrics,
        clock: Clock,
        random: Random,
        retention: Retention = RETENTION,
        tombstone_s: float = TOMBSTONE_S,
    ) -> None:
        """Raises `SettingsError` for selectors that cannot be right, `StoreRefused` for a Redis URL that is none."""
        self._settings = settings
        self._retention = retention
        self._tombstone_s = tombstone_s
        self._metrics = metrics
        self._clock = clock
        self._random = random
        self._labels = _parsed("--label-selector", parse_labels, settings.label_selector)
        self._fields = _parsed("--field-selector", parse_fields, settings.field_selector)
        self._wanted = _parsed("--namespace-selector", parse_labels, settings.namespace_selector)
        self._keys = Keys(settings.redis_prefix)
        self._client = connect(settings.redis_url)
        self._beat_s = time.monotonic()
        self._parts: Parts | None = None
        self._territories: Territories | None = None
        self._selection: Selection | None = None
        self._sharing: Sharing | None = None
        self._sharing_task: asyncio.Task[None] | None = None
        self._name = new_name()

    def alive(self) -> Check:
        """Whether the loop turns. Called from another thread."""
        late_s = time.monotonic() - self._beat_s
        return Check(ok=late_s < STALLED_S, reason=f"the loop turned {late_s:.0f} s ago")

    def ready(self) -> Check:
        """Whether everything is watched and Redis takes records. Called from another thread."""
        if self._parts is None or self._territories is None:
            return Check(ok=False, reason="starting: waiting for Redis")
        if self._parts.publisher.trouble:
            return Check(ok=False, reason=self._parts.publisher.trouble)
        if self._selection is not None and self._selection.trouble:
            return Check(ok=False, reason=f"namespaces: {self._selection.trouble}")
        if self._sharing is None or not self._sharing.joined:
            return Check(ok=False, reason="starting: learning what the other watchers read")
        trouble = self._territories.trouble
        return Check(ok=not trouble, reason=trouble or "ok")

    async def run(self, stop: asyncio.Event) -> None:
        """Watch until `stop` is set. Raises `NoCluster`, `StoreRefused`, `WrongTokenKey`."""
        work = asyncio.create_task(self._run())
        stopping = asyncio.create_task(stop.wait())
        try:
            while not work.done():
                self._beat_s = time.monotonic()
                await asyncio.wait((work, stopping), timeout=TICK_S, return_when=asyncio.FIRST_COMPLETED)
                if stop.is_set():
                    break
            await self._end(work)
        finally:
            stopping.cancel()

    async def _end(self, work: asyncio.Task[None]) -> None:
        """Stop reading, write what was read, then end everything else."""
        if not work.done():
            await self._hand_back()
            work.cancel()
            await asyncio.wait((work,), timeout=CANCELLED_WITHIN_S)
            if not work.done():
                return  # a task has lost its cancellation; the runner cancels each by itself, not only the group
        try:
            await work
        except asyncio.CancelledError:
            pass
        except BaseExceptionGroup as group:
            raise _first(group) from group

    async def _hand_back(self) -> None:
        """Write down what was read, then let the other watchers go on from there."""
        if self._parts is None or self._territories is None or self._sharing is None or self._sharing_task is None:
            return
        await end(self._sharing_task)
        try:
            async with asyncio.timeout(FLUSH_S):
                await self._territories.stop()  # somebody may be changing them, and wait for Redis
                await self._parts.publisher.flushed()
                await self._sharing.leave()
        except TimeoutError:
            log.warning("Redis did not take the last records; they are read again at the next start")
        except StoreError as error:
            log.warning("the other watchers could not be told of the stop; they notice by themselves", error=str(error))

    async def _run(self) -> None:
        settings = self._settings
        api = KubeClient(
            str(settings.kubeconfig or ""), clock=self._clock, request_timeout_s=settings.kube_request_timeout_s
        )
        try:
            await api.open()
            vault, marker = await self._open_store()
            named = ",".join(settings.namespaces) or self._wanted.text or "all"
            log.info("watching", api=api.host, namespaces=named)
            await self._watch(vault, marker, api)
        finally:
            await api.close()
            await self._client.aclose()

    async def _watch(self, vault: TokenVault, marker: str, api: KubeClient) -> None:
        settings, metrics, clock, random = self._settings, self._metrics, self._clock, self._random
        lineage = Lineage()
        ledger = Ledger(self._client, self._keys, lineage)
        selection = self._select(api)
        slots = None if settings.namespaces or selection is not None else Slots()
        unit_of = slots.unit_of if slots is not None else Unit
        directory, parking = Directory(settings.known_max, tombstone_s=self._tombstone_s), Parking(settings.parked_max)
        repeats = Repeats([spell_s - TICK_S for spell_s in SPELLS_S])  # what is due is told by a tick
        writer = AgentWriter(
            self._client, self._keys, budget_bytes=settings.budget_bytes, retention=self._retention, lineage=lineage
        )
        bell = Bell(settings.queue_url, self._keys.prefix)
        publisher = Publisher(writer, ledger, bell, metrics, clock, random, lineage)
        relay = Relay(directory, publisher, metrics, clock, Lingering())
        words = crash_logs(settings, api, directory, vault, publisher, metrics, clock, random)
        router = Router(directory, parking, repeats, publisher, relay, metrics, clock, words)
        sources = Sources(api, metrics, clock, random)
        registrar = Registrar(
            directory,
            vault,
            publisher,
            Pursuit(sources),
            metrics,
            clock,
            router.leaving,
            unit_of=unit_of,
            on_registered=router.flush,
            on_ending=router.ending,
        )
        sources.on_answer = registrar.source_answered
        unmade = Unmade(api, relay, sources, lambda: registrar.vault, self._labels, metrics, clock, random)
        relay.on_unmade = unmade.ask
        router.starts.keep = router.tries.keep = registrar.keep
        absences = Absences(api, directory, random, on_gone=lambda uid: registrar.gone(uid, int(clock.unix_s() * 1000)))
        parts = Parts(
            api=api,
            ledger=ledger,
            publisher=publisher,
            directory=directory,
            parking=parking,
            router=router,
            registrar=registrar,
            absences=absences,
            metrics=metrics,
            clock=clock,
            random=random,
            labels=self._labels,
            fields=self._fields,
            watch_timeout_s=settings.watch_timeout_s,
        )
        async with asyncio.TaskGroup() as group:
            territories = Territories(parts, group, marker, self._open_vault, slots)
            publisher.introduce = territories.introduce
            publisher.emptied, publisher.read_anew = territories.emptied, territories.read_anew
            candidates = candidates_of(settings.namespaces, selection)
            sharing = Sharing(self._name, self._tenures(), territories, candidates, metrics, clock, lives=lives)
            publisher.epochs = sharing.epochs
            for service in (publisher, sources, absences, unmade, words):
                group.create_task(service.run())
            group.create_task(self._housekeeping(parts, territories))
            if settings.node_events:
                nodes = NodeEvents(api, router, metrics, clock, random, watch_timeout_s=settings.watch_timeout_s)
                territories.on_read_anew = nodes.read_anew
                group.create_task(nodes.run())
            if is_sentinel(settings.redis_url):
                group.create_task(follow(self._client.connection_pool, clock))
            if is_sentinel(settings.queue_url):
                group.create_task(follow_sync(bell.client.connection_pool, clock))
            if selection is not None:
                selection.on_gone = territories.doubt
                group.create_task(selection.run())
                group.create_task(Departed(api, ledger, selection, clock, random).run())
            self._sharing_task = group.create_task(share(sharing, selection))
            self._parts, self._territories, self._sharing = parts, territories, sharing
            self._selection = selection

    def _select(self, api: KubeClient) -> Selection | None:
        """What finds the namespaces by their labels; None if they are named, or all are watched."""
        if not self._wanted.text:
            return None
        timeout_s = self._settings.watch_timeout_s
        return Selection(self._wanted, api, self._metrics, self._clock, self._random, watch_timeout_s=timeout_s)

    def _tenures(self) -> Tenures:
        """Watchers share if they have the same to watch, and see the same of it."""
        settings = self._settings
        what = [*sorted(settings.namespaces), "", settings.label_selector, settings.field_selector]
        if self._wanted.text:
            what.append(self._wanted.text)
        group = blake2b("\0".join(what).encode(), digest_size=6).hexdigest()
        return Tenures(self._client, self._keys, group, lease_s=settings.watcher_lease_s)

    async def _housekeeping(self, parts: Parts, territories: Territories) -> None:
        ticks = 0
        parked_expired = self._metrics.records.labels("parked_expired")
        now_s = self._clock.monotonic_s()
        while True:
            before_s = now_s
            await self._clock.sleep(TICK_S)
            ticks += 1
            now_s = self._clock.monotonic_s()
            if now_s - before_s > STALL_S or not parts.publisher.has_room:
                territories.heard_nothing(now_s)
            parts.directory.drop_tombstones(now_s)
            parked_s = self._settings.parked_s
            unheard = territories.unheard(now_s, parked_s)
            expired = parts.parking.expire(now_s - parked_s, keep=parts.directory.expecting, unheard=unheard)
            parked_expired.inc(expired + parts.parking.expire(now_s - EVENT_TTL_S))
            self._metrics.parked_events.set(len(parts.parking))
            for kind in (POD, REPLICA_SET):
                self._metrics.known_objects.labels(kind).set(parts.directory.count(kind))
            parts.registrar.tick()
            parts.router.expire(unheard)
            parts.router.tick(can_hear=territories.hears_all(now_s, LAG_S))
            self._metrics.redis_up.set(not parts.publisher.trouble)
            self._metrics.outbox_bytes.set(parts.publisher.waiting_bytes)
            territories.tick()
            if ticks % MARKER_EVERY_TICKS == 0:
                parts.publisher.check()
                try:
                    await territories.check_marker()
                except WrongTokenKey:
                    raise
                except StoreError as error:
                    log.debug("the marker cannot be read", error=str(error))  # the publisher says it aloud

    async def _open_store(self) -> tuple[TokenVault, str]:
        """Wait for Redis, then check it; answers the vault and the data set's marker.

        Raises `StoreRefused`, `WrongTokenKey`.
        """
        failures = 0
        while True:
            try:
                server = await check_server(self._client, self._keys)
                if self._settings.queue_url != self._settings.redis_url:
                    await check_queue(self._settings.queue_url)
                marker = await Ledger(self._client, self._keys).marker()
                vault = await self._open_vault(None)
            except StoreUnavailable as error:
                delay_s = _BACKOFF.delay_s(failures, self._random)
                log.warning("Redis is not there yet; tried again", error=str(error), retry_in_s=round(delay_s, 1))
                failures += 1
                await self._clock.sleep(delay_s)
            else:
                log.info("connected to Redis", server=server)
                return vault, marker

    async def _open_vault(self, before: TokenVault | None) -> TokenVault:
        return await TokenVault.open(self._client, self._keys, self._settings.token_keys, before=before)


def _parsed(flag: str, parse: Callable[[str], _Parsed], text: str) -> _Parsed:
    """The selector in `text`. Raises `SettingsError`."""
    try:
        return parse(text)
    except SelectorError as error:
        raise SettingsError(f"{flag}: {error}") from error


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The error that ended a group of tasks; the others were cancelled for it."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
