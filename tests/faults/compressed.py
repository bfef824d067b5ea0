"""Time that runs `FACTOR` times as fast, for everything on one event loop: sleeps, time-outs, back-offs, both doubles.

Redis' own clock is real, so time is compressed, not virtual: what the programs tell Redis in seconds (leases, delays,
how long a read may block) is divided by the factor at the only two classes that say it, `Dispatcher` and `Tenures`.
"""

from __future__ import annotations

import asyncio
import selectors
import time
from collections.abc import Sequence
from typing import Final

import msgspec
import redis.asyncio

from common.ids import DrainerId
from common.store.dispatcher import LEASE_S, Dispatcher
from common.store.keys import Keys
from common.store.model import RETENTION, Claimed, Fenced, Retention, Settled, Settlement
from common.store.tenures import Tenures

__all__ = ["FACTOR", "CompressedDispatcher", "CompressedLoop", "CompressedTenures", "LoopClock", "now_s"]

FACTOR: Final = 5.0


class _Selector(selectors.DefaultSelector):
    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        return super().select(timeout / FACTOR if timeout is not None else None)


class CompressedLoop(asyncio.SelectorEventLoop):
    """An event loop with a fast clock."""

    def __init__(self) -> None:
        super().__init__(_Selector())

    def time(self) -> float:
        return time.monotonic() * FACTOR


def now_s() -> float:
    """Compressed seconds, by the running loop's clock."""
    return asyncio.get_running_loop().time()


class LoopClock:
    """A `Clock` on the running loop. Its wall clock may be set wrong."""

    def __init__(self) -> None:
        self.wrong_by_s = 0.0

    def monotonic_s(self) -> float:
        return now_s()

    def unix_s(self) -> float:
        return time.time() + self.wrong_by_s

    async def sleep(self, delay_s: float) -> None:
        await asyncio.sleep(delay_s)


class CompressedDispatcher(Dispatcher):
    """A `Dispatcher` whose callers live in compressed time."""

    def __init__(
        self,
        client: redis.asyncio.Redis,
        keys: Keys,
        *,
        lease_s: float = LEASE_S,
        retention: Retention = RETENTION,
    ) -> None:
        super().__init__(client, keys, lease_s=lease_s / FACTOR, retention=retention)

    async def claim(self, drainer: DrainerId, places: int) -> Claimed:
        claimed = await super().claim(drainer, places)
        if claimed.next_due_s is None:
            return claimed
        return msgspec.structs.replace(claimed, next_due_s=claimed.next_due_s * FACTOR)

    async def settle(self, settlements: Sequence[Settlement]) -> list[Settled | Fenced]:
        return await super().settle(
            [msgspec.structs.replace(each, delay_s=each.delay_s / FACTOR) for each in settlements]
        )

    async def wait(self, drainer: DrainerId, timeout_s: float) -> bool:
        return await super().wait(drainer, timeout_s / FACTOR)


class CompressedTenures(Tenures):
    """`Tenures` whose callers live in compressed time."""

    def __init__(self, client: redis.asyncio.Redis, keys: Keys, group: str, *, lease_s: float) -> None:
        super().__init__(client, keys, group, lease_s=lease_s / FACTOR)
        self.lease_s = lease_s
