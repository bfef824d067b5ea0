"""The watcher's side of the streams: make agents known, append their records, let them go.

Keeps guarantee 3 (a record is accepted once) and 5 (waiting records never exceed the agent's budget); both are decided
inside Redis, so two watchers on one namespace cost only work.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import redis.asyncio

from common.ids import AgentId, Uid
from common.rank import waits_within_bytes
from common.store.funnel import Funnel
from common.store.keys import Keys
from common.store.lineage import Lineage
from common.store.model import RETENTION, Appended, Card, Entry, Retention, Verdict, encode_card
from common.store.wire import Argument

__all__ = ["AgentWriter"]

_VERDICTS: Final = {verdict.value.encode(): verdict for verdict in Verdict}


class AgentWriter:
    """Appends for many agents over one client. All methods raise `StoreError`s only, and may be repeated."""

    def __init__(
        self,
        client: redis.asyncio.Redis,
        keys: Keys,
        *,
        budget_bytes: int,
        retention: Retention = RETENTION,
        lineage: Lineage | None = None,
    ) -> None:
        """`budget_bytes`: the most that one agent may be sent, waiting records included. `lineage`: see `Funnel`."""
        self._keys = keys
        self._budget_bytes = budget_bytes
        self._half_ms = retention.half_s * 1000
        self._keep_s = retention.keep_s
        self._funnel = Funnel(client, lineage)

    async def register(self, agent: AgentId, uid: Uid, card: Card) -> None:
        """Make the object `uid` of `agent` known. Repeating it only refreshes the card."""
        keys = self._keys
        await self._funnel.call("register", (keys.agent(agent), keys.facts(agent)), (encode_card(card), uid))

    async def release(self, agent: AgentId, uid: Uid) -> None:
        """The object is gone. With the last one the agent's keys go `Retention.keep_s` after its stream is empty."""
        keys = self._keys
        await self._funnel.call(
            "release",
            (
                keys.agent(agent),
                keys.facts(agent),
                keys.seen(agent, 0),
                keys.seen(agent, 1),
                keys.epoch,
                keys.due,
            ),
            (agent, uid, self._keep_s, self._half_ms),
        )

    async def append(self, entries: Sequence[Entry]) -> Appended:
        """Append `entries` in one round trip; within an agent they keep their order."""
        positions: dict[AgentId, list[int]] = {}
        for position, entry in enumerate(entries):
            positions.setdefault(entry.agent, []).append(position)
        answers = await self._funnel.call_all(
            [self._append_call(agent, [entries[i] for i in places]) for agent, places in positions.items()]
        )
        verdicts = [Verdict.ACCEPTED] * len(entries)
        ring = False
        for places, answer in zip(positions.values(), answers, strict=True):
            ring = ring or answer[0] == 1
            for place, verdict in zip(places, answer[1:], strict=True):
                verdicts[place] = _VERDICTS[verdict]
        return Appended(verdicts, ring)

    def _append_call(self, agent: AgentId, entries: Sequence[Entry]) -> tuple[str, Sequence[str], list[Argument]]:
        keys = self._keys
        arguments: list[Any] = [agent, self._budget_bytes, keys.wake_prefix, self._half_ms]
        for entry in entries:
            within_bytes = waits_within_bytes(entry.rank, self._budget_bytes)
            arguments += (entry.identity, entry.version, entry.home.value, within_bytes, entry.payload)
        return (
            "append",
            (
                keys.agent(agent),
                keys.log(agent),
                keys.facts(agent),
                keys.seen(agent, 0),
                keys.seen(agent, 1),
                keys.due,
                keys.looking,
                keys.asleep,
                keys.rung,
                keys.census,
            ),
            arguments,
        )
