"""Several watchers and drainers interleave script calls at random; the promises must hold at every step.

The schedule is seeded and the calls are the real ones on a real server; a drainer may die at any step. Redis' own clock
runs, so leases are short. What is checked:

- nothing due is left for more than 2 s without a promise: a drainer looking, a live sleeper that was woken, a bell;
- no agent is served by two holders whose leases are both alive, and only one of them can settle;
- each record is settled once, in order, and nothing is lost.
"""

import asyncio
import random

import pytest
import redis.asyncio

from common.ids import AgentId, DrainerId, Uid
from common.store.connect import connect
from common.store.dispatcher import Dispatcher
from common.store.keys import Keys
from common.store.model import Card, Entry, Fenced, Home, Lease, Proceeding, Settled, Settlement, Verdict, Waiting
from common.store.writer import AgentWriter

LEASE_S = 0.15
SWEEP_S = 0.2
AGENTS = [AgentId(f"{i:032x}") for i in range(6)]
RECORDS_EACH = 25
UNWATCHED_MAX_S = 2.0


class World:
    """What happened, as told by the answers of the scripts."""

    def __init__(self, client: "redis.asyncio.Redis", keys: Keys, seed: int) -> None:
        self.client = client
        self.keys = keys
        self.random = random.Random(seed)
        self.writer = AgentWriter(client, keys, budget_bytes=1_000_000)
        self.dispatcher = Dispatcher(client, keys, lease_s=LEASE_S)
        self.accepted: dict[AgentId, list[bytes]] = {agent: [] for agent in AGENTS}
        self.settled: dict[AgentId, list[bytes]] = {agent: [] for agent in AGENTS}
        self.bells = 0
        self.rung = asyncio.Event()
        self.newest_epoch: dict[AgentId, int] = {}
        self.held_until_ms: dict[AgentId, int] = {}
        self.done = False

    def ring(self) -> None:
        self.bells += 1
        self.rung.set()

    async def pause(self, most_s: float) -> None:
        await asyncio.sleep(self.random.uniform(0, most_s))

    async def watch(self) -> None:
        """One of two watchers: both append every record, so one of them is always too late."""
        for number in range(RECORDS_EACH):
            agents = self.random.sample(AGENTS, len(AGENTS))
            payload = f"{number:04d}".encode()
            entries = [Entry(agent, f"e{number}", 1, Home.EVENT, payload) for agent in agents]
            appended = await self.writer.append(entries)
            for entry, verdict in zip(entries, appended.verdicts, strict=True):
                assert verdict in (Verdict.ACCEPTED, Verdict.DUPLICATE)
                if verdict is Verdict.ACCEPTED:
                    self.accepted[entry.agent].append(payload)
            if appended.ring:
                self.ring()
            await self.pause(0.03)

    async def work(self, name: str) -> None:
        """A worker process: waits for a bell, drains a shift, and dies now and then instead of finishing."""
        shift = 0
        while not self.done:
            if self.bells == 0:
                self.rung.clear()
                try:
                    await asyncio.wait_for(self.rung.wait(), 0.05)
                except TimeoutError:
                    continue
            if self.bells == 0:
                continue
            self.bells -= 1
            shift += 1
            drainer = DrainerId(f"{name}-{shift}")
            await self.drain(drainer)

    async def drain(self, drainer: DrainerId) -> None:
        places = self.random.randint(1, 3)
        for _ in range(self.random.randint(1, 12)):
            claimed = await self.dispatcher.claim(drainer, places)
            if claimed.ring:
                self.ring()
            for lease in claimed.leases:
                assert lease.now_ms >= self.held_until_ms.get(lease.agent, 0), "claimed while another lease was alive"
                self.held_until_ms[lease.agent] = lease.now_ms + round(LEASE_S * 1000)
                assert lease.epoch > self.newest_epoch.get(lease.agent, 0), "an epoch was used twice"
                self.newest_epoch[lease.agent] = lease.epoch
            await asyncio.gather(*(self.serve(lease) for lease in claimed.leases))
            if self.random.random() < 0.1:
                return  # killed: no settle, no leave
            if len(claimed.leases) < places:
                await self.dispatcher.wait(drainer, 0.1)
        if await self.dispatcher.leave(drainer):
            self.ring()

    async def serve(self, lease: Lease) -> None:
        waiting: list[Waiting] | None = await self.dispatcher.read(lease.agent, 1_000)
        while waiting is not None:
            waiting = await self.round(lease, waiting)

    async def round(self, lease: Lease, waiting: list[Waiting]) -> list[Waiting] | None:
        """Settle some of what waits, or proceed. Answers what the claim goes on with; None: it is over."""
        fate = self.random.random()
        if fate < 0.1:
            return None  # killed after the read
        if fate < 0.25:
            await self.pause(3 * LEASE_S)  # paused past its lease
        elif fate < 0.4:
            await self.dispatcher.renew([(lease.agent, lease.epoch)])
        done = waiting[: self.random.randint(0, len(waiting))]
        settlement = Settlement(
            agent=lease.agent,
            epoch=lease.epoch,
            done=done[-1].id if done else None,
            done_bytes=sum(len(entry.payload) for entry in done),
            state=lease.state,
            delay_s=self.random.choice((0.0, 0.0, 0.05)),
        )
        seconds, micros = await self.client.time()
        answer: Proceeding | Settled | Fenced
        if settlement.leads_on and self.random.random() < 0.6:
            answer = await self.dispatcher.proceed(settlement)
        else:
            (answer,) = await self.dispatcher.settle([settlement])
        if isinstance(answer, Fenced):
            return None
        assert lease.epoch == self.newest_epoch[lease.agent], "a stale claim was settled"
        self.settled[lease.agent] += [entry.payload for entry in done]
        if isinstance(answer, Settled):
            self.held_until_ms[lease.agent] = 0
            return None
        self.held_until_ms[lease.agent] = seconds * 1000 + micros // 1000 + round(LEASE_S * 1000)
        return answer.waiting

    async def sweep(self) -> None:
        while not self.done:
            if await self.dispatcher.sweep():
                self.ring()
            await asyncio.sleep(SWEEP_S)

    async def inspect(self) -> None:
        """Fails once something due has had nobody to see to it for too long."""
        unwatched_since_s: float | None = None
        loop = asyncio.get_running_loop()
        while not self.done:
            backlog = await self.dispatcher.backlog()
            rung = await self.client.exists(self.keys.rung)
            watched = backlog.due_agents == 0 or backlog.drainers_awake or backlog.claimed_agents or rung or self.bells
            if watched:
                unwatched_since_s = None
            else:
                unwatched_since_s = unwatched_since_s or loop.time()
                assert loop.time() - unwatched_since_s < UNWATCHED_MAX_S, "due, and nobody promised to look"
            await asyncio.sleep(0.02)

    async def play(self) -> None:
        for agent in AGENTS:
            await self.writer.register(agent, Uid("u"), Card(b"t", "ns", "pod"))
        async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
            for name in ("w1", "w2", "w3"):
                tasks.create_task(self.work(name))
            tasks.create_task(self.sweep())
            tasks.create_task(self.inspect())
            async with asyncio.TaskGroup() as watchers:
                watchers.create_task(self.watch())
                watchers.create_task(self.watch())
            while (await self.dispatcher.backlog()).scheduled_agents:  # noqa: ASYNC110  Redis can't set an event
                await asyncio.sleep(0.02)
            self.done = True


async def play(redis_url: str, prefix: str, seed: int) -> None:
    client = connect(redis_url, max_connections=64)
    world = World(client, Keys(f"{prefix}-{seed}"), seed)
    try:
        await world.play()
    finally:
        await client.aclose()
    for agent in AGENTS:
        everything = [f"{number:04d}".encode() for number in range(RECORDS_EACH)]
        assert sorted(world.accepted[agent]) == everything, "accepted once each"
        # Whichever watcher is ahead, it appended n before n + 1: the stream's order is the numbers' order.
        assert world.settled[agent] == everything, f"seed {seed}: settled once each, in stream order"


@pytest.mark.parametrize("first_seed", [0, 4, 8])
async def test_any_interleaving_keeps_the_promises(redis_url: str, prefix: str, first_seed: int) -> None:
    """Four worlds at a time: each spends most of its time waiting for leases to end."""
    async with asyncio.TaskGroup() as worlds:
        for seed in range(first_seed, first_seed + 4):
            worlds.create_task(play(redis_url, prefix, seed))
