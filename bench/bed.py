"""The test bed: the two doubles and, between them, either our programs or the bare forwarder, each a real process."""

from __future__ import annotations

import asyncio
import socket
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from enum import StrEnum
from pathlib import Path
from typing import Final

import aiohttp
import psutil
from cryptography.fernet import Fernet

from bench import workload
from bench.processes import Child, ChildFailed, Cpu, python_command
from bench.tally import marks_in, newest_marks
from console.doubles.coder_control import AddAgent, SetLatency
from console.doubles.kube import kubeconfig as double_kubeconfig
from console.doubles.kube_control import Play, Step
from console.doubles.remote import CoderRemote, KubeRemote
from console.valkey import DataDir, EmbeddedValkey

__all__ = ["Bed", "Contender", "Load", "open_bed"]

_READY_S: Final = 30.0
_POLL_S: Final = 0.1
_LOOK_S: Final = 0.5
_QUIET_S: Final = 15.0
"""Longer than a summary of a start waits for the last of the pod's Events."""


class Contender(StrEnum):
    """Who carries the events."""

    OURS = "ours"
    FORWARDER = "forwarder"
    """A bare in-memory Python forwarder, `bench.forwarder`."""

    @property
    def lines_of_pod(self) -> int:
        """What it tells of a pod that is ready, beside its Events: that it came and, ours only, how long it took."""
        return 2 if self is Contender.OURS else 1


class Load:
    """CPU time that the measured processes, and everybody else on this machine, take from the making of this on."""

    def __init__(self, measured: Sequence[Child], harness: Sequence[Child]) -> None:
        self._measured = measured
        self._harness = harness
        self._began_s = time.monotonic()
        self._began = self.of_each()
        self._busy_s = _busy_s()
        self._harness_s = self._harness_so_far_s()

    def of_each(self) -> dict[str, Cpu]:
        """CPU time of each measured process since its start."""
        return {child.name: child.cpu() for child in self._measured}

    def since(self) -> dict[str, Cpu]:
        """CPU time of each measured process since the making of this."""
        return {name: cpu - self._began[name] for name, cpu in self.of_each().items()}

    def others_share(self) -> float:
        """Share (0…1) of the machine's CPU time that went to processes that are not the bench's."""
        ours_s = sum(cpu.total_s for cpu in self.since().values()) + self._harness_so_far_s() - self._harness_s
        available_s = (time.monotonic() - self._began_s) * (psutil.cpu_count() or 1)
        return max(0.0, (_busy_s() - self._busy_s - ours_s) / available_s)

    def _harness_so_far_s(self) -> float:
        own = psutil.Process().cpu_times()
        return own.user + own.system + sum(child.cpu().total_s for child in self._harness)


def _busy_s() -> float:
    times = psutil.cpu_times()
    return float(times.user + times.nice + times.system + getattr(times, "irq", 0) + getattr(times, "softirq", 0))


class Bed:
    """Running doubles and programs, all warm: one workspace's lines have gone through."""

    def __init__(
        self,
        contender: Contender,
        kube: KubeRemote,
        coder: CoderRemote,
        measured: Sequence[Child],
        harness: Sequence[Child],
        redis_url: str,
    ) -> None:
        self._lines_of_pod = contender.lines_of_pod
        self.kube = kube
        self.coder = coder
        self.redis_url = redis_url
        """Empty with the forwarder."""
        self.fresh_rss_bytes = {child.name: child.rss_bytes() for child in measured}
        """When ready, before the first event."""
        self._measured = measured
        self._harness = harness

    def load(self) -> Load:
        """Begin to count CPU time."""
        self._check()
        return Load(self._measured, self._harness)

    def rss_bytes(self) -> dict[str, int]:
        """Resident memory of each measured process."""
        return {child.name: child.rss_bytes() for child in self._measured}

    def pids(self) -> dict[str, int]:
        """Process ids of the measured ones, for a profiler."""
        return {child.name: child.pid for child in self._measured}

    async def admit(self, workspaces: Sequence[workload.Workspace]) -> None:
        """Make the workspaces' agents known to Coder."""
        await self.coder.apply([AddAgent(each.token) for each in workspaces])

    async def play(self, steps: Sequence[Step]) -> None:
        """Begin to write `steps` in the cluster, beside everything else."""
        await self.kube.apply([Play(list(steps))])

    async def until_delivered(
        self, pods: int, *, events: int = workload.EVENTS_PER_WORKSPACE, within_s: float, quiet_s: float = _QUIET_S
    ) -> bool:
        """Wait until everything is written and the lines of `pods` beside the warm-up's, with `events` each, are in
        Coder.

        False: `within_s` was over first, or for `quiet_s` after the last write no line came.
        """
        warm = self._lines_of_pod + workload.EVENTS_PER_WORKSPACE
        lines = warm + pods * (self._lines_of_pod + events)
        deadline_s = time.monotonic() + within_s
        seen, seen_at_s = -1, time.monotonic()
        while time.monotonic() < deadline_s:
            self._check()
            unplayed = (await self.kube.totals()).unplayed_steps
            came = (await self.coder.totals()).lines
            if unplayed == 0 and came >= lines:
                return True
            if came != seen or unplayed > 0:
                seen, seen_at_s = came, time.monotonic()
            elif time.monotonic() - seen_at_s > quiet_s:
                return False
            await asyncio.sleep(_POLL_S)
        return False

    async def until_newest(self, of: Collection[str], *, within_s: float) -> bool:
        """Wait until everything is written and the newest count of each event of the workspaces named is in Coder.

        False: `within_s` was over first. Looks seldom: the answer is all that was ever received.
        """
        deadline_s = time.monotonic() + within_s
        while time.monotonic() < deadline_s:
            self._check()
            if (await self.kube.totals()).unplayed_steps == 0:
                wanted = newest_marks(await self.kube.writes(), of)
                agents = await self.coder.agents()
                if wanted <= {mark for agent in agents for line in agent.logs for mark in marks_in(line.output)}:
                    return True
            await asyncio.sleep(_LOOK_S)
        return False

    async def warm_up(self) -> None:
        """Send one workspace's lines through. Raises ChildFailed if they do not come."""
        (warm,) = workload.workspaces(1, prefix="warm")
        await self.admit([warm])
        await self.play(workload.arrivals([warm], every_s=0, start_unix_s=time.time()))
        if not await self.until_delivered(0, within_s=_READY_S, quiet_s=_READY_S):
            said = "\n".join(f"{child.name}: …{child.said()[-1500:]}" for child in self._measured)
            raise ChildFailed(f"the first lines never came to Coder\n{said}")

    def _check(self) -> None:
        for child in (*self._measured, *self._harness):
            child.check()


