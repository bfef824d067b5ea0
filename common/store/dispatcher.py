"""The shipper's side of the streams: claim agents whose time has come, read, settle; who wakes whom.

Keeps guarantees 1 to 3: a lease runs out by itself (a visibility time-out), and only the newest claim may settle.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import redis.asyncio

from common.ids import AgentId, DrainerId, Epoch, StreamId
from common.store.connect import translated
from common.store.funnel import Funnel
from common.store.keys import Keys
from common.store.model import (
    RETENTION,
    AgentState,
    Backlog,
    Claimed,
    Fenced,
    Lease,
    Proceeding,
    Retention,
    Settled,
    Settlement,
    Waiting,
    card_or_none,
    decode_state,
)
from common.store.wire import TIMEOUT_S, Argument, Wire

__all__ = ["DELAY_MAX_S", "LEASE_S", "PROMISE_S", "Dispatcher"]

LEASE_S: Final = 10.0
PROMISE_S: Final = 2.0
"""A drainer that sleeps must claim again within this time, else others stop counting on it."""
DELAY_MAX_S: Final = 300.0
"""No due time lies further ahead; one that does comes from a clock that has jumped, and counts as due."""

WAIT_MAX_S: Final = 2.0
_READ_COUNT: Final = 64


class Dispatcher:
    """Claims for one process over one client. Raises `StoreError`s only.

    Every method may be repeated after `StoreUnavailable`; a repeated `settle` that had taken effect answers `Fenced`.
    """

    def __init__(
        self,
        client: redis.asyncio.Redis,
        keys: Keys,
        *,
        lease_s: float = LEASE_S,
        retention: Retention = RETENTION,
    ) -> None:
        self._client = client
        self._keys = keys
        self._lease_ms = round(lease_s * 1000)
        self._keep_s = retention.keep_s
        self._funnel = Funnel(client)
        self._bell_wire = Wire(client, timeout_s=WAIT_MAX_S + TIMEOUT_S)
        """Blocked while a drainer waits, so nothing else can go over it."""
        self._on_shift: set[DrainerId] = set()

    async def claim(self, drainer: DrainerId, places: int) -> Claimed:
        """Lease up to `places` (>= 1) due agents.

        Fewer leases than places: nothing more is due, and `drainer` now counts as asleep for `PROMISE_S`; it must
        `wait` and claim again before. As many as places: it is full and will not be woken.
        """
        keys = self._keys
        calls: list[tuple[str, Sequence[str], Sequence[Argument]]] = []
        if drainer not in self._on_shift:
            calls.append(("arrive", (keys.looking, keys.asleep, keys.rung), (drainer,)))
        calls.append(
            (
                "claim",
                (keys.due, keys.epoch, keys.claimed, keys.looking, keys.asleep, keys.rung),
                (drainer, places, self._lease_ms, keys.tag, keys.wake_prefix),
            )
        )
        now_ms, ring, next_due_ms, *rows = (await self._funnel.call_all(calls))[-1]
        self._on_shift.add(drainer)
        return Claimed(
            leases=[_lease(row, now_ms) for row in rows],
            ring=ring == 1,
            next_due_s=None if next_due_ms < 0 else next_due_ms / 1000,
        )

    async def read(self, agent: AgentId, max_bytes: int) -> list[Waiting]:
        """The oldest waiting records, at least one if any waits, then as long as they stay within `max_bytes`."""
        found: list[Waiting] = []
        size_bytes, start = 0, "-"
        while True:
            page = await self._funnel.command("XRANGE", self._keys.log(agent), start, "+", "COUNT", _READ_COUNT)
            for each in _waiting(page):
                size_bytes += len(each.payload)
                if found and size_bytes > max_bytes:
                    return found
                found.append(each)
            if len(page) < _READ_COUNT:
                return found
            start = f"({found[-1].id}"

    async def renew(self, leases: Sequence[tuple[AgentId, Epoch]]) -> set[AgentId]:
        """Begin the lease's time anew; answers the agents whose lease is lost."""
        return await self._move_ends(leases, self._lease_ms)

    async def give_back(self, leases: Sequence[tuple[AgentId, Epoch]]) -> None:
        """End leases now instead of in their time. They stay unsettled, which the next claim counts."""
        await self._move_ends(leases, 0)

    async def _move_ends(self, leases: Sequence[tuple[AgentId, Epoch]], from_now_ms: int) -> set[AgentId]:
        keys = self._keys
        arguments: list[Argument] = [from_now_ms]
        for agent, epoch in leases:
            arguments += (agent, epoch)
        lost = await self._funnel.call("renew", (keys.due, keys.epoch, keys.claimed), arguments)
        return {AgentId(agent.decode()) for agent in lost}

    async def settle(self, settlements: Sequence[Settlement]) -> list[Settled | Fenced]:
        """End claims, each all or nothing; the answers stand in their order."""
        answers = await self._funnel.call_all([self._settle_call(settlement) for settlement in settlements])
        return [Settled(answer[1]) if answer[0] == b"ok" else _fenced(answer) for answer in answers]

    async def proceed(self, settlement: Settlement) -> Proceeding | Settled | Fenced:
        """Settle what is done (something is) and go on with the same claim if records are left; its delay is not
        used. Nothing left: the claim is over, as after `settle`.
        """
        answer = await self._funnel.call(*self._end_call("proceed", settlement, self._lease_ms, _READ_COUNT))
        match answer[0]:
            case b"more":
                waiting = _waiting(answer[2:])
                return Proceeding(waiting, len(waiting) < _READ_COUNT, answer[1])
            case b"ok":
                return Settled(answer[1])
            case _:
                return _fenced(answer)

    def _settle_call(self, settlement: Settlement) -> tuple[str, Sequence[str], Sequence[Argument]]:
        return self._end_call("settle", settlement, round(min(max(settlement.delay_s, 0.0), DELAY_MAX_S) * 1000))

    def _end_call(
        self, script: str, settlement: Settlement, time_ms: int, *more: Argument
    ) -> tuple[str, Sequence[str], Sequence[Argument]]:
        keys, agent = self._keys, settlement.agent
        return (
            script,
            (
                keys.agent(agent),
                keys.log(agent),
                keys.facts(agent),
                keys.due,
                keys.epoch,
                keys.claimed,
                keys.census,
            ),
            (
                agent,
                settlement.epoch,
                _after(settlement.done) if settlement.done else "",
                settlement.done_bytes,
                time_ms,
                settlement.refused_said,
                settlement.dropped,
                self._keep_s,
                settlement.unsaid_more,
                settlement.left_out_more,
                *more,
                *_facts(settlement.state),
            ),
        )

    async def wait(self, drainer: DrainerId, timeout_s: float) -> bool:
        """Block until somebody wakes `drainer` (True) or `timeout_s` is over, `WAIT_MAX_S` at most."""
        blocked_s = max(min(timeout_s, WAIT_MAX_S), 0.01)
        with translated("waiting for work"):
            (answer,) = await self._bell_wire.run([("BLPOP", self._keys.wake(drainer), blocked_s)])
            if isinstance(answer, BaseException):
                raise answer
        return answer is not None

    async def leave(self, drainer: DrainerId) -> bool:
        """Go home: `drainer` is woken no more. True: the caller must ring the bell for what is due."""
        keys = self._keys
        self._on_shift.discard(drainer)
        answer = await self._funnel.call(
            "leave",
            (keys.due, keys.looking, keys.asleep, keys.rung, keys.wake(drainer)),
            (drainer, keys.wake_prefix),
        )
        return bool(answer == 1)

    async def sweep(self) -> bool:
        """True: something has been due for a second with nobody to see to it; the caller must ring the bell."""
        keys = self._keys
        answer = await self._funnel.call("sweep", (keys.due, keys.looking, keys.asleep, keys.rung), (keys.wake_prefix,))
        return bool(answer == 1)

    async def backlog(self) -> Backlog:
        """Figures for metrics; they are read one after another and need not fit together exactly."""
        keys = self._keys
        with translated("reading the backlog"):
            seconds, micros = await self._client.time()
            now_ms = seconds * 1000 + micros // 1000
            async with self._client.pipeline(transaction=False) as pipe:
                pipe.hget(keys.census, "waiting")
                pipe.zcount(keys.due, "-inf", now_ms)
                pipe.scard(keys.claimed)
                pipe.zcard(keys.due)
                pipe.zrange(keys.due, 0, 0, withscores=True)
                pipe.zcount(keys.looking, now_ms, "+inf")
                pipe.zcount(keys.asleep, now_ms, "+inf")
                waiting, due, claimed, scheduled, first, awake, asleep = await pipe.execute()
        return Backlog(
            waiting_records=int(waiting or 0),
            due_agents=due,
            claimed_agents=claimed,
            scheduled_agents=scheduled,
            oldest_due_s=max(0.0, (now_ms - first[0][1]) / 1000) if first else 0.0,
            drainers_awake=awake,
            drainers_asleep=asleep,
        )


