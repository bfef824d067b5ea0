"""What Redis says of a world's agents, over a FLUSHALL too: what it counted until then is carried on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

import msgspec
import redis.asyncio

from common.crypto import TokenVault
from common.ids import AgentId
from common.store.keys import Keys
from tests.faults.compressed import now_s
from tests.faults.record import Flush

__all__ = ["Accounts", "Balance"]

_FACTS: Final = ("dropped", "refused", "late")


class Balance(msgspec.Struct, frozen=True):
    """Of one instant."""

    drops: Counter[str]
    refused: Counter[str]
    late: Counter[str]
    """By token, as `check.Record` has them."""
    under_way: list[str]


class Accounts:
    """Of the agents of `tokens` in the release `prefix`."""

    def __init__(self, prefix: str, token_key: str, tokens: Sequence[str]) -> None:
        self.flushes: list[Flush] = []
        self._keys = Keys(prefix)
        self._token_key = token_key
        self._tokens = tokens
        self._names: dict[str, AgentId] = {}
        self._carried: tuple[Counter[str], Counter[str], Counter[str]] = (Counter(), Counter(), Counter())

    async def open(self, client: redis.asyncio.Redis) -> None:
        """Learn how the data set of `client` names the agents; if it is the first, it is made."""
        vault = await TokenVault.open(client, self._keys, [self._token_key])
        self._names = {token: vault.agent_id(token) for token in self._tokens}

    async def read(self, client: redis.asyncio.Redis) -> Balance:
        """What is counted and what waits just now."""
        if self.flushes:
            if not await client.exists(self._keys.digest):
                return Balance(*self._carried, ["nobody has written anything since Redis was emptied"])
            await self.open(client)
        async with client.pipeline(transaction=True) as pipe:
            pipe.zcard(self._keys.due)
            pipe.scard(self._keys.claimed)
            pipe.hget(self._keys.census, "waiting")
            self._ask_facts(pipe)
            due, claimed, waiting, *facts = await pipe.execute()
        counts = {"due": due, "claimed": claimed, "records waiting": int(waiting or 0)}
        return Balance(*self._with(facts), [f"{count} {what}" for what, count in counts.items() if count])

    async def flush(self, client: redis.asyncio.Redis, watchers: frozenset[str]) -> None:
        """FLUSHALL under `watchers`; what it takes away is noted, of the same instant."""
        async with client.pipeline(transaction=True) as pipe:
            for name in self._names.values():
                pipe.xlen(self._keys.log(name))
            self._ask_facts(pipe)
            pipe.flushall()
            *answers, _ = await pipe.execute()
        waited, facts = answers[: len(self._tokens)], answers[len(self._tokens) :]
        self._carried = self._with(facts)
        self.flushes.append(Flush(now_s(), dict(zip(self._tokens, waited, strict=True)), watchers))

    def _ask_facts(self, pipe: Any) -> None:
        for name in self._names.values():
            pipe.hmget(self._keys.facts(name), *_FACTS)

    def _with(self, facts: Sequence[Sequence[bytes | None]]) -> tuple[Counter[str], Counter[str], Counter[str]]:
        """What was carried on until now, with `facts` of each agent."""
        found: tuple[Counter[str], Counter[str], Counter[str]] = (Counter(), Counter(), Counter())
        for place, carried in enumerate(self._carried):
            found[place].update(carried)
            found[place].update({token: int(each[place] or 0) for token, each in zip(self._tokens, facts, strict=True)})
        return found
