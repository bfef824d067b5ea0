"""Read what a release's data tell of its agents and watchers, for people who look. Writes nothing, runs no script.

Agents are found by the schedule and by their epochs, so no key is searched for. What the user has no right to read is
left out and noted: each program's user sees its own half.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from enum import StrEnum
from typing import Any, Final

import msgspec
import redis.asyncio
from redis import exceptions

from common.ids import AgentId, Uid, Unit, WatcherId
from common.store.connect import translated
from common.store.keys import Keys
from common.store.model import STATE_FACTS, AgentState, Backlog, Card, card_or_none, decode_state

__all__ = ["AgentGlance", "AgentPhase", "Glance", "Tenure", "phase_of"]

_AT_ONCE: Final = 500
_COUNTS: Final = ("objects", "waiting", "dropped", "late")
_FAR_MS: Final = 10 * 60 * 1000


class AgentPhase(StrEnum):
    """The states of docs/explanation/agent-states.md."""

    IDLE = "idle"
    DUE = "due"
    CLAIMED = "claimed"
    BACKING_OFF = "backing off"
    HELD = "held"
    ENDED = "ended"


class AgentGlance(msgspec.Struct, frozen=True):
    """One agent as its keys have it. Instants are Redis' time in ms."""

    agent: AgentId
    card: Card | None
    state: AgentState
    due_at_ms: int | None
    """None: nothing waits."""
    is_claimed: bool
    objects: int
    waiting_bytes: int
    dropped: int
    late: int
    waiting_records: int = 0
    waiting_since_ms: int | None = None
    """When the oldest record that waits was appended."""
    known_by: tuple[Uid, ...] = ()
    """Those of the objects asked about that are its."""


class Tenure(msgspec.Struct, frozen=True):
    """What one watcher reads."""

    watcher: WatcherId
    units: tuple[Unit, ...]
    ends_in_s: float
    """Of its lease, that of all its units; negative if it has run out."""


def phase_of(agent: AgentGlance, now_ms: int) -> AgentPhase:
    """Where `agent` is in its life."""
    if agent.due_at_ms is None:
        return AgentPhase.ENDED if agent.state.ended is not None else AgentPhase.IDLE
    if not now_ms < agent.due_at_ms <= now_ms + _FAR_MS:
        return AgentPhase.DUE
    if agent.is_claimed:
        return AgentPhase.CLAIMED
    return AgentPhase.HELD if agent.state.held_since_ms else AgentPhase.BACKING_OFF


