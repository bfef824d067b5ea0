"""A store of one's own on each supported server, and short words for what tests do with it."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import redis.asyncio

from common.ids import AgentId, DrainerId, StreamId, Uid
from common.rank import Rank
from common.store.connect import connect
from common.store.dispatcher import Dispatcher
from common.store.keys import Keys
from common.store.ledger import Ledger
from common.store.model import (
    AgentState,
    Appended,
    Card,
    Claimed,
    Entry,
    Fenced,
    Home,
    Lease,
    Settled,
    Settlement,
    Verdict,
    Waiting,
)
from common.store.writer import AgentWriter
from tests.servers import RedisServer

BUDGET_BYTES = 2_000
LEASE_S = 0.3


class Stage:
    """One release's data on a real server, with both sides of it."""

    def __init__(self, client: "redis.asyncio.Redis", keys: Keys) -> None:
        self.client = client
        self.keys = keys
        self.writer = AgentWriter(client, keys, budget_bytes=BUDGET_BYTES)
        self.dispatcher = Dispatcher(client, keys, lease_s=LEASE_S)
        self.ledger = Ledger(client, keys)

    async def register(self, agent: AgentId, uid: str = "u1") -> None:
        await self.writer.register(agent, Uid(uid), Card(b"sealed", "ns", "pod-1", workspace="dev"))

    async def tell(
        self, agent: AgentId, identity: str, version: int = 1, *, home: Home = Home.EVENT, payload: bytes = b"x"
    ) -> Verdict:
        """Something grave, which may use all of the budget."""
        return (await self.append(Entry(agent, identity, version, home, payload, Rank.GRAVE))).verdicts[0]

    async def append(self, *entries: Entry) -> Appended:
        return await self.writer.append(entries)

    async def claim(self, drainer: str = "d1", places: int = 10) -> Claimed:
        return await self.dispatcher.claim(DrainerId(drainer), places)

    async def read(self, agent: AgentId) -> list[Waiting]:
        return await self.dispatcher.read(agent, 10_000)

    async def settle(self, lease: Lease, done: StreamId | None = None, **words: Any) -> Settled | Fenced:
        words.setdefault("state", AgentState())
        words.setdefault("done_bytes", 1 if done else 0)
        settlement = Settlement(agent=lease.agent, epoch=lease.epoch, done=done, **words)
        return (await self.dispatcher.settle([settlement]))[0]

    async def finish(self, lease: Lease) -> Settled | Fenced:
        """Settle everything that waits."""
        waiting = await self.read(lease.agent)
        size_bytes = sum(len(entry.payload) for entry in waiting)
        return await self.settle(lease, waiting[-1].id if waiting else None, done_bytes=size_bytes, state=lease.state)

    async def facts(self, agent: AgentId) -> dict[str, str]:
        raw: Any = await self.client.hgetall(self.keys.facts(agent))
        return {name.decode(): value.decode() for name, value in raw.items()}


@pytest.fixture
async def stage(redis_server: RedisServer, prefix: str) -> AsyncIterator[Stage]:
    client = connect(redis_server.url)
    yield Stage(client, Keys(prefix))
    await client.aclose()
