"""One agent's turn: from its claim to the settlement that ends it, with at most one request under way at a time.

Keeps guarantees 1 and 2: what is settled as done is the beginning of the stream, delivered or dropped and counted; a
retry begins at the same record. Everything that is decided here is decided by pure functions; this is their order.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from random import Random
from typing import Final, assert_never

import msgspec
import structlog

from common.clock import Clock
from common.crypto import TokenVault, UnreadableToken
from common.ids import AgentId, StreamId
from common.store.dispatcher import DELAY_MAX_S, Dispatcher
from common.store.model import EndReason, Proceeding, Settlement, Waiting
from common.wording.table import Wording
from shipper import hold
from shipper.batch import Batch, Intake, Piece, next_batch
from shipper.desk import Desks, hand_in
from shipper.familiar import Familiar
from shipper.leases import Hold
from shipper.meter import Meter
from shipper.outcome import (
    Answer,
    Call,
    Circumstances,
    Delivered,
    Outcome,
    Reject,
    Reply,
    Retry,
    Split,
    decide,
    halvings,
    workspace_agent_id,
)
from shipper.pace import Pace, Share
from shipper.patience import Patience
from shipper.reasons import Reason
from shipper.text import Line

__all__ = ["Server"]

READ_BYTES: Final = 128 * 1024
EVERYTHING_BYTES: Final = 1 << 30
"""Redis bounds what waits for one agent by its budget."""
TOKENS_KEPT: Final = 1_024
"""In memory, unsealed: an agent's turns come close together, and opening a token costs as much as reading a stream."""

KEY_AGAIN_S: Final = 10.0
"""After which a token that no key opens is looked at again: a watcher may have sealed it anew meanwhile."""

NAMELESS: Final = "?"
"""Stands for a workspace agent whose id Coder did not tell."""

log = structlog.get_logger()


class _Over(msgspec.Struct, frozen=True):
    """The turn is over."""

    settlement: Settlement


class Server:
    """Serves agents, any number at once. Holds what turns share."""

    def __init__(
        self,
        dispatcher: Dispatcher,
        vault: TokenVault,
        desks: Desks,
        pace: Pace,
        meter: Meter,
        clock: Clock,
        random: Random,
        *,
        windows: hold.Windows,
        budget_bytes: int,
        wording: Wording,
    ) -> None:
        self.dispatcher: Final = dispatcher
        self.unseal: Final = lru_cache(TOKENS_KEPT)(vault.unseal)
        self.desks: Final = desks
        self.pace: Final = pace
        self.meter: Final = meter
        self.clock: Final = clock
        self.random: Final = random
        self.windows: Final = windows
        self.budget_bytes: Final = budget_bytes
        self.wording: Final = wording
        self.familiar: Final = Familiar()
        self.patience: Final = Patience()
        self.sealed_off: Final[set[AgentId]] = set()
        """Agents whose token no key opens; the log has said so."""

    def turn(self, held: Hold) -> Turn:
        """The turn that begins with the claim of `held`."""
        self.meter.claimed(held.lease.agent, held.lease.unsettled)
        return Turn(self, held)