class Glance:
    """One look, its parts taken one after another. `notes`: what could not be seen. Raises `StoreError`s only."""

    def __init__(self, client: redis.asyncio.Redis, keys: Keys) -> None:
        self._client = client
        self._keys = keys
        self.notes: list[str] = []

    async def now_ms(self) -> int:
        with translated("reading the time"):
            seconds, micros = await self._client.time()
        return int(seconds) * 1000 + int(micros) // 1000

    async def agents(self, uids: Collection[Uid] = ()) -> list[AgentGlance]:
        """All agents that have, or had, something to say. `uids`: objects whose agents are sought."""
        keys, uids = self._keys, tuple(uids)
        with translated("reading the schedule"):
            scores = await self._scores(keys.due)
            due = {AgentId(each): at for each, at in scores.items()}
            epochs: Any = await _read(self._client.hgetall(keys.epoch))
            claimed = await self._visible("which agents are being served", self._client.smembers(keys.claimed))
        everyone = sorted({*due, *(AgentId(_text(each)) for each in epochs)})
        serving = {_text(each) for each in claimed or ()}
        found: list[AgentGlance] = []
        for start in range(0, len(everyone), _AT_ONCE):
            some = everyone[start : start + _AT_ONCE]
            found += await self._some(some, due, serving, uids)
        return found

    async def _some(
        self, some: Sequence[AgentId], due: dict[AgentId, int], serving: set[str], uids: tuple[Uid, ...]
    ) -> list[AgentGlance]:
        fields = [*STATE_FACTS, *_COUNTS, *(f"o:{uid}" for uid in uids)]
        with translated("reading agents"):
            async with self._client.pipeline(transaction=False) as pipe:
                for agent in some:
                    pipe.get(self._keys.agent(agent))
                    pipe.hmget(self._keys.facts(agent), fields)
                answers = await pipe.execute()
        waiting = await self._waiting([agent for agent in some if agent in due])
        found = []
        for agent, card, facts in zip(some, answers[::2], answers[1::2], strict=True):
            counts = [int(each or 0) for each in facts[len(STATE_FACTS) :][: len(_COUNTS)]]
            objects, waiting_bytes, dropped, late = counts
            records, since_ms = waiting.get(agent, (0, None))
            marks = facts[len(STATE_FACTS) + len(_COUNTS) :]
            found.append(
                AgentGlance(
                    agent=agent,
                    card=card_or_none(card),
                    state=decode_state(facts[: len(STATE_FACTS)]),
                    due_at_ms=due.get(agent),
                    is_claimed=agent in serving,
                    objects=objects,
                    waiting_bytes=waiting_bytes,
                    dropped=dropped,
                    late=late,
                    waiting_records=records,
                    waiting_since_ms=since_ms,
                    known_by=tuple(uid for uid, mark in zip(uids, marks, strict=True) if mark is not None),
                )
            )
        return found

    async def _waiting(self, some: Sequence[AgentId]) -> dict[AgentId, tuple[int, int | None]]:
        """How many records wait, and since when."""
        if not some:
            return {}
        with translated("reading what waits"):
            async with self._client.pipeline(transaction=False) as pipe:
                for agent in some:
                    pipe.xlen(self._keys.log(agent))
                    pipe.xrange(self._keys.log(agent), count=1)
                answers = await pipe.execute(raise_on_error=False)
        if any(isinstance(each, exceptions.NoPermissionError) for each in answers):
            self._note("how many records wait, and since when")
            return {}
        for each in answers:
            if isinstance(each, BaseException):
                with translated("reading what waits"):
                    raise each
        return {
            agent: (records, int(_text(first[0][0]).partition("-")[0]) if first else None)
            for agent, records, first in zip(some, answers[::2], answers[1::2], strict=True)
        }

    async def backlog(self, agents: Collection[AgentGlance], now_ms: int) -> Backlog:
        """The schedule of `agents`, as `Dispatcher.backlog` has it, by rights that each program's user has."""
        with translated("reading who serves"):
            waiting = await _read(self._client.hget(self._keys.census, "waiting"))
            looking, asleep = await self._scores(self._keys.looking), await self._scores(self._keys.asleep)
        due_at = [each.due_at_ms for each in agents if each.due_at_ms is not None]
        return Backlog(
            waiting_records=int(waiting or 0),
            due_agents=sum(at <= now_ms for at in due_at),
            claimed_agents=sum(each.is_claimed for each in agents),
            scheduled_agents=len(due_at),
            oldest_due_s=max(0.0, (now_ms - min(due_at)) / 1000) if due_at else 0.0,
            drainers_awake=sum(until > now_ms for until in looking.values()),
            drainers_asleep=sum(until > now_ms for until in asleep.values()),
        )

    async def tenures(self, now_ms: int) -> list[Tenure] | None:
        """Who reads what, in order of name; None if that may not be read."""
        with translated("reading who watches what"):
            holders = await self._visible("watchers", self._client.hgetall(self._keys.holders))
            if holders is None:
                return None
            terms = await self._scores(self._keys.terms)
        units: dict[str, list[str]] = {}
        for unit, watcher in holders.items():
            units.setdefault(_text(watcher), []).append(_text(unit))
        return [
            Tenure(
                WatcherId(watcher),
                tuple(Unit(each) for each in sorted(held)),
                (max(terms.get(each, 0) for each in held) - now_ms) / 1000,
            )
            for watcher, held in sorted(units.items())
        ]

    async def _scores(self, key: str) -> dict[str, int]:
        rows: Any = await _read(self._client.zrange(key, 0, -1, withscores=True))
        return {_text(member): int(score) for member, score in rows}

    async def _visible(self, what: str, answer: Any) -> Any:
        """The awaited `answer`, None if the user has no right to it."""
        try:
            return await answer
        except exceptions.NoPermissionError:
            self._note(what)
            return None

    def _note(self, what: str) -> None:
        note = f"not shown: {what}, which this Redis user may not read"
        if note not in self.notes:
            self.notes.append(note)


async def _read(answer: Any) -> Any:
    """The library's stubs cannot tell which of its clients they describe."""
    return await answer


def _text(raw: Any) -> str:
    return raw.decode() if isinstance(raw, bytes) else str(raw)
