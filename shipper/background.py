"""Tasks that run for the whole life of a process. One that ends is a fault, and is never silent.

The event loop keeps a task's exception to itself until somebody asks for it; here it is logged at once and kept for
the liveness probe, because whatever ended will not come back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator, Mapping
from typing import Any, Final

import structlog

from common.telemetry.redact import redact_text

__all__ = ["Background"]

REASON_MAX_CHARS: Final = 200

log = structlog.get_logger()


class Background:
    """Owns its tasks from `start` to `close`."""

    def __init__(self) -> None:
        self._tasks: list[asyncio.Task[None]] = []
        self._ended: dict[str, str] = {}
        self._closing = False

    def start(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        """Run `work`, which is not meant to end."""
        task = asyncio.get_running_loop().create_task(work, name=name)
        task.add_done_callback(self._note)
        self._tasks.append(task)

    @property
    def ended(self) -> Mapping[str, str]:
        """Name -> reason of the tasks that ended unasked. May be read from other threads."""
        return self._ended

    async def close(self) -> None:
        """Cancel all and wait for them."""
        self._closing = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _note(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if self._closing and error is None:
            return
        if error is not None:
            reason = redact_text(", ".join(_said(each) for each in _leaves(error)))[:REASON_MAX_CHARS]
        else:
            reason = "was cancelled" if task.cancelled() else "returned"
        self._ended = {**self._ended, task.get_name(): reason}
        log.error("a background task ended and will not come back", task=task.get_name(), reason=reason, exc_info=error)


def _leaves(error: BaseException) -> Iterator[BaseException]:
    """The errors that a task group gathered, or the one that there is."""
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            yield from _leaves(each)
    else:
        yield error


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
