"""End a task for certain. A library below may lose a cancellation, as they do when a deadline passes just then."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

__all__ = ["end"]

CANCEL_AGAIN_S: Final = 0.5


def _nothing_else() -> None:
    return


async def end(task: asyncio.Task[Any], again: Callable[[], None] = _nothing_else) -> None:
    """Cancel `task` until it has ended, and each time but the first call `again`, too."""
    task.cancel()
    while not task.done():
        await asyncio.wait((task,), timeout=CANCEL_AGAIN_S)
        if not task.done():
            task.cancel()
            again()
