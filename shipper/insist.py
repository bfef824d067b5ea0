"""Tell Redis something however long it is away, because what it must hear cannot be done again.

What Coder has taken and Redis does not know of would be sent a second time. So a settlement is insisted on for as long
as Redis is away: meanwhile nobody else can claim the agent either, and the first word after its return decides. It
ends by itself, in a settlement or in «fenced», when somebody else was quicker.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from random import Random
from typing import Final, TypeVar

import structlog

from common.backoff import Backoff
from common.clock import Clock
from common.store.errors import StoreUnavailable

__all__ = ["AGAIN_MAX_S", "insist"]

AGAIN_MAX_S: Final = 0.5
"""Soon after Redis' return: other shippers look for due agents from then on."""

T = TypeVar("T")

log = structlog.get_logger()


async def insist(tell: Callable[[], Awaitable[T]], agent: str, clock: Clock, random: Random) -> T:
    """The answer to `tell`, which may be repeated. Raises StoreRefused: waiting would not change that answer."""
    backoff, failures = Backoff(base_s=0.1, cap_s=AGAIN_MAX_S), 0
    while True:
        try:
            answer = await tell()
        except StoreUnavailable as error:
            if failures == 0:
                log.warning("a settlement waits for Redis", agent=agent, error=str(error))
            await clock.sleep(backoff.delay_s(failures, random))
            failures += 1
        else:
            if failures > 0:
                log.info("a settlement has reached Redis", agent=agent, tries=failures + 1)
            return answer
