"""Keeps some watchers and shippers running, and each second kills, pauses or stops one of them.

What it did is written down: a line may come twice only if its sender was hit between Coder's receipt and the
settlement.
"""

from __future__ import annotations

import asyncio
import signal
import time
from collections import Counter
from collections.abc import Sequence
from enum import StrEnum
from random import Random
from typing import Final

import msgspec

from tests.cluster.audit import Repeat
from tests.cluster.harness import Program, Programs

EVERY_S: Final = 1.0
PAUSE_S: Final = (0.5, 14.0)
"""From shorter than any lease to longer than both kinds (6 s and 10 s)."""
UNSETTLED_NS: Final = 1_500_000_000
"""A batch is settled so long after Coder took it, on a busy machine and with the double's delay."""


class Kind(StrEnum):
    KILLED = "kill -9"
    PAUSED = "SIGSTOP"
    STOPPED = "SIGTERM"


class Hit(msgspec.Struct, frozen=True):
    role: str
    kind: Kind
    at_ns: int


class Monkey:
    """`alive` are the programs by role; each that ends is followed by another."""

    def __init__(self, programs: Programs, random: Random, *, watchers: int, shippers: int) -> None:
        self._programs = programs
        self._random = random
        self._wanted = {"watcher": watchers, "shipper": shippers}
        self.alive: dict[str, list[Program]] = {"watcher": [], "shipper": []}
        self.hits: list[Hit] = []
        self._waking: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Start all and wait until they are ready."""
        for role, number in self._wanted.items():
            self.alive[role] = [await self._another(role) for _ in range(number)]
        await asyncio.gather(*(program.ready() for each in self.alive.values() for program in each))

    async def rage(self, seconds: float) -> None:
        """One hit a second."""
        ends_s = time.monotonic() + seconds
        while time.monotonic() < ends_s:
            role = self._random.choice(list(self.alive))
            kind = self._random.choice((Kind.KILLED, Kind.PAUSED))
            await self._hit(role, self._random.randrange(len(self.alive[role])), kind)
            await asyncio.sleep(EVERY_S)
        await asyncio.gather(*self._waking)
        await asyncio.gather(*(program.ready() for each in self.alive.values() for program in each))

    async def replace_all(self) -> None:
        """A rolling restart: each program is stopped as Kubernetes does it, and another follows."""
        for role, programs in self.alive.items():
            for place in range(len(programs)):
                await self._hit(role, place, Kind.STOPPED)
                await programs[place].ready()

    async def _hit(self, role: str, place: int, kind: Kind) -> None:
        program = self.alive[role][place]
        self.hits.append(Hit(role, kind, time.time_ns()))
        match kind:
            case Kind.PAUSED:
                program.signal(signal.SIGSTOP)
                wake = asyncio.create_task(self._wake(program, self._random.uniform(*PAUSE_S)))
                self._waking.add(wake)
                wake.add_done_callback(self._waking.discard)
                return
            case Kind.KILLED:
                await program.kill()
            case Kind.STOPPED:
                assert await program.stop() == 0
        self.alive[role][place] = await self._another(role)

    async def _wake(self, program: Program, after_s: float) -> None:
        await asyncio.sleep(after_s)
        program.signal(signal.SIGCONT)

    async def _another(self, role: str) -> Program:
        start = self._programs.watcher if role == "watcher" else self._programs.shipper
        return await start()

    def summed_up(self) -> str:
        counts = Counter((hit.role, hit.kind) for hit in self.hits)
        return ", ".join(f"{kind} of a {role} × {number}" for (role, kind), number in sorted(counts.items()))


def unexcused(repeated: Sequence[Repeat], hits: Sequence[Hit]) -> list[Repeat]:
    """Repeats that no hit of a shipper explains: it must have come just after Coder took the line before."""
    blows_ns = [hit.at_ns for hit in hits if hit.role == "shipper" and hit.kind is not Kind.STOPPED]

    def explained(repeat: Repeat) -> bool:
        return any(abs(blow_ns - at_ns) <= UNSETTLED_NS for blow_ns in blows_ns for at_ns in repeat.taken_at_ns)

    return [each for each in repeated if not explained(each)]
