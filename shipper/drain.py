"""Drain shifts: claim the agents that are due, serve many at once, come back for more as places come free.

Keeps the promise that `Dispatcher.claim` gives in our name: a drainer that sleeps claims again within two seconds.
One turn's failure is its own: it is logged, its lease runs out, the others go on.

Turns belong to the process, not to the shift that began them: a shift whose slice is over goes home while slow
requests go on, so that one of them never holds up the agents of the next shift.
"""

from __future__ import annotations

import asyncio
import math
from random import Random
from typing import Final, assert_never

import structlog

from common.backoff import Backoff
from common.bell import Bell
from common.clock import Clock
from common.ids import DrainerId
from common.store.dispatcher import PROMISE_S, Dispatcher
from common.store.errors import StoreError
from common.store.model import Fenced, Proceeding, Settled, Settlement
from shipper.insist import insist
from shipper.leases import Hold, LeaseLost, Leases
from shipper.meter import Meter
from shipper.pace import Pace
from shipper.serve import Server

__all__ = ["Drainer"]

IDLE_S: Final = 1.0
"""A shift ends after so long with nothing due and nothing in hand."""
SOON_S: Final = 3.0
"""It stays for what is due within this time: cheaper and sooner than a new bell."""
CLAIM_AGAIN_S: Final = PROMISE_S * 0.75
LISTEN_S: Final = 1.0
STOP_S: Final = 8.0
"""Turns in hand may take so long when the process stops; a container is killed after ten by many."""
CUT_OFF_S: Final = 0.5
TURN_S: Final = 2.0
"""An agent that always has something to say gives its place back after so long."""
log = structlog.get_logger()


