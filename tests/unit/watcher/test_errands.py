"""Errands: one attempt at a time per key, retried until done, bounded workers."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from random import Random

from common.backoff import Backoff
from watcher.errands import Errands

QUICK = Backoff(base_s=0.001, cap_s=0.002, floor_s=0.0)


@asynccontextmanager
async def _running(attempt: Callable[[str], Awaitable[float | None]], workers: int = 2) -> AsyncIterator[Errands[str]]:
    errands = Errands(attempt, workers=workers, backoff=QUICK, random=Random(1))
    task = asyncio.create_task(errands.run())
    try:
        yield errands
    finally:
        task.cancel()
        await asyncio.wait((task,))


async def test_a_failure_is_tried_again_until_done() -> None:
    tries, done = 0, asyncio.Event()

    async def attempt(key: str) -> float | None:
        nonlocal tries
        tries += 1
        if tries < 4:
            return 0.0
        done.set()
        return None

    async with _running(attempt) as errands:
        errands.add("a")
        errands.add("a")
        await asyncio.wait_for(done.wait(), 5)
    assert tries == 4
    assert "a" not in errands


async def test_no_more_than_the_workers_at_once_and_never_one_key_twice() -> None:
    running: list[str] = []
    most, seen, done = 0, 0, asyncio.Event()

    async def attempt(key: str) -> float | None:
        nonlocal most, seen
        assert key not in running
        running.append(key)
        most = max(most, len(running))
        await asyncio.sleep(0)
        running.remove(key)
        seen += 1
        if seen == 20:
            done.set()
        return None

    async with _running(attempt, workers=3) as errands:
        for number in range(20):
            errands.add(str(number))
        await asyncio.wait_for(done.wait(), 5)
    assert most == 3


async def test_hurry_means_an_attempt_that_begins_afterwards() -> None:
    began: asyncio.Queue[int] = asyncio.Queue()
    go_on = asyncio.Event()
    tries = 0

    async def attempt(key: str) -> float | None:
        nonlocal tries
        tries += 1
        began.put_nowait(tries)
        await go_on.wait()
        return None

    async with _running(attempt) as errands:
        errands.add("a")
        assert await asyncio.wait_for(began.get(), 5) == 1
        errands.hurry("a")  # while the first attempt is under way
        go_on.set()
        assert await asyncio.wait_for(began.get(), 5) == 2


async def test_what_is_dropped_is_not_tried_again() -> None:
    tries = 0
    other = asyncio.Event()

    async def attempt(key: str) -> float | None:
        nonlocal tries
        if key == "other":
            other.set()
            return None
        tries += 1
        errands.drop("a")
        return 0.0

    async with _running(attempt, workers=1) as errands:
        errands.add("a")
        errands.add("other")
        await asyncio.wait_for(other.wait(), 5)
        assert len(errands) == 0
    assert tries == 1
