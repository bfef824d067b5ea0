"""Look once a second whether something is due that nobody sees to, and ring for it. Every shipper does.

The last resort behind the promises in `common.store`: it finds what a killed process left behind. On the way it
reads the figures for the metrics.

A bell may be of no use: the queue's Redis is away, or full, and then no job can be put into it or taken out. So when
it cannot be rung, or was rung and nobody came, this process looks itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

import structlog

from common.bell import Bell
from common.clock import Clock
from common.store.dispatcher import Dispatcher
from common.store.errors import StoreError
from shipper.meter import Meter

__all__ = ["Sweeper"]

SWEEP_S: Final = 1.0
UNHEARD_S: Final = 15.0
"""Two rings within this time, each for work that was long overdue: nobody has answered the first one."""
SURVEY_EVERY: Final = 5
"""The figures are read at each so manieth sweep."""

log = structlog.get_logger()


class Sweeper:
    """`run` it beside the drainer."""

    def __init__(
        self, dispatcher: Dispatcher, bell: Bell, meter: Meter, clock: Clock, *, on_unheard: Callable[[], None]
    ) -> None:
        """`on_unheard` is called when bells bring nobody."""
        self._dispatcher = dispatcher
        self._bell = bell
        self._meter = meter
        self._clock = clock
        self._on_unheard = on_unheard
        self._rung_at_s = -math.inf
        self.store_trouble = ""
        """What was wrong with Redis at the last sweep, empty if nothing was. For the readiness probe."""

    async def run(self) -> None:
        """Sweep until cancelled. Redis' absence is noted, not raised."""
        sweeps = 0
        while True:
            try:
                if await self._dispatcher.sweep():
                    await self._ring()
                if sweeps % SURVEY_EVERY == 0:
                    self._meter.survey(await self._dispatcher.backlog(), await self._bell.unanswered())
            except StoreError as error:
                if not self.store_trouble:
                    log.warning("Redis does not answer the sweep", error=str(error))
                self.store_trouble = str(error)
                self._meter.redis(up=False)
            else:
                if self.store_trouble:
                    log.info("Redis answers again")
                self.store_trouble = ""
                self._meter.redis(up=True)
            sweeps += 1
            await self._clock.sleep(SWEEP_S)

    async def _ring(self) -> None:
        """Ring, and if that brings nobody, say so here."""
        now_s = self._clock.monotonic_s()
        if now_s - self._rung_at_s < UNHEARD_S:
            self._on_unheard()
        self._rung_at_s = now_s
        try:
            await self._bell.ring()
        except StoreError:
            self._on_unheard()
            raise
