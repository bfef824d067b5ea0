"""One world: a cluster, a Coder, a Redis and the real programs between them; played, mended, waited for, judged."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final, TypeVar

import redis.asyncio

from common.crypto import new_token_key
from console.doubles.coder_control import AddAgent
from console.doubles.coder_control import MakeReady as CoderMakeReady
from console.doubles.kube_control import Compact
from tests.faults.accounts import Accounts
from tests.faults.check import check
from tests.faults.cluster import Cluster, RecordingKube
from tests.faults.coder import CoderWatch, RecordingCoder
from tests.faults.compressed import now_s
from tests.faults.leaks import Tap, tokens_in_metrics, tokens_in_redis
from tests.faults.mischief import inflict
from tests.faults.neighbours import BEFORE_S, BESIDE_S, others_ms
from tests.faults.outcome import Outcome
from tests.faults.plan import HANGS_FROM_S, Fault, MakeReady, Plan
from tests.faults.programs import Bells, Place, Program, ShipperProgram, WatcherProgram
from tests.faults.record import LAGGED, Disturbance, Findings, Record
from tests.faults.server import OwnRedis

__all__ = ["World"]

OPEN_WITHIN_S: Final = 1_500.0
LOOK_EVERY_S: Final = 1.0
CALM_S: Final = 3.0
"""How long a world that is done must stay so."""
NEVER_S: Final = 75.0
"""How long nothing may be under way before what is missing counts as lost. What shows in no place takes no longer: a
minute until a watcher asks again for what it was forbidden, or 35 s until it gives up a silent watch."""
REST_WITHIN_S: Final = 3_000.0
"""Ten minutes of the machine's time: a hold lasts two of the world's, an agent is asked again after five at most."""
LIFE_WITHIN_S: Final = 5_000.0
"""All of it together."""
CLOSE_WITHIN_S: Final = 300.0
_Kind = TypeVar("_Kind", bound=Program)


class World:
    """`await World(...).play()`."""

    def __init__(self, plan: Plan, shared_redis_port: int, folder: Path, tap: Tap, stalls: list[Disturbance]) -> None:
        self.plan = plan
        self.prefix = f"world-{plan.seed}-{id(self):x}"
        self.running: dict[str, Program | None] = {}
        self.bells = Bells()
        self.kube = RecordingKube(bookmark_every_s=5.0)
        self.watch = CoderWatch()
        self.coder = RecordingCoder(self.watch)
        self.cluster = Cluster(self.kube, plan)
        self._redis = OwnRedis(folder) if plan.owns_redis else None
        self._redis_port = shared_redis_port
        """0 while nobody may reach it."""
        self._redis_moves = False
        self._folder = folder
        self._tap = tap
        self._stalls = stalls
        self._disturbances: list[Disturbance] = []
        self._ended: list[Program] = []
        self._generation = 0
        self._token_key = new_token_key()
        self._client: redis.asyncio.Redis
        self._accounts = Accounts(self.prefix, self._token_key, self._tokens)

    async def play(self) -> Outcome:
        """From the first start to the last word. Whatever happens, everything that was started is ended."""
        self._tap.expect(self.prefix, self._tokens)
        self._folder.mkdir(parents=True, exist_ok=True)
        done: Counter[str] = Counter()
        try:
            async with asyncio.timeout(LIFE_WITHIN_S):
                await self._open()
                began_s = now_s()
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._steps(began_s))
                    for fault in self.plan.faults:
                        group.create_task(self._fault(fault, began_s, done))
                await self._mend()
                findings, unrest = await self._rest()
                return self._outcome(findings, [*unrest, *await self._leaks()], done, began_s)
        finally:
            async with asyncio.timeout(CLOSE_WITHIN_S):
                await self._close()

    @property
    def _tokens(self) -> list[str]:
        return [each.token for each in self.plan.workspaces]

    # -- what faults use

    def slots(self, kind: type[Program]) -> list[str]:
        """The names of the places for programs of `kind`."""
        letter = "w" if kind is WatcherProgram else "s"
        return [name for name in self.running if name.startswith(letter)]

    @contextlib.contextmanager
    def disturbing(self, owner: str, kind: str) -> Iterator[None]:
        """Until the block ends `owner` is not itself."""
        made = Disturbance(owner, kind, now_s(), None)
        self._disturbances.append(made)
        try:
            yield
        finally:
            made.to_s = now_s()

    async def start(self, slot: str, *, same_host: bool = False) -> None:
        """A new process in `slot`."""
        self._generation += 1
        name = f"{slot}.{self._generation}"
        seed = self.plan.seed * 1_000 + self._generation
        place = Place(
            self.prefix, self._token_key, self._redis_port, _port_of(self.kube.url), _port_of(self.coder.url),
            () if self.plan.whole_cluster else tuple(sorted({each.namespace for each in self.plan.workspaces})),
            self._folder,
        )  # fmt: skip
        program: WatcherProgram | ShipperProgram
        if slot.startswith("w"):
            program = WatcherProgram(name, slot if same_host else name, place, seed)
        else:
            program = ShipperProgram(name, place, seed, self.watch)
        self._ended.append(program)
        await program.start(self.bells)
        self.running[slot] = program

    async def restart_redis(self, down_s: float) -> bool:
        """kill -9 the server of this world alone; it comes back with its append-only file."""
        if self._redis is None or self._redis_moves:
            return False
        with self._moving_redis("Redis restart"):
            self.bells.is_down = True
            await self._redis.kill()
            await asyncio.sleep(down_s)
            await self._redis.start()
            self.bells.is_down = False
        return True

    async def fail_over(self, down_s: float) -> bool:
        """Let a replica that has obeyed everything take the place of this world's server."""
        if self._redis is None or self._redis_moves:
            return False
        with self._moving_redis("Redis fail-over"):
            await self._redis.fail_over(self._cut_redis_off)
            await self._follow_redis(down_s)
        return True

    async def fail_over_lagging(self, lag_s: float, down_s: float) -> bool:
        """Let a replica take its place that lacks what was acknowledged in the last `lag_s`. False: that is nothing."""
        if self._redis is None or self._redis_moves:
            return False
        with self._moving_redis(LAGGED):
            lost_bytes = await self._redis.fail_over_lagging(lag_s, self._cut_redis_off)
            await self._follow_redis(down_s)
        return lost_bytes > 0

    async def empty_redis(self) -> bool:
        """FLUSHALL by mistake."""
        if self._redis is None or self._redis_moves:
            return False
        watchers = [each.name for each in self.running.values() if isinstance(each, WatcherProgram)]
        await self._accounts.flush(self._client, frozenset(watchers))
        return True

    @contextlib.contextmanager
    def _moving_redis(self, kind: str) -> Iterator[None]:
        """Until the block ends all are disturbed, and nothing else may happen to the server of this world."""
        self._redis_moves = True
        try:
            with self.disturbing("", kind):
                yield
        finally:
            self._redis_moves = False

    def _cut_redis_off(self) -> None:
        self.bells.is_down = True
        self._lead_to_redis(0)

    async def _follow_redis(self, down_s: float) -> None:
        """Nobody finds the new primary for so long."""
        assert self._redis is not None
        await asyncio.sleep(down_s)
        self._lead_to_redis(self._redis.port)
        await self._client.aclose()
        self._client = _client_of(self._redis.port)
        self.bells.is_down = False

    def _lead_to_redis(self, port: int) -> None:
        self._redis_port = port
        for program in self._ended:
            program.redis.upstream_port = port
            program.redis.cut()

    def forget_history(self) -> None:
        """Whoever wants to go on from an earlier version of Kubernetes gets 410."""
        self.kube.apply(Compact())
        self.cluster.compacted_s.append(now_s())

    def refuse_kube(self, *, refusing: bool) -> None:
        """Let no watcher reach Kubernetes."""
        for program in self.running.values():
            if isinstance(program, WatcherProgram):
                program.kube.refusing = refusing
                if refusing:
                    program.kube.cut()

    # -- the course of things

    async def _open(self) -> None:
        if self._redis is not None:
            await self._redis.start()
            self._redis_port = self._redis.port
        self._client = _client_of(self._redis_port)
        await self.kube.start()
        await self.coder.start()
        for each in self.plan.workspaces:
            self.coder.apply(AddAgent(each.token, each.ready))
        for letter, count in (("w", self.plan.watchers), ("s", self.plan.shippers)):
            for number in range(count):
                await self.start(f"{letter}{number}")
        await self._accounts.open(self._client)
        # What came before the first list of all is history, and is not told.
        namespaces = len({each.namespace for each in self.plan.workspaces})
        watches = 3 * (self.plan.watchers if self.plan.whole_cluster else namespaces)
        async with asyncio.timeout(OPEN_WITHIN_S):
            while self.kube.totals().open_watches < watches:  # noqa: ASYNC110 - the double offers no event
                await asyncio.sleep(0.2)

    async def _steps(self, began_s: float) -> None:
        """One after the other, so that a machine that stands still does not change their order."""
        for step in self.plan.steps:
            await asyncio.sleep(began_s + step.at_s - now_s())
            if isinstance(step.act, MakeReady):
                self.coder.apply(CoderMakeReady(self.plan.workspaces[step.act.workspace].token))
            else:
                self.cluster.act(step.act)

    async def _fault(self, fault: Fault, began_s: float, done: Counter[str]) -> None:
        await asyncio.sleep(began_s + fault.at_s - now_s())
        if await inflict(self, fault):
            done[fault.kind.value] += 1

    async def _mend(self) -> None:
        """Whatever could still be wrong is right from now on."""
        self.coder.faults.clear()
        self.kube.faults.clear()
        for slot, program in self.running.items():
            if program is None:
                await self.start(slot)
            else:
                for cutter in program.cutters:
                    cutter.refusing, cutter.delay_s, cutter.lose_replies, cutter.commands_left = False, 0.0, 0, 0
                    if cutter.silent:
                        cutter.speak()

    async def _rest(self) -> tuple[Findings, list[str]]:
        """Wait until all is told and nothing is under way, or nothing is and what is missing will never come.

        Answers what is found then, and what kept the world from coming to rest, if anything did for very long.
        """
        calm_since_s: float | None = None
        deadline_s = now_s() + REST_WITHIN_S
        while True:
            found, under_way = await self._look()
            if found.unexplained_repeats or found.disordered or found.foreign or found.in_flight:
                found.lost = []  # nobody knows yet
                return found, []
            if self._fallen():
                found.lost = []
                return found, []
            if under_way:
                calm_since_s = None
            elif calm_since_s is None:
                calm_since_s = now_s()
            elif now_s() - calm_since_s >= (NEVER_S if found.lost else CALM_S):
                return found, []
            if now_s() > deadline_s:
                return found, [f"no rest after {REST_WITHIN_S:.0f} s: {each}" for each in under_way or found.lost]
            await asyncio.sleep(LOOK_EVERY_S)

    async def _look(self) -> tuple[Findings, list[str]]:
        """The judge's opinion, and what is still under way; of one instant as Redis sees it."""
        tokens, balance = self._tokens, await self._accounts.read(self._client)
        under_way = list(balance.under_way)
        watchers = [each for each in self._ended if isinstance(each, WatcherProgram)]
        found = check(
            Record(
                said=self.cluster.said,
                pods=self.cluster.pods,
                logs={
                    token: [log.output for agent in self.coder.agents(token) for log in agent.logs] for token in tokens
                },
                requests=self.watch.requests,
                disturbances=[*self._disturbances, *self._stalls],
                compacted_s=self.cluster.compacted_s,
                listed=self.kube.listed,
                drops=balance.drops,
                refused=balance.refused,
                late=balance.late,
                reasons=self._counted("coder_logstream_dropped_total", "reason"),
                verdicts=self._counted("coder_logstream_records_total", "outcome"),
                expired=self.cluster.names([uid for each in watchers for uid in each.expired()]),
                flushes=self._accounts.flushes,
                watchers=frozenset(each.name for each in watchers),
            )
        )
        namespaces = {each.namespace for each in self.plan.workspaces}
        for watcher in self.running.values():
            if isinstance(watcher, WatcherProgram):
                under_way += [f"{watcher.name}: {each}" for each in watcher.in_hand(namespaces)]
                if found.lost:
                    under_way += [f"{watcher.name}: {each}" for each in watcher.deaf()]
        return found, under_way

    def _counted(self, name: str, label: str) -> Counter[str]:
        """The sum over all programs that ever ran."""
        counted: Counter[str] = Counter()
        for program in self._ended:
            for metric in program.registry.collect():
                for sample in metric.samples:
                    if sample.name == name:
                        counted[sample.labels[label]] += int(sample.value)
        return counted

    def _fallen(self) -> list[str]:
        """The programs that ended by themselves: without them nothing may ever come to rest."""
        return [f"{each.name} ended by itself: {each.fell}" for each in self.running.values() if each and each.fell]

    async def _leaks(self) -> list[str]:
        in_redis = await tokens_in_redis(self._client, f"{{{self.prefix}}}*", self._tokens)
        found = [*self._tap.leaks(self.prefix), *in_redis]
        for program in self._ended:
            found += [f"a metric: {line}" for line in tokens_in_metrics(program.registry, self._tokens)]
        return [f"a token in {each}" for each in found]

    def _outcome(self, findings: Findings, failures: list[str], done: Counter[str], began_s: float) -> Outcome:
        drops = self._counted("coder_logstream_dropped_total", "reason")
        drops += self._counted("coder_logstream_records_total", "outcome")
        for word in ("accepted", "duplicate", "folded"):
            del drops[word]
        seen = self.cluster.said, self.cluster.pods, self.watch.requests, self._stalls
        before_ms, left_out_before = others_ms(self.plan, *seen, began_s, BEFORE_S, HANGS_FROM_S)
        beside_ms, left_out_beside = others_ms(self.plan, *seen, began_s, BESIDE_S)
        return Outcome(
            seed=self.plan.seed,
            faults=dict(done),
            failures=[*findings.faults, *failures, *self._fallen()],
            told=len({each.what for each in self.cluster.said}),
            lines=findings.lines,
            lost=len(findings.lost),
            repeated=findings.repeated,
            ambiguous=findings.ambiguous,
            disordered=len(findings.disordered),
            told_late=findings.told_late,
            unseen=findings.unseen,
            unread=findings.unread,
            dropped=findings.dropped,
            expired=findings.expired,
            lost_to_flush=findings.lost_to_flush,
            repeated_by_flush=findings.repeated_by_flush,
            drops={word: count for word, count in drops.items() if count},
            before_ms=before_ms,
            beside_ms=beside_ms,
            beside_left_out=left_out_before + left_out_beside,
        )

    async def _close(self) -> None:
        for program in self.running.values():
            if program is not None:
                await program.kill()
        await self.kube.stop()
        await self.coder.stop()
        if hasattr(self, "_client"):
            with contextlib.suppress(redis.exceptions.RedisError):
                keys = [key async for key in self._client.scan_iter(f"{{{self.prefix}}}*", count=1_000)]
                if keys and self._redis is None:
                    await self._client.delete(*keys)
            await self._client.aclose()
        if self._redis is not None:
            await self._redis.kill()


def _client_of(port: int) -> redis.asyncio.Redis:
    """Not the programs' way to connect: a busy machine must not look like a fault to the judge."""
    return redis.asyncio.Redis(port=port, socket_timeout=None)


def _port_of(url: str) -> int:
    return int(url.rsplit(":", 1)[1])
