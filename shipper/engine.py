"""One event loop in a thread of its own, for the life of the process.

RQ's worker blocks the main thread, so connections, leases and the sweep live here and go on between jobs.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, Self, TypeVar

from common.event_loop import new_event_loop

__all__ = ["Engine"]

T = TypeVar("T")


class Engine:
    """`with Engine() as engine: engine.call(coroutine)`; other threads call in, the loop's own never does."""

    def __init__(self) -> None:
        self._loop = new_event_loop()
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Run `work` on the loop and return its result here. An exception here (a signal's) cancels it."""
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def soon(self, call: Any, *arguments: Any) -> None:
        """Have `call` called on the loop; returns at once. Safe in a signal handler."""
        self._loop.call_soon_threadsafe(call, *arguments)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()