class Turn:
    """One agent's turn. It goes on for as long as its settlements find more and whoever claimed likes.

    Both methods raise LeaseLost and StoreError; the lease then ends by itself and nothing is lost.
    """

    def __init__(self, server: Server, held: Hold) -> None:
        self._server = server
        self._held = held
        self._lease = held.lease
        self._desk = server.desks.for_agent(held.lease)
        self._state = self._settled = held.lease.state
        self._token = ""
        self._introduced = False
        self._split: Reason | None = None
        """Why what was sent last is sent in parts, if it is."""
        self._began_s = server.clock.monotonic_s()

    async def begin(self) -> Settlement:
        """Find out who the agent is as far as needed, then deliver what waits."""
        if self._lease.card is None:
            log.error("an agent's token is lost; its lines are dropped", agent=self._lease.agent)
            return await self._drop_all(Reason.NO_TOKEN)
        try:
            self._token = self._server.unseal(self._lease.card.sealed_token)
        except UnreadableToken as error:
            if self._lease.agent not in self._server.sealed_off:
                self._server.sealed_off.add(self._lease.agent)  # said once, not each time that it is looked at
                log.error("an agent waits for a token key", agent=self._lease.agent, error=str(error))
            return self._later(KEY_AGAIN_S)
        over = await self._introduce_if_needed()
        if over is not None:
            return over.settlement
        # Only now: the answer of Coder took its time, and what came meanwhile goes along.
        return await self._deliver(await self._read())

    async def go_on(self, more: Proceeding) -> Settlement:
        """Deliver what came while the last batch was under way."""
        self._state = self._settled = msgspec.structs.replace(self._state, refused=more.refused)
        return await self._deliver(more.waiting if more.whole else await self._read())

    # -- who is behind the token

    async def _introduce_if_needed(self) -> _Over | None:
        state = self._state
        if state.ended is not None:
            return await self._ask_after_the_end()
        if state.held_why == Reason.UNAUTHORIZED:
            return await self._introduce(Share.PROBE)
        if not state.source or self._server.familiar.is_quiet(self._lease.agent, self._server.clock.monotonic_s()):
            return await self._introduce(Share.ALL)
        return None

    async def _ask_after_the_end(self) -> _Over | None:
        """An ended agent got a record: left over from before the end, or it is time to ask whether it lives."""
        may_ask = 0 < self._state.retry_at_ms <= self._now_ms()
        if may_ask:
            over = await self._introduce(Share.PROBE)
            if over is not None or self._state.ended is None:
                return over
            self._state = hold.ended(self._state, self._state.ended, self._now_ms())
        return _Over(await self._drop_all(Reason.ENDED))

    async def _introduce(self, share: Share) -> _Over | None:
        """Register our log source, which also tells which workspace agent it is. None: go on."""
        wait_s = self._server.pace.take(Call.LOG_SOURCE, share, self._server.clock.monotonic_s())
        if wait_s > 0:
            return self._not_introduced(share, wait_s)
        reply, outcome = await self._ask(Call.LOG_SOURCE, ())
        match outcome:
            case Delivered():
                self._introduced = True
                self._heard()
                self._state = hold.registered(self._state, workspace_agent_id(reply) or self._state.source or NAMELESS)
                return None
            case Retry(_, Reason.RATE_LIMITED):
                return self._not_introduced(share, self._rest_s(Call.LOG_SOURCE))
            case Retry(after_s, reason):
                return _Over(self._retry(after_s, reason))
            case Reject(reason):
                return _Over(await self._give_up(reason))
            case Split():
                raise AssertionError("registering a source has nothing to split")
            case _:
                assert_never(outcome)

    def _not_introduced(self, share: Share, wait_s: float) -> _Over | None:
        """The rate limit is in the way. A new agent's lines need not wait for their source's name; a held one is not
        to be tried by PATCH."""
        return None if share is Share.ALL else _Over(self._later(wait_s))

    # -- its lines

    async def _read(self) -> list[Waiting]:
        return await self._server.dispatcher.read(self._lease.agent, READ_BYTES)

    async def _deliver(self, waiting: list[Waiting]) -> Settlement:
        step = self._take_in(waiting)
        while not isinstance(step, Settlement):
            step = await self._send(step)
        return step

    def _take_in(self, waiting: list[Waiting]) -> Settlement | tuple[Piece, ...]:
        """What waits, in order; none if there is only to say what is not shown."""
        intake = Intake.of(waiting, self._now_ms(), self._server.wording, self._state.hinted)
        if intake.pieces:
            return intake.pieces[: max(1, len(intake.pieces) >> halvings(self._state))]
        if intake.future is not None:
            log.warning("a record waits for a newer shipper", agent=self._lease.agent, v=intake.future.version)
            return self._later(DELAY_MAX_S)
        return () if self._state.owes_a_line else self._later(0.0)

    async def _send(self, pieces: tuple[Piece, ...]) -> Settlement | tuple[Piece, ...]:
        """One request with what fits of `pieces`. Answers how the turn ends, or what to send instead."""
        batch = next_batch(pieces, self._state, self._server.budget_bytes)
        if not batch.lines:
            return self._finish(batch)
        wait_s = self._server.pace.take(Call.LOGS, self._share(), self._server.clock.monotonic_s())
        if wait_s > 0:
            return self._held_up(wait_s)
        _, outcome = await self._ask(Call.LOGS, batch.lines)
        match outcome:
            case Delivered():
                return self._accepted(batch)
            case Retry(_, Reason.RATE_LIMITED):
                return self._held_up(self._rest_s(Call.LOGS))
            case Retry(after_s, reason):
                return self._retry(after_s, reason)
            case Reject(Reason.QUOTA) if not self._introduced and not await self._is_same_agent():
                return pieces
            case Reject(reason):
                return await self._give_up(reason)
            case Split(reason):
                self._split = reason
                half = batch.pieces[: len(batch.pieces) // 2]
                return half or await self._poisoned(batch, reason)
            case _:
                assert_never(outcome)

    def _share(self) -> Share:
        accepted_before = bool(self._state.source) or self._state.lines > 0
        return Share.ALL if accepted_before else Share.UNPROVEN

    async def _is_same_agent(self) -> bool:
        """After a refusal for quota: whether it is still the agent that we counted for."""
        before = self._state.source
        over = await self._introduce(Share.PROBE)
        return over is not None or self._state.source == before

    def _accepted(self, batch: Batch) -> Settlement:
        self._split = None
        self._heard()
        self._server.meter.delivered(batch, self._now_ms())
        self._state = hold.accepted(self._state, len(batch.lines), batch.output_bytes, batch.hints)
        if batch.tells_missing:
            self._state = hold.told(self._state)
        if batch.closes:
            log.info("an agent's log budget is used up", agent=self._lease.agent)
            self._close()
        return self._finish(batch)

    def _close(self) -> None:
        """The last line was said, or cannot be: of what was refused, too."""
        self._state = hold.ended(self._state, EndReason.BUDGET, self._now_ms())
        self._state = msgspec.structs.replace(self._state, refused=0)

    def _finish(self, batch: Batch) -> Settlement:
        """Settle `batch`, whose lines (if it has any) Coder took."""
        self._drop(Reason.UNREADABLE, batch.unreadable)
        self._server.meter.dropped(Reason.BUDGET, batch.dropped)
        self._state = hold.left_out(self._state, batch.left_out, batch.left_out_said)
        self._server.meter.hidden(batch.hidden)
        return self._settle(batch.finished, dropped=batch.dropped + batch.unreadable)

    def _drop(self, reason: Reason, records: int) -> None:
        """`records` (>= 0) are dropped, and the log has yet to tell."""
        self._server.meter.dropped(reason, records)
        if records > 0:
            ended = self._state.ended if reason is Reason.ENDED else None
            self._state = hold.missed(self._state, records, reason if ended is None else hold.reason_of(ended))

    async def _poisoned(self, batch: Batch, reason: Reason) -> Settlement:
        """One record is left, and Coder does not take it. It goes, unless Coder takes nothing at all just now."""
        if reason is Reason.UPLOAD_FAILED:
            _, outcome = await self._ask(Call.LOG_SOURCE, ())
            if not isinstance(outcome, Delivered):
                return self._retry(hold.hold_delay_s(self._state.tries, self._server.random.random()), reason)
        if not batch.pieces:  # a line of ours alone
            self._state = hold.left_out(self._state, 0, batch.left_out_said)
            if batch.closes:
                self._close()
            return self._settle(())
        log.warning("Coder does not take a record; it is dropped", agent=self._lease.agent, reason=reason)
        self._drop(reason, 1)
        self._state = hold.released(self._state)
        return self._settle(batch.pieces, dropped=1)

    # -- endings

    def _retry(self, after_s: float, reason: Reason) -> Settlement:
        """Keep the lines; the agent is held."""
        if self._state.held_why != reason:
            log.info("an agent's lines wait", agent=self._lease.agent, reason=reason)
        now_ms = self._now_ms()
        self._state = hold.held(self._state, reason, now_ms)
        self._server.meter.held(self._lease.agent, reason, hold.hold_age_s(self._state, reason, now_ms))
        self._server.patience.tell(self._lease, self._state, reason, now_ms)
        return self._later(after_s)

    def _held_up(self, wait_s: float) -> Settlement:
        """The rate limit is in the way, which says nothing of the agent and begins no hold. But if a batch was being
        split, that is remembered: with one request a turn, each would begin with the whole again."""
        if self._split is not None:
            self._state = hold.held(self._state, self._split, self._now_ms())
        return self._later(wait_s)

    async def _give_up(self, reason: Reason) -> Settlement:
        """Never, or not within the window: what waits is dropped."""
        why = {
            Reason.QUOTA: EndReason.QUOTA,
            Reason.INVALID_TOKEN: EndReason.INVALID_TOKEN,
            Reason.UNAUTHORIZED: EndReason.UNAUTHORIZED,
        }.get(reason)
        log.warning("an agent's lines are dropped", agent=self._lease.agent, reason=reason)
        # Unreachable for a whole window is nothing about the agent: its next line is tried again.
        self._state = hold.released(self._state) if why is None else hold.ended(self._state, why, self._now_ms())
        return await self._drop_all(reason)

    async def _drop_all(self, reason: Reason) -> Settlement:
        waiting = await self._server.dispatcher.read(self._lease.agent, EVERYTHING_BYTES)
        self._drop(reason, len(waiting))
        return self._settle(waiting, dropped=len(waiting))

    def _later(self, delay_s: float) -> Settlement:
        return self._settle((), delay_s=delay_s)

    def _settle(self, done: Sequence[Piece | Waiting], *, dropped: int = 0, delay_s: float = 0.0) -> Settlement:
        last: StreamId | None = done[-1].id if done else None
        return Settlement(
            agent=self._lease.agent,
            epoch=self._lease.epoch,
            done=last,
            done_bytes=sum(entry.payload_bytes if isinstance(entry, Piece) else len(entry.payload) for entry in done),
            state=self._state,
            refused_said=self._settled.refused - self._state.refused,
            dropped=dropped,
            unsaid_more=self._state.unsaid - self._settled.unsaid,
            left_out_more=self._state.left_out - self._settled.left_out,
            delay_s=delay_s,
        )

    # -- asking

    async def _ask(self, call: Call, lines: Sequence[Line]) -> tuple[Reply, Outcome]:
        """One request, while the lease is ours. `lines` are for LOGS only."""
        server = self._server
        asked_s = server.clock.monotonic_s()
        reply = await hand_in(self._desk, call, self._token, lines, self._held.ensure)
        now_s = server.clock.monotonic_s()
        outcome = decide(
            reply, call, Circumstances(self._state, self._now_ms(), server.windows, server.random.random())
        )
        if isinstance(reply, Answer):
            server.pace.observe(call, reply, _rest_s(outcome), now_s)
        server.meter.asked(call, reply, now_s - asked_s, server.pace.paths[call].quota)
        return reply, outcome

    def _rest_s(self, call: Call) -> float:
        """How long the path of `call` rests: until its own reset, which Retry-After does not tell (FACTS 1)."""
        return self._server.pace.paths[call].wait_s(self._server.clock.monotonic_s())

    def _heard(self) -> None:
        self._server.familiar.heard(self._lease.agent, self._server.clock.monotonic_s())

    def _now_ms(self) -> int:
        """Redis' time now, by our own clock since the claim."""
        return self._lease.now_ms + round((self._server.clock.monotonic_s() - self._began_s) * 1000)


def _rest_s(outcome: Outcome) -> float | None:
    """How long a rate limit asks its path to rest, None if it was not met."""
    match outcome:
        case Retry(after_s, Reason.RATE_LIMITED):
            return after_s
        case _:
            return None