class Drainer:
    """One process's drainer, for its whole life: `run` in the background, a `shift` for each bell."""

    def __init__(
        self,
        name: DrainerId,
        dispatcher: Dispatcher,
        server: Server,
        bell: Bell,
        pace: Pace,
        meter: Meter,
        clock: Clock,
        random: Random,
        *,
        concurrency: int,
        slice_s: float,
        lease_s: float,
    ) -> None:
        self._name = name
        self._dispatcher = dispatcher
        self._server = server
        self._bell = bell
        self._pace = pace
        self._meter = meter
        self._clock = clock
        self._random = random
        self._concurrency = concurrency
        self._slice_s = slice_s
        self._backoff = Backoff(base_s=0.2, cap_s=2.0)
        self._leases = Leases(dispatcher, clock, lease_s)
        self._turns = asyncio.TaskGroup()
        self._stopping = False
        self._shifts = asyncio.Lock()
        self._unheard = asyncio.Event()
        """Somebody should look, and no bell brings anybody."""
        self._on_shift = asyncio.Event()
        self._stir = asyncio.Event()
        """Something happened that a waiting shift must look at."""
        self._look = False
        """Something is due, as far as we know: claim as soon as there is a place."""
        self._due_at_s = math.inf
        """Monotonic time at which something becomes due, as far as we know."""
        self._claim_at_s = -math.inf
        """Monotonic time at which to claim whatever happens: before our promise ends, or after a back-off."""
        self._failures = 0

    async def run(self) -> None:
        """Own the turns and the helpers of all shifts until cancelled."""
        async with self._turns as turns:
            turns.create_task(self._leases.keep_renewing(), name="renew")
            turns.create_task(self._listen(), name="listen")
            turns.create_task(self._look_unrung(), name="look")

    def stop(self) -> None:
        """Claim no more; the shift under way ends when what it has in hand is settled, after 8 s at most."""
        self._stopping = True
        self._stir.set()

    def look(self) -> None:
        """Begin a shift without a bell, unless one is on."""
        if not self._shifts.locked():
            self._unheard.set()

    async def shift(self) -> None:
        """Answer one bell. Never raises a StoreError: Redis' absence is waited for, at most until the slice is over."""
        async with self._shifts:
            await self._shift()

    async def _look_unrung(self) -> None:
        while True:
            await self._unheard.wait()
            self._unheard.clear()
            if not self._stopping:
                log.info("bells bring nobody; a shift begins without one")
                await self.shift()

    async def _shift(self) -> None:
        ends_s = self._clock.monotonic_s() + self._slice_s
        self._look = True
        self._on_shift.set()
        try:
            await self._work(ends_s)
        finally:
            self._on_shift.clear()
        if self._stopping:
            await self.finish()
        await self._go_home()

    async def finish(self) -> None:
        """Wait for what is in hand, 8 s at most; what is still under way then is cut off and sent again later."""
        tasks = self._leases.tasks
        if not tasks:
            return
        _, late = await asyncio.wait(tasks, timeout=STOP_S)
        if late:
            await self._cut_off(late)

    async def _cut_off(self, late: set[asyncio.Task[None]]) -> None:
        """End turns in the middle; another shipper need not wait for their leases to run out."""
        log.warning("requests were cut off by the stop; their lines are sent again", agents=len(late))
        leases = self._leases.of(late)
        for task in late:
            task.cancel()
        await asyncio.wait(late, timeout=CUT_OFF_S)
        try:
            await self._dispatcher.give_back(leases)
        except StoreError as error:
            log.warning("leases were not handed back; they run out by themselves", agents=len(late), error=str(error))

    # -- the shift

    async def _work(self, ends_s: float) -> None:
        idle_since_s, was_busy = 0.0, True
        while not self._stopping and self._clock.monotonic_s() < ends_s:
            self._stir.clear()
            places = self._places()
            if places > 0 and self._should_claim():
                await self._claim(places)
            now_s = self._clock.monotonic_s()
            busy = self._is_busy(now_s)
            if busy or was_busy:
                idle_since_s = now_s
            if now_s - idle_since_s >= IDLE_S:
                return
            was_busy = busy
            await self._rest(ends_s if busy else min(ends_s, idle_since_s + IDLE_S))

    def _places(self) -> int:
        """How many agents could be served now: free places, as far as Coder's rate limit lets them speak soon."""
        free = self._concurrency - len(self._leases)
        return min(free, self._pace.places(self._clock.monotonic_s())) if free > 0 else 0

    def _should_claim(self) -> bool:
        return self._look or self._clock.monotonic_s() >= min(self._claim_at_s, self._due_at_s)

    async def _claim(self, places: int) -> None:
        """Claim and begin turns, and note when to claim again."""
        asked_s = self._clock.monotonic_s()
        self._look, self._due_at_s = False, math.inf
        try:
            await self._leases.reaffirm()
            claimed = await self._dispatcher.claim(self._name, places)
        except StoreError as error:
            self._redis_is_away(error)
            return
        self._failures = 0
        self._claim_at_s = asked_s + CLAIM_AGAIN_S
        self._look = self._look or len(claimed.leases) == places  # all places taken: there may be more
        if claimed.next_due_s is not None:
            self._note_due(claimed.next_due_s)
        for lease in claimed.leases:
            hold = self._leases.add(lease, asked_s)
            if hold is not None:
                self._begin(hold)
        self._meter.leases(len(self._leases))
        if claimed.ring:
            await self._ring()

    def _redis_is_away(self, error: StoreError) -> None:
        if self._failures == 0:
            log.warning("Redis does not answer a drainer", error=str(error))
        self._claim_at_s = self._clock.monotonic_s() + self._backoff.delay_s(self._failures, self._random)
        self._failures += 1

    def _is_busy(self, now_s: float) -> bool:
        return bool(len(self._leases)) or self._look or self._failures > 0 or self._due_at_s - now_s < SOON_S

    async def _rest(self, until_s: float) -> None:
        """Until something stirs or there is something to do, at most until the monotonic time `until_s`."""
        now_s = self._clock.monotonic_s()
        if self._places() > 0:
            wait_s = 0.0 if self._look else min(self._claim_at_s, self._due_at_s) - now_s
        elif len(self._leases) < self._concurrency:
            wait_s = self._pace.wait_s(now_s)
        else:
            wait_s = CLAIM_AGAIN_S
        wait_s = min(wait_s, until_s - now_s)
        if wait_s <= 0:
            return
        try:
            async with asyncio.timeout(wait_s):
                await self._stir.wait()
        except TimeoutError:
            return

    async def _go_home(self) -> None:
        try:
            must_ring = await self._dispatcher.leave(self._name)
        except StoreError as error:
            log.warning("a drainer could not say that it leaves", error=str(error))
            return
        # Turns that go on may leave records behind them: somebody must be there to claim their agents.
        if must_ring or (len(self._leases) and not self._stopping):
            await self._ring()

    async def _ring(self) -> None:
        try:
            await self._bell.ring()
        except StoreError as error:
            # The sweep of any shipper rings again for what stays due.
            log.warning("the bell could not be rung", error=str(error))

    # -- turns

    def _begin(self, hold: Hold) -> None:
        hold.task = self._turns.create_task(self._turn(hold), name=f"turn {hold.lease.agent}")

    async def _turn(self, hold: Hold) -> None:
        try:
            turn = self._server.turn(hold)
            settlement = await turn.begin()
            while (more := await self._settle(hold, settlement)) is not None:
                settlement = await turn.go_on(more)
        except LeaseLost:
            self._lost(hold)
        except asyncio.CancelledError:
            if not hold.lost:
                raise
            self._lost(hold)
        except StoreError as error:
            log.warning("a turn was given up; its lease runs out", agent=hold.lease.agent, error=str(error))
        except Exception:
            # A fault of ours with one agent must not end the others' turns.
            log.exception("a turn failed; its lease runs out", agent=hold.lease.agent)
        finally:
            self._leases.drop(hold)
            self._meter.leases(len(self._leases))
            self._stir.set()

    def _lost(self, hold: Hold) -> None:
        log.warning("a lease was lost; its lines may be repeated", agent=hold.lease.agent)
        self._meter.fenced()

    async def _settle(self, hold: Hold, settlement: Settlement) -> Proceeding | None:
        """Write the settlement down, however long Redis is away. None: the turn is over."""
        answer = await insist(lambda: self._put_down(hold, settlement), hold.lease.agent, self._clock, self._random)
        match answer:
            case Proceeding():
                return answer
            case Fenced():
                self._lost(hold)
            case Settled(left):
                if left or settlement.state.owes_a_line:
                    self._note_due(settlement.delay_s)
            case _:
                assert_never(answer)
        return None

    async def _put_down(self, hold: Hold, settlement: Settlement) -> Proceeding | Settled | Fenced:
        if settlement.leads_on and self._may_go_on(hold):
            asked_s = self._clock.monotonic_s()
            answer = await self._dispatcher.proceed(settlement)
            if isinstance(answer, Proceeding):
                hold.since_s = asked_s
            return answer
        (answer,) = await self._dispatcher.settle([settlement])
        return answer

    def _may_go_on(self, hold: Hold) -> bool:
        """Whether the place is not wanted for others, and Coder's rate limit lets the agent speak again soon."""
        now_s = self._clock.monotonic_s()
        has_time = now_s - hold.began_s < TURN_S and not self._stopping
        return has_time and len(self._leases) < self._concurrency and self._pace.places(now_s) > 0

    def _note_due(self, delay_s: float) -> None:
        due_at_s = self._clock.monotonic_s() + delay_s
        if delay_s <= 0:
            self._look = True
        else:
            self._due_at_s = min(self._due_at_s, due_at_s)

    # -- being woken

    async def _listen(self) -> None:
        """Block on the wake list while a shift is on. A blocking read is never cancelled: it would lose a wake."""
        failures = 0
        while True:
            await self._on_shift.wait()
            try:
                woken = await self._dispatcher.wait(self._name, LISTEN_S)
            except StoreError:
                # The shift's own claims report that Redis is away.
                await self._clock.sleep(self._backoff.delay_s(failures, self._random))
                failures += 1
                continue
            failures = 0
            if woken:
                self._look = True
                self._stir.set()
