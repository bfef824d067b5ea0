"""The real watcher and the real shipper, put together as their programs do it, each a `Process` on the shared loop.

What is not real: RQ. Its bell is a number in memory (`Bells`), lost and refused as a queue on the same Redis would be.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import threading
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from random import Random
from typing import Final
from unittest import mock
from weakref import WeakKeyDictionary

import msgspec
from prometheus_client import CollectorRegistry
from structlog.contextvars import bind_contextvars

from common.ids import WatcherId
from common.settings.load import load
from common.settings.shipper import ShipperSettings
from common.settings.watcher import WatcherSettings
from common.store.errors import StoreUnavailable
from common.telemetry.metrics import WatcherMetrics
from console.doubles.kube import kubeconfig
from shipper.parts import Shipper
from tests.faults.compressed import CompressedDispatcher, CompressedTenures, LoopClock
from tests.faults.cutter import Cutter, Observer
from tests.faults.inside import REMEMBERED, expired, in_hand
from tests.faults.process import Process
from watcher.parts import Watcher

__all__ = ["Bells", "Place", "Program", "ShipperProgram", "WatcherProgram", "patched"]

LEASE_S: Final = 4.0
WATCHER_LEASE_S: Final = 6.0
REQUEST_TIMEOUT_S: Final = 12.0
UNAUTHORIZED_S: Final = 60.0
"""By Redis' clock, so longer than any schedule."""
WATCHING_S: Final = 20.0
PARKED_S: Final = 20.0
BELLS_MAX: Final = 16


class Place(msgspec.Struct, frozen=True):
    """Where the programs of one world find what they talk to."""

    prefix: str
    token_key: str
    redis_port: int
    kube_port: int
    coder_port: int
    namespaces: tuple[str, ...]
    folder: Path


class Bells:
    """The queue."""

    def __init__(self) -> None:
        self.unanswered = 0
        self.is_down = False
        self._rung = asyncio.Condition()

    async def ring(self) -> None:
        async with self._rung:
            self.unanswered = min(BELLS_MAX, self.unanswered + 1)
            self._rung.notify()

    async def take(self) -> None:
        async with self._rung:
            await self._rung.wait_for(lambda: self.unanswered > 0)
            self.unanswered -= 1


class _ProgramBell:
    """A `Bell` as one program has it: it reaches the queue as well as the program reaches Redis."""

    def __init__(self, bells: Bells, redis: Cutter) -> None:
        self._bells = bells
        self._redis = redis

    async def ring(self) -> None:
        self._reach()
        await self._bells.ring()

    async def unanswered(self) -> int:
        self._reach()
        return self._bells.unanswered

    def _reach(self) -> None:
        if self._bells.is_down or self._redis.refusing or self._redis.silent:
            raise StoreUnavailable("the queue cannot be reached")


_bell_of: WeakKeyDictionary[Process, _ProgramBell] = WeakKeyDictionary()
_host_of: WeakKeyDictionary[Process, str] = WeakKeyDictionary()


def _own_bell(*_: object) -> _ProgramBell:
    return _bell_of[_own_process()]


def _own_name() -> WatcherId:
    process = _own_process()
    return WatcherId(f"{_host_of[process]}/1/{process.name}")


def _own_process() -> Process:
    process = Process.current()
    if process is None:
        raise AssertionError("not in a process")
    return process


@lru_cache(maxsize=1)
def _trust(*_: object) -> ssl.SSLContext:
    return ssl.create_default_context()


@contextlib.contextmanager
def patched() -> Iterator[None]:
    """What processes of their own would have each: bells, names, trust, the boundary to Redis' clock."""
    with contextlib.ExitStack() as stack:
        for target, stand_in in (
            ("watcher.parts.Bell", _own_bell),
            ("watcher.parts.new_name", _own_name),
            ("watcher.parts.Tenures", CompressedTenures),
            ("shipper.parts.Bell", _own_bell),
            ("shipper.parts.Dispatcher", CompressedDispatcher),
            ("shipper.parts.trusted_authorities", _trust),
            *REMEMBERED.items(),
        ):
            stack.enter_context(mock.patch(target, stand_in))
        yield


