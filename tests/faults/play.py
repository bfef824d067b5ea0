"""Play many worlds on one event loop, a few at once; shrink what fails to its shortest story."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path
from typing import Final

import msgspec
import redis.asyncio

from common.telemetry.logging import configure_logging
from tests.faults.compressed import now_s
from tests.faults.leaks import Tap
from tests.faults.outcome import Outcome
from tests.faults.plan import Fault, Plan, plan_of
from tests.faults.process import install
from tests.faults.programs import patched
from tests.faults.record import Disturbance
from tests.faults.world import World

__all__ = ["Stage", "play_seeds", "staged"]

STALL_S: Final = 0.5
"""A loop that is so late (compressed) has paused everybody."""
SPREAD_S: Final = 2.0
CALM_S: Final = 5.0
MEASURED_AT_ONCE: Final = 3
SHRINK_ROUNDS: Final = 6
SHRINK_WITHIN_S: Final = 1_500.0
"""Five minutes of the machine's: worlds that fail because they never come to rest take ten each."""
TRIES_EACH: Final = 2
SHRUNK_MAX: Final = 1
"""Failures that are shrunk in one process: often they are all of one cause, and each takes minutes."""


class Stage:
    """What the worlds of one process share."""

    def __init__(self, redis_port: int, folder: Path, tap: Tap, at_once: int) -> None:
        self._redis_port = redis_port
        self._folder = folder
        self._tap = tap
        self._places = asyncio.Semaphore(at_once)
        self.stalls: list[Disturbance] = []
        self._worlds = 0
        self._playing = 0

    async def play(self, plan: Plan) -> Outcome:
        """One schedule, as soon as there is a place. Never raises: a runner that fails is a failure, too."""
        async with self._places:
            await self._room()
            self._worlds += 1
            self._playing += 1
            world = World(plan, self._redis_port, self._folder / f"world-{self._worlds}", self._tap, self.stalls)
            try:
                outcome = await world.play()
            except Exception as error:
                logging.getLogger("faults").exception("seed %s", plan.seed)
                outcome = Outcome(plan.seed, {}, [f"the runner failed: {error!r}"], 0, 0, 0, 0, 0, 0, 0, {})
            finally:
                self._playing -= 1
        if not outcome.failures:
            return outcome
        return msgspec.structs.replace(outcome, story=self._tap.story(world.prefix))

    async def watch_stalls(self) -> None:
        """Note when the loop or Redis were held up: no program took a step then, or none got an answer."""
        async with redis.asyncio.Redis(port=self._redis_port, socket_timeout=None) as client:
            while True:
                due_s = now_s() + 0.25
                await asyncio.sleep(0.25)
                await client.ping()
                if now_s() - due_s > STALL_S:
                    self.stalls.append(Disturbance("", "the machine was busy", due_s, now_s()))

    async def _room(self) -> None:
        """Until the machine keeps up with the worlds that are played: one more would only let all of them stall."""
        while self._playing and self._stalled_lately():  # noqa: ASYNC110 - time itself is what is waited for
            await asyncio.sleep(SPREAD_S)

    def _stalled_lately(self) -> bool:
        return bool(self.stalls) and now_s() - (self.stalls[-1].to_s or 0.0) < CALM_S

    async def shrunk(self, plan: Plan, first: Outcome) -> Outcome:
        """The failure of the schedule with the fewest faults that was seen to fail, its story told."""
        best, failing = first, plan
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SHRINK_WITHIN_S):
                for _ in range(SHRINK_ROUNDS):
                    candidates = [without for without in _smaller(failing) for _ in range(TRIES_EACH)]
                    tried = await asyncio.gather(*(self.play(each) for each in candidates))
                    failed = [(each, plan) for each, plan in zip(tried, candidates, strict=True) if each.failures]
                    if not failed:
                        break
                    best, failing = min(failed, key=lambda pair: len(pair[1].faults))
        told = [
            f"seed {plan.seed}: {len(plan.faults)} faults, {len(failing.faults)} of them are enough",
            *map(_say, failing.faults),
        ]
        return msgspec.structs.replace(first, story=[*told, *best.failures, *best.story])


def _smaller(plan: Plan) -> list[Plan]:
    """The halves of its faults, and all but one of them."""
    faults, half = plan.faults, len(plan.faults) // 2
    kept = [faults[:half], faults[half:]] if len(faults) > 3 else []
    kept += [faults[:index] + faults[index + 1 :] for index in range(len(faults))]
    return [msgspec.structs.replace(plan, faults=each) for each in kept]


def _say(fault: Fault) -> str:
    return f"  at {fault.at_s:6.2f} s: {fault.kind} (target {fault.target}, {fault.for_s} s, ×{fault.often})"


@contextlib.asynccontextmanager
async def staged(redis_port: int, folder: Path, at_once: int) -> AsyncIterator[Stage]:
    """Everything in place: processes, patches, the tap on all logging."""
    tap = Tap()
    root = logging.getLogger()
    before = root.handlers[:], root.level
    configure_logging("faults", json=True, level="info", stream=tap)  # type: ignore[arg-type]  # it writes lines
    install(asyncio.get_running_loop())
    stage = Stage(redis_port, folder, tap, at_once)
    watching = asyncio.create_task(stage.watch_stalls())
    try:
        with patched():
            yield stage
    finally:
        watching.cancel()
        root.handlers[:], level = before
        root.setLevel(level)


async def play_seeds(seeds: Iterable[int], stage: Stage, told: Callable[[Outcome], None], *, shrink: bool) -> None:
    """Play each seed; `told` hears of each outcome as soon as it is known.

    Schedules that measure how long lines take come first, and have the machine nearly for themselves.
    """

    async def one(number: int, plan: Plan, places: asyncio.Semaphore) -> None:
        await asyncio.sleep(number * SPREAD_S)  # a start costs most, and many at once would stall the loop
        async with places:
            await all_of_it(plan)

    left_to_shrink = SHRUNK_MAX if shrink else 0

    async def all_of_it(plan: Plan) -> None:
        nonlocal left_to_shrink
        outcome = await stage.play(plan)
        if outcome.failures and left_to_shrink:
            left_to_shrink -= 1
            outcome = await stage.shrunk(plan, outcome)
        told(outcome)

    plans = [plan_of(seed) for seed in seeds]
    for measured, places in ((True, MEASURED_AT_ONCE), (False, len(plans) + 1)):
        free = asyncio.Semaphore(places)
        chosen = [plan for plan in plans if (plan.hanging is not None) is measured]
        await asyncio.gather(*(one(number, plan, free) for number, plan in enumerate(chosen)))
