"""Plays scripts of timed writes in the Kubernetes double, beside everything else that it does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from console.doubles.kube_control import Delete, Put, Step

__all__ = ["Player"]

_LATE_AT_ONCE: Final = 20  # this many late steps are taken before others get a turn, so that watches are written


class Player:
    """Runs any number of scripts at once. A step that fails ends its script; the event loop reports it."""

    def __init__(self, write: Callable[[Put | Delete], None]) -> None:
        self._write = write
        self._tasks: set[asyncio.Task[None]] = set()
        self.unplayed = 0
        """Steps of all scripts that are still to come."""

    def play(self, steps: Sequence[Step], speed: float = 1.0) -> None:
        """Begin a script now. Must be called in the event loop."""
        self.unplayed += len(steps)
        task = asyncio.create_task(self._run(sorted(steps, key=lambda step: step.at_s), speed))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def stop(self) -> None:
        """Drop what is still to come."""
        for task in self._tasks:
            task.cancel()
        self.unplayed = 0

    async def _run(self, steps: Sequence[Step], speed: float) -> None:
        loop = asyncio.get_running_loop()
        start = loop.time()
        for number, step in enumerate(steps):
            early_s = start + step.at_s / speed - loop.time()
            if early_s > 0 or number % _LATE_AT_ONCE == 0:
                await asyncio.sleep(max(early_s, 0))
            self._write(step.write)
            self.unplayed -= 1