class Program:
    """One process of the world and its three (two) ways out."""

    def __init__(self, name: str, place: Place, seed: int) -> None:
        self.name = name
        self.place = place
        self.random = Random(seed)
        self.clock = LoopClock()
        self.registry = CollectorRegistry()
        self.process = Process(name)
        self.redis = Cutter(place.redis_port, name)
        self.work: asyncio.Task[None] | None = None

    @property
    def cutters(self) -> tuple[Cutter, ...]:
        return (self.redis,)

    @property
    def fell(self) -> str:
        """Why the program ended by itself, "" if it did not."""
        if self.work is None or not self.work.done() or self.work.cancelled():
            return ""
        return repr(self.work.exception() or "returned")

    async def stop(self) -> None:
        """SIGTERM, as long as it takes; then what is left is ended, as the end of a process does."""
        raise NotImplementedError

    async def kill(self) -> None:
        """kill -9: cut off first, so that no clean-up leaves the process."""
        for cutter in self.cutters:
            cutter.stop()
        await self.process.kill()

    def count(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(f"coder_logstream_{name}", labels) or 0.0

    def _environ(self) -> dict[str, str]:
        return {
            "CODER_LOGSTREAM_REDIS_URL": f"redis://127.0.0.1:{self.redis.port}/0",
            "CODER_LOGSTREAM_REDIS_PREFIX": self.place.prefix,
            "CODER_LOGSTREAM_TOKEN_KEY": self.place.token_key,
        }

    async def _begin(self, bells: Bells) -> None:
        for cutter in self.cutters:
            await cutter.start()
        _bell_of[self.process] = _ProgramBell(bells, self.redis)
        self.process.run(lambda: bind_contextvars(world=self.place.prefix, process=self.name))


class WatcherProgram(Program):
    """A watcher on the host `host`; another one there with the same process id is its predecessor."""

    def __init__(self, name: str, host: str, place: Place, seed: int) -> None:
        super().__init__(name, place, seed)
        self.host = host
        self.kube = Cutter(place.kube_port, name)
        self._watcher: Watcher | None = None
        self._stop = asyncio.Event()

    @property
    def cutters(self) -> tuple[Cutter, ...]:
        return (self.redis, self.kube)

    async def start(self, bells: Bells) -> None:
        await self._begin(bells)
        _host_of[self.process] = self.host
        config = self.place.folder / f"{self.name}.kubeconfig"
        config.write_text(kubeconfig(f"http://127.0.0.1:{self.kube.port}"))
        environ = {
            **self._environ(),
            "CODER_LOGSTREAM_KUBECONFIG": str(config),
            "CODER_NAMESPACES": ",".join(self.place.namespaces),
            "CODER_LOGSTREAM_WATCH_TIMEOUT_S": str(WATCHING_S),
            "CODER_LOGSTREAM_KUBE_REQUEST_TIMEOUT_S": "5",
            "CODER_LOGSTREAM_WATCHER_LEASE_S": str(WATCHER_LEASE_S),
            "CODER_LOGSTREAM_PARKED_S": str(PARKED_S),
        }
        settings = load(WatcherSettings, flags={}, environ=environ, config_file=None)
        metrics = WatcherMetrics(self.registry)
        watcher: Watcher = self.process.run(lambda: Watcher(settings, metrics, self.clock, self.random))
        self._watcher = watcher
        self.work = self.process.spawn(watcher.run(self._stop))

    def in_hand(self, namespaces: Iterable[str]) -> list[str]:
        """What it has read and not told."""
        return in_hand(self.process, namespaces)

    def expired(self) -> list[str]:
        """The UIDs of the Events whose pod did not come."""
        return expired(self.process)

    def deaf(self) -> list[str]:
        """Why it may not hear or tell everything yet; empty if it does."""
        ready = self._watcher.ready() if self._watcher is not None else None
        return [] if ready is not None and ready.ok else [ready.reason if ready is not None else "not started"]

    async def stop(self) -> None:
        self._stop.set()
        if self.work is not None:
            await asyncio.wait((self.work,), timeout=30.0)
        await self.kill()


class ShipperProgram(Program):
    """A shipper."""

    def __init__(self, name: str, place: Place, seed: int, observer: Observer) -> None:
        super().__init__(name, place, seed)
        self.coder = Cutter(place.coder_port, name, observer)
        self._shipper: Shipper | None = None
        self._stop = threading.Event()

    @property
    def cutters(self) -> tuple[Cutter, ...]:
        return (self.redis, self.coder)

    async def start(self, bells: Bells) -> None:
        await self._begin(bells)
        environ = {
            **self._environ(),
            "CODER_URL": f"http://127.0.0.1:{self.coder.port}",
            "CODER_LOGSTREAM_LEASE_S": str(LEASE_S),
            "CODER_LOGSTREAM_REQUEST_TIMEOUT_S": str(REQUEST_TIMEOUT_S),
            "CODER_LOGSTREAM_UNAUTHORIZED_WINDOW_S": str(UNAUTHORIZED_S),
            "CODER_LOGSTREAM_SLICE_S": "30",
        }
        settings = load(ShipperSettings, flags={}, environ=environ, config_file=None)
        made: Shipper = self.process.run(lambda: Shipper(settings, self.registry, self.clock, self.random))
        self._shipper = made
        self.work = self.process.spawn(self._answer_bells(made, bells))

    async def _answer_bells(self, shipper: Shipper, bells: Bells) -> None:
        """What `shipper.program` does with RQ's worker and an engine."""
        if not await shipper.open(self._stop) or shipper.drainer is None:
            return
        while not self._stop.is_set():
            taking = asyncio.ensure_future(bells.take())
            while not self._stop.is_set() and not taking.done():
                await asyncio.wait((taking,), timeout=0.5)
            if not taking.done():
                taking.cancel()
                break
            await shipper.drainer.shift()
        await shipper.close()

    async def stop(self) -> None:
        self._stop.set()
        if self._shipper is not None and self._shipper.drainer is not None:
            self.process.run(self._shipper.drainer.stop)
        if self.work is not None:
            await asyncio.wait((self.work,), timeout=30.0)
        await self.kill()
