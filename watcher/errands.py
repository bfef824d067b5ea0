"""Keyed work against a slow outside, retried until done: single-flight, bounded workers, back-off per key.

For look-ups that must never hold up a watch: each key is attempted by one worker at a time, and a failure waits
for its turn without occupying a worker.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from random import Random
from typing import Generic, TypeVar

from common.backoff import Backoff

__all__ = ["Errands"]

Key = TypeVar("Key")


class _Errand:
    __slots__ = ("again", "running", "timer", "tries")

    def __init__(self) -> None:
        self.tries = 0
        self.running = False
        self.again = False
        self.timer: asyncio.TimerHandle | None = None


class Errands(Generic[Key]):
    """`attempt(key)` answers the least delay in seconds before it is to be tried again, or None when it is done."""

    def __init__(
        self, attempt: Callable[[Key], Awaitable[float | None]], *, workers: int, backoff: Backoff, random: Random
    ) -> None:
        self._attempt = attempt
        self._workers = workers
        self._backoff = backoff
        self._random = random
        self._errands: dict[Key, _Errand] = {}
        self._queue: asyncio.Queue[Key] = asyncio.Queue()

    def __len__(self) -> int:
        return len(self._errands)

    def __contains__(self, key: Key) -> bool:
        return key in self._errands

    def add(self, key: Key) -> None:
        """Begin with `key`; nothing happens if it is under way or waits for its next try."""
        if key not in self._errands:
            self._errands[key] = _Errand()
            self._queue.put_nowait(key)

    def hurry(self, key: Key) -> None:
        """Have an attempt that begins after this call, soon."""
        errand = self._errands.get(key)
        if errand is None:
            self.add(key)
        elif errand.running:
            errand.again = True
        elif errand.timer is not None:
            errand.timer.cancel()
            self._enqueue(key, errand)

    def drop(self, key: Key) -> None:
        """Give `key` up; an attempt under way ends by itself."""
        errand = self._errands.pop(key, None)
        if errand is not None and errand.timer is not None:
            errand.timer.cancel()

    def drop_all(self) -> None:
        for key in list(self._errands):
            self.drop(key)

    async def run(self) -> None:
        """Work until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(self._workers):
                    group.create_task(self._work())
        finally:
            self.drop_all()

    async def _work(self) -> None:
        while True:
            key = await self._queue.get()
            errand = self._errands.get(key)
            if errand is None or errand.running or errand.timer is not None:
                continue  # given up meanwhile, or given up and begun again
            errand.running, errand.again = True, False
            least_s = await self._attempt(key)
            errand.running = False
            if self._errands.get(key) is not errand:
                continue
            if errand.again:
                self._enqueue(key, errand)
            elif least_s is None:
                del self._errands[key]
            else:
                delay_s = max(least_s, self._backoff.delay_s(errand.tries, self._random))
                errand.tries += 1
                errand.timer = asyncio.get_running_loop().call_later(delay_s, self._enqueue, key, errand)

    def _enqueue(self, key: Key, errand: _Errand) -> None:
        errand.timer = None
        self._queue.put_nowait(key)
