"""What single decisions bring, as ratios: the chosen way by the obvious one, measured in turns in this process."""

from __future__ import annotations

import asyncio
import json
import ssl
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

import aiohttp
import httpx
import redis.asyncio

from bench import workload
from bench.figures import Figure
from bench.processes import Child, python_command
from bench.tally import median
from common.store.funnel import Funnel
from common.store.keys import Keys
from common.store.scripts import load_script
from console.valkey import DataDir, EmbeddedValkey
from shipper.http1 import Http1Wire
from shipper.proxied import HttpxWire
from watcher.objects import Pod, decode_watch

__all__ = ["micro_figures"]

_ROUNDS: Final = 7
_SCENARIO: Final = "micro"
_AT_ONCE: Final = 32
_REQUESTS_AT_ONCE: Final = 8


async def micro_figures() -> list[Figure]:
    """All of them; a minute at most."""
    return [_decoding(), *await _transports(), *await _funnel()]


def _figure(name: str, chosen_us: float, obvious_us: float, note: str) -> Figure:
    return Figure(
        _SCENARIO, name, chosen_us / obvious_us, "×", note=f"{chosen_us:.1f} µs against {obvious_us:.1f}: {note}"
    )


def _decoding() -> Figure:
    line = b'{"type":"ADDED","object":' + workload.recorded_pod().strip() + b"}"
    chosen, obvious = [], []
    for _ in range(_ROUNDS):
        chosen.append(_each_us(lambda: decode_watch(Pod, line), 500))
        obvious.append(_each_us(lambda: json.loads(line), 500))
    return _figure("decode a pod", median(chosen), median(obvious), f"our structs / json.loads, {len(line)} bytes")


def _each_us(call: Callable[[], object], times: int) -> float:
    began_ns = time.perf_counter_ns()
    for _ in range(times):
        call()
    return (time.perf_counter_ns() - began_ns) / times / 1_000


async def _cpu_each_us(call: Callable[[], Awaitable[object]], times: int, at_once: int) -> float:
    """This process' CPU time for one of `times` calls, `at_once` of them under way."""

    async def some() -> None:
        for _ in range(times // at_once):
            await call()

    began_ns = time.process_time_ns()
    await asyncio.gather(*(some() for _ in range(at_once)))
    return (time.process_time_ns() - began_ns) / (times // at_once * at_once) / 1_000


async def _transports() -> list[Figure]:
    """CPU of one PATCH to Coder by each of its two wires, and by what would be taken without a second thought."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="logstream-bench-")))
        command = python_command("console.doubles.coder", "--auto-agents")
        url = await (await stack.enter_async_context(Child("coder", command, {}, folder))).first_line(30.0)
        path = "/api/v2/workspaceagents/me/logs"
        body = b'{"logs":[{"level":"debug","created_at":"2026-01-01T00:00:00Z","output":"a line"}]}'
        (agent,) = workload.workspaces(1)
        headers = {"Coder-Session-Token": agent.token, "Content-Type": "application/json"}
        trust = ssl.create_default_context()
        direct = Http1Wire(url, trust, timeout_s=30.0, connections=_REQUESTS_AT_ONCE)
        proxied = HttpxWire(url, trust, timeout_s=30.0, connections=_REQUESTS_AT_ONCE, proxy=None)
        stack.push_async_callback(direct.aclose)
        stack.push_async_callback(proxied.aclose)
        session = await stack.enter_async_context(aiohttp.ClientSession())
        client = await stack.enter_async_context(httpx.AsyncClient())

        async def by_aiohttp() -> None:
            async with session.patch(url + path, data=body, headers=headers) as answer:
                await answer.read()

        ways: list[Callable[[], Awaitable[object]]] = [
            lambda: direct.ask("PATCH", path, agent.token, body),
            by_aiohttp,
            lambda: proxied.ask("PATCH", path, agent.token, body),
            lambda: client.patch(url + path, content=body, headers=headers),
        ]
        rows: list[list[float]] = [[] for _ in ways]
        for _ in range(_ROUNDS):
            for row, way in zip(rows, ways, strict=True):
                row.append(await _cpu_each_us(way, 256, _REQUESTS_AT_ONCE))
    at_once = f"CPU, {_REQUESTS_AT_ONCE} at once"
    chosen, plain, through, default = map(median, rows)
    return [
        _figure("one request to Coder", chosen, plain, f"our own client / aiohttp's session, {at_once}"),
        _figure("one request by a proxy", through, default, f"httpx on aiohttp / on its own transport, {at_once}"),
    ]


async def _funnel() -> list[Figure]:
    """CPU of a script call through the funnel and as a call of its own, many asked for at once."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="logstream-bench-")))
        valkey = EmbeddedValkey(stack.enter_context(DataDir(folder / "data")))
        stage = valkey.stage()
        await stack.enter_async_context(Child("valkey", stage.programs[0].command, {}, folder))
        if stage.ready is not None:
            await stage.ready()
        client = await stack.enter_async_context(redis.asyncio.Redis.from_url(valkey.url))
        keys, funnel = Keys(), Funnel(client)
        names = (keys.due, keys.looking, keys.asleep, keys.rung)
        await funnel.call("sweep", names, (keys.wake_prefix,))
        sha = load_script("sweep").sha

        async def alone() -> object:
            return await client.execute_command("EVALSHA", sha, len(names), *names, keys.wake_prefix)  # type: ignore[no-untyped-call]

        async def through() -> object:
            return await funnel.call("sweep", names, (keys.wake_prefix,))

        rows: list[list[float]] = [[], []]
        for _ in range(_ROUNDS):
            rows[0].append(await _cpu_each_us(through, 640, _AT_ONCE))
            rows[1].append(await _cpu_each_us(alone, 640, _AT_ONCE))
        chosen, obvious = map(median, rows)
    return [_figure("one script call", chosen, obvious, f"CPU through the funnel / each by itself, {_AT_ONCE} at once")]