@asynccontextmanager
async def open_bed(
    contender: Contender,
    *,
    latency_s: float,
    rate_limit: int = 0,
    command: Callable[[str], list[str]] = python_command,
) -> AsyncIterator[Bed]:
    """Start everything, warm it up, and end it with the block. `rate_limit` in requests a minute, 0 for none; `command`
    runs a program of ours by its name.
    """
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="logstream-bench-")))

        async def start(name: str, command: Sequence[str], environ: Mapping[str, str]) -> Child:
            return await stack.enter_async_context(Child(name, command, environ, folder))

        kube_process = await start("kube", python_command("console.doubles.kube"), {})
        coder_process = await start(
            "coder", python_command("console.doubles.coder", "--rate-limit", str(rate_limit)), {}
        )
        kube_url, coder_url = [await each.first_line(_READY_S) for each in (kube_process, coder_process)]
        kube = await stack.enter_async_context(KubeRemote(kube_url))
        coder = await stack.enter_async_context(CoderRemote(coder_url))
        await coder.apply([SetLatency(latency_s)])
        redis_url = ""
        if contender is Contender.OURS:
            kubeconfig = folder / "kubeconfig"
            kubeconfig.write_text(double_kubeconfig(kube_url))
            data = stack.enter_context(DataDir(folder / "data"))
            valkey = EmbeddedValkey(data)
            redis_url = valkey.url
            environ = _our_environ(kubeconfig, coder_url, redis_url)
            measured = await _start_ours(start, valkey, environ, command)
        else:
            arguments = ("--kube-url", kube_url, "--coder-url", coder_url)
            measured = [await start("forwarder", python_command("bench.forwarder", *arguments), {})]
            await measured[0].first_line(_READY_S)
        bed = Bed(contender, kube, coder, measured, [kube_process, coder_process], redis_url)
        await bed.warm_up()
        yield bed


def _our_environ(kubeconfig: Path, coder_url: str, redis_url: str) -> dict[str, str]:
    return {
        "CODER_LOGSTREAM_KUBECONFIG": str(kubeconfig),
        "CODER_URL": coder_url,
        "CODER_LOGSTREAM_REDIS_URL": redis_url,
        "CODER_LOGSTREAM_TOKEN_KEY": Fernet.generate_key().decode(),
        "CODER_LOGSTREAM_LOG_FORMAT": "json",
    }


async def _start_ours(
    start: Callable[[str, Sequence[str], Mapping[str, str]], Awaitable[Child]],
    valkey: EmbeddedValkey,
    environ: Mapping[str, str],
    command: Callable[[str], list[str]],
) -> list[Child]:
    """Valkey as `coder-logstream run` has it, one watcher, one shipper; returns when all are ready."""
    stage = valkey.stage()
    children = [await start("valkey", stage.programs[0].command, {})]
    if stage.ready is not None:
        await stage.ready()
    for name in ("watcher", "shipper"):
        probe_addr = f"127.0.0.1:{_free_port()}"
        child = await start(name, command(name), {**environ, "CODER_LOGSTREAM_PROBE_ADDR": probe_addr})
        await _until_ready(child, f"http://{probe_addr}/readyz")
        children.append(child)
    return children


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def _until_ready(child: Child, url: str) -> None:
    deadline_s = time.monotonic() + _READY_S
    async with aiohttp.ClientSession() as session:
        while True:
            child.check()
            try:
                async with session.get(url) as answer:
                    if answer.status == 200:
                        return
                    said = await answer.text()
            except aiohttp.ClientError as error:
                said = str(error)
            if time.monotonic() > deadline_s:
                raise ChildFailed(f"{child.name} is not ready after {_READY_S:g} s: {said}\n{child.said()[-1500:]}")
            await asyncio.sleep(_POLL_S / 2)
