"""A shipper in the test's own event loop, with a real Redis and the Coder double; and a watcher's hand to feed it."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from random import Random
from typing import Final

import redis.asyncio
from prometheus_client import CollectorRegistry

from common.bell import Bell
from common.clock import Clock, SystemClock
from common.crypto import TokenVault, new_token_key
from common.ids import DrainerId, Uid
from common.rank import rank_of
from common.record import RECORD_VERSION, Level, LogRecord, ObjectRef, Origin, encode_record
from common.store.connect import connect
from common.store.dispatcher import Dispatcher
from common.store.keys import Keys
from common.store.model import Card, Entry, Home, Verdict
from common.store.writer import AgentWriter
from common.telemetry.metrics import ShipperMetrics
from common.wording.read import shipped_wording
from common.wording.table import Wording
from console.doubles.coder import CoderDouble
from shipper.coder import Coder
from shipper.drain import Drainer
from shipper.hold import Windows
from shipper.meter import Meter
from shipper.pace import Pace
from shipper.serve import Server

BUDGET_BYTES: Final = 256 * 1024


class Rig:
    """Everything between an append and Coder."""

    def __init__(self, client: redis.asyncio.Redis, keys: Keys, vault: TokenVault, double: CoderDouble) -> None:
        self.client = client
        self.keys = keys
        self.vault = vault
        self.coder = double
        self.writer = AgentWriter(client, keys, budget_bytes=BUDGET_BYTES)
        self.registry = CollectorRegistry()
        self.meter = Meter(ShipperMetrics(self.registry), SystemClock())
        self._said = 0

    async def agent(self, *, ready: bool = True, token: str | None = None, known: bool = True) -> str:
        """A token that Coder (if `known`) and Redis know."""
        token = token or str(uuid.uuid4())
        if known:
            self.coder.state.add_agent(token, ready=ready)
        card = Card(self.vault.seal(token), "ns", "pod")
        await self.writer.register(self.vault.agent_id(token), Uid(str(uuid.uuid4())), card)
        return token

    async def say(self, token: str, *messages: str, last_at_ms: int = 0) -> list[Verdict]:
        """Append an event for each of `messages`; it happened at the Unix time `last_at_ms`, 0 if that is unknown."""
        records = []
        for message in messages:
            self._said += 1
            records.append(record(f"event-{self._said}", message, last_at_ms=last_at_ms))
        return await self.tell(token, *records)

    async def tell(self, token: str, *records: LogRecord) -> list[Verdict]:
        """Append `records` as a watcher does."""
        agent = self.vault.agent_id(token)
        entries = [
            Entry(agent, each.identity, each.version, Home.EVENT, encode_record(each), rank_of(each, each.level))
            for each in records
        ]
        return (await self.writer.append(entries)).verdicts

    def heard(self, token: str) -> list[str]:
        """What stands in Coder's log for all agents that `token` ever had, in order."""
        return [log.output for agent in self.coder.agents(token) for log in agent.logs]

    async def state(self, token: str) -> dict[str, str]:
        """The facts that Redis keeps of the agent."""
        facts: dict[bytes, bytes] = await self.client.hgetall(self.keys.facts(self.vault.agent_id(token)))  # type: ignore[assignment]
        return {name.decode(): value.decode() for name, value in facts.items()}

    async def waiting(self, token: str) -> int:
        return int(await self.client.xlen(self.keys.log(self.vault.agent_id(token))))

    async def make_due(self, token: str) -> None:
        """Cut a back-off short."""
        await self.client.zadd(self.keys.due, {self.vault.agent_id(token): 0}, xx=True)

    def metric(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(f"coder_logstream_{name}", labels) or 0.0


def record(identity: str, message: str, *, last_at_ms: int = 0) -> LogRecord:
    return LogRecord(
        v=RECORD_VERSION,
        origin=Origin.EVENT,
        object=ObjectRef("Pod", "ns", "pod", Uid("uid")),
        identity=identity,
        version=1,
        reason="",
        message=message,
        level=Level.DEBUG,
        last_at_ms=last_at_ms,
    )


class Hands:
    """One drainer at work on a rig."""

    def __init__(self, drainer: Drainer, pace: Pace, bell: Bell) -> None:
        self.drainer = drainer
        self.pace = pace
        self.bell = bell

    async def work(self) -> None:
        """Shift after shift until cancelled, as a worker whose bells are rung. What is due late ends a shift."""
        while True:
            await self.drainer.shift()
            await asyncio.sleep(0.1)


@contextlib.asynccontextmanager
async def rigged(redis_url: str, prefix: str, double: CoderDouble) -> AsyncIterator[Rig]:
    client = connect(redis_url, max_connections=64)
    keys = Keys(prefix)
    vault = await TokenVault.open(client, keys, [new_token_key()])
    try:
        yield Rig(client, keys, vault, double)
    finally:
        await client.aclose()


@contextlib.asynccontextmanager
async def shipping(
    rig: Rig,
    redis_url: str,
    *,
    url: str = "",
    timeout_s: float = 5.0,
    lease_s: float = 10.0,
    concurrency: int = 100,
    slice_s: float = 60.0,
    windows: Windows | None = None,
    clock: Clock | None = None,
    wording: Wording | None = None,
) -> AsyncIterator[Hands]:
    """A drainer whose turns run while the block does; the block calls its shifts."""
    clock, random = clock or SystemClock(), Random(1)
    client = connect(redis_url, max_connections=32)
    dispatcher = Dispatcher(client, rig.keys, lease_s=lease_s)
    pace = Pace(random)
    bell = Bell(redis_url, rig.keys.prefix)
    async with Coder(
        url or rig.coder.url, ssl.create_default_context(), timeout_s=timeout_s, connections=concurrency + 4
    ) as coder:
        server = Server(
            dispatcher,
            rig.vault,
            coder,
            pace,
            rig.meter,
            clock,
            random,
            windows=windows or Windows(),
            budget_bytes=BUDGET_BYTES,
            wording=wording or shipped_wording(),
        )
        drainer = Drainer(
            DrainerId(f"drainer-{uuid.uuid4().hex[:6]}"),
            dispatcher,
            server,
            bell,
            pace,
            rig.meter,
            clock,
            random,
            concurrency=concurrency,
            slice_s=slice_s,
            lease_s=lease_s,
        )
        running = asyncio.get_running_loop().create_task(drainer.run())
        try:
            yield Hands(drainer, pace, bell)
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            await client.aclose()


async def until(condition: Callable[[], bool], within_s: float = 60.0) -> None:
    """Return as soon as `condition` holds; fail if it never does. The bound is no measurement: machines are busy."""
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110 - the double and Redis offer no event to wait for
            await asyncio.sleep(0.005)


async def until_async(condition: Callable[[], Awaitable[bool]], within_s: float = 60.0) -> None:
    """The same for a condition that must be asked for."""
    async with asyncio.timeout(within_s):
        while not await condition():  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.02)
