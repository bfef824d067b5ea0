"""Keeps some watchers and shippers running, and each second kills or pauses one of them; replaces all of them, and
Redis, one by one.

What it did is written down: with it `tests.cluster.judge` says what may come twice.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import Sequence
from random import Random
from typing import Final

import aiohttp

from tests.cluster.fleet_rig import DooredCoder
from tests.cluster.harness import Program, Programs
from tests.cluster.judge import Hit, Kind
from tests.faults.server import OwnRedis

EVERY_S: Final = 1.0
PAUSE_S: Final = (0.5, 14.0)
"""From shorter than any lease to longer than both kinds (6 s and 10 s)."""


class Monkey:
    """`alive` are the programs by role; each that ends is followed by another."""

    def __init__(
        self, programs: Programs, coder: DooredCoder, redis: OwnRedis, random: Random, *, watchers: int, shippers: int
    ) -> None:
        self._programs = programs
        self._coder = coder
        self._redis = redis
        self._random = random
        self._wanted = {"watcher": watchers, "shipper": shippers}
        self._doors: dict[Program, int] = {}
        self._paused: dict[Program, Hit] = {}
        self._pages: dict[Program, str] = {}
        self._waking: set[asyncio.Task[None]] = set()
        self.alive: dict[str, list[Program]] = {"watcher": [], "shipper": []}
        self.hits: list[Hit] = []

    async def start(self) -> None:
        """Start all and wait until they are ready."""
        for role, number in self._wanted.items():
            self.alive[role] = [await self._another(role) for _ in range(number)]
        await self._all_ready()

    async def rage(self, seconds: float) -> None:
        """One hit a second."""
        ends_s = time.monotonic() + seconds
        while time.monotonic() < ends_s:
            role = self._random.choice(list(self.alive))
            kind = self._random.choice((Kind.KILLED, Kind.PAUSED))
            await self._hit(role, self._random.randrange(len(self.alive[role])), kind)
            await asyncio.sleep(EVERY_S)
        await asyncio.gather(*self._waking)
        await self._all_ready()

    async def replace_all(self) -> None:
        """A rolling restart: each program is stopped as Kubernetes does it, and another follows; Redis, too."""
        for role, programs in self.alive.items():
            for place in range(len(programs)):
                await self._hit(role, place, Kind.STOPPED)
                await programs[place].ready()
        self.hits.append(Hit("Redis", Kind.STOPPED, 0, time.time_ns()))
        await self._redis.stop()
        await self._redis.start()
        await self._all_ready()

    async def pages(self) -> Sequence[str]:
        """What each program that ever ran counts, or counted just before its end."""
        for programs in self.alive.values():
            for program in programs:
                await self._scrape(program)
        return list(self._pages.values())

    async def _hit(self, role: str, place: int, kind: Kind) -> None:
        program = self.alive[role][place]
        if kind is Kind.PAUSED and program not in self._paused:
            self._pause(role, program)
            return
        kind = Kind.KILLED if kind is Kind.PAUSED else kind
        await self._scrape(program)
        self._write_down(role, kind, program)
        if kind is Kind.KILLED:
            await program.kill()
        else:
            assert await program.stop() == 0
        self.alive[role][place] = await self._another(role)

    def _write_down(self, role: str, kind: Kind, program: Program) -> Hit:
        hit = Hit(role, kind, self._doors.get(program, 0), time.time_ns())
        self.hits.append(hit)
        return hit

    def _pause(self, role: str, program: Program) -> None:
        self._paused[program] = self._write_down(role, Kind.PAUSED, program)
        program.signal(signal.SIGSTOP)
        wake = asyncio.create_task(self._wake(program, self._random.uniform(*PAUSE_S)))
        self._waking.add(wake)
        wake.add_done_callback(self._waking.discard)

    async def _wake(self, program: Program, after_s: float) -> None:
        await asyncio.sleep(after_s)
        program.signal(signal.SIGCONT)
        self._paused.pop(program).to_ns = time.time_ns()

    async def _scrape(self, program: Program) -> None:
        if program not in self._paused:
            with contextlib.suppress(aiohttp.ClientConnectionError):  # it does not listen yet
                self._pages[program] = await program.metrics()

    async def _another(self, role: str) -> Program:
        if role == "watcher":
            return await self._programs.watcher()
        url = await self._coder.open_door()
        program = await self._programs.shipper(CODER_URL=url)
        self._doors[program] = int(url.rpartition(":")[2])
        return program

    async def _all_ready(self) -> None:
        await asyncio.gather(*(program.ready() for each in self.alive.values() for program in each))