def _waiting(entries: Sequence[Any]) -> list[Waiting]:
    """Entries of a stream as XRANGE answers them."""
    return [Waiting(StreamId(stream_id.decode()), payload) for stream_id, (_, payload) in entries]


def _fenced(answer: Sequence[Any]) -> Fenced:
    return Fenced(Epoch(int(answer[1] or 0)))


def _after(stream_id: StreamId) -> str:
    """The smallest id that comes after `stream_id`."""
    ms, sequence = stream_id.split("-")
    return f"{ms}-{int(sequence) + 1}"


def _facts(state: AgentState) -> tuple[str | int, ...]:
    """Name and value of each fact that `settle` keeps; what is nothing is taken away, to keep the hash small."""
    return (
        "spent", state.spent_bytes or "",
        "lines", state.lines or "",
        "unsaid_why", state.unsaid_why,
        "left_out_said", state.left_out_said or "",
        "ended", state.ended.value if state.ended else "",
        "retry_at", state.retry_at_ms or "",
        "held_since", state.held_since_ms or "",
        "held_why", state.held_why,
        "tries", state.tries or "",
        "source", state.source,
        "hinted", " ".join(state.hinted),
    )  # fmt: skip


def _lease(row: Sequence[Any], now_ms: int) -> Lease:
    agent, epoch, unsettled, card, *facts = row
    return Lease(
        agent=AgentId(agent.decode()),
        epoch=Epoch(int(epoch)),
        card=card_or_none(card),
        state=decode_state(facts),
        unsettled=unsettled == 1,
        now_ms=now_ms,
    )
