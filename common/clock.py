"""The clock as an argument: made once in each `__main__`, replaced by a virtual one in tests."""

from __future__ import annotations

import asyncio
import time
from typing import Protocol

__all__ = ["Clock", "SystemClock"]


class Clock(Protocol):
    """What the programs ask of time. Instants that processes share come from Redis' `TIME`, not from here."""

    def monotonic_s(self) -> float:
        """Seconds since an arbitrary start, never going back: for deadlines and durations in this process."""
        ...

    def unix_s(self) -> float:
        """Seconds since 1970 by this machine's clock, which may jump: for display and for ages of outside times."""
        ...

    async def sleep(self, delay_s: float) -> None:
        """Return after `delay_s` seconds (at once if it is not positive)."""
        ...


class SystemClock:
    """The machine's own clock."""

    def monotonic_s(self) -> float:
        return time.monotonic()

    def unix_s(self) -> float:
        return time.time()

    async def sleep(self, delay_s: float) -> None:
        await asyncio.sleep(delay_s)
