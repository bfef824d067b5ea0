"""The scenarios of «Speed and size», each with its targets: how it is loaded, what is read off.

Two cores, everything on loopback, one shipper process, the doubles in processes of their own, no rate limit unless
said; a workspace's six events 5 ms apart, after its pod, whose own line is delivered too but is no event.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Final

import redis.asyncio

from bench import workload
from bench.bed import Bed, Contender, Load, open_bed
from bench.ideal import IdealClient, ideal_client
from bench.scenario import Reading, Scenario
from bench.tally import Tally, median, percentile, tally
from console.doubles.coder_control import SetLatency

__all__ = ["SCENARIOS"]

_LINES: Final = 20
"""Of each workspace that waits for its share of Coder's limit, its pod's among them; a summary comes when it may."""
_KIB: Final = 1024
_MIB: Final = 1024 * 1024
_PROGRAMS: Final = ("valkey", "watcher", "shipper", "forwarder")


async def burst(contender: Contender, seconds: float) -> list[Reading]:
    """1,000 new workspaces at once."""
    new = workload.workspaces(1_000)
    async with open_bed(contender, latency_s=0.020) as bed:
        await bed.admit(new)
        load = bed.load()
        await bed.play(workload.arrivals(new, every_s=0, start_unix_s=time.time()))
        await bed.until_delivered(len(new), within_s=seconds)
        cpu = _cpu(load, len(new) * workload.EVENTS_PER_WORKSPACE)
        result = await _tally(bed, new)
    written = f"first write to last receipt; the writing alone took {result.writing_s:.2f} s"
    return [Reading("all lines in Coder", result.span_s, "s", written), *_fate(result), *cpu]


async def steady(contender: Contender, seconds: float) -> list[Reading]:
    """5 new workspaces a second."""
    new = workload.workspaces(round(5 * seconds))
    async with open_bed(contender, latency_s=0.005) as bed:
        await bed.admit(new)
        load = bed.load()
        await bed.play(workload.arrivals(new, every_s=0.2, start_unix_s=time.time()))
        await bed.until_delivered(len(new), within_s=seconds + 30)
        cpu = _cpu(load, len(new) * workload.EVENTS_PER_WORKSPACE)
        requests = sum((await bed.coder.totals()).requests.values())
        result = await _tally(bed, new)
    per_event = Reading("requests per event", requests / max(1, result.events), "", "log sources included")
    return [*_latency(result), *_fate(result), *cpu, per_event]


async def isolation(contender: Contender, seconds: float) -> list[Reading]:
    """5 new workspaces a second, beside one that has ten events a second and a Coder that takes 30 s for it."""
    others = workload.workspaces(round(5 * seconds))
    (slow,) = workload.workspaces(1, prefix="slow")
    async with open_bed(contender, latency_s=0.005) as bed:
        await bed.admit([slow, *others])
        await bed.coder.apply([SetLatency(30.0, slow.token)])
        now_s = time.time()
        await bed.play(workload.stream(slow, events=round(10 * seconds), every_s=0.1, start_unix_s=now_s))
        await bed.play(workload.arrivals(others, every_s=0.2, start_unix_s=now_s))
        await bed.until_delivered(len(others), within_s=seconds + 30)
        result = await _tally(bed, others)
    return [*_latency(result), *_fate(result)]


async def rate_limit(contender: Contender, seconds: float) -> list[Reading]:
    """1,000 new workspaces with 20 lines each, 512 requests a minute and path."""
    new = workload.workspaces(1_000)
    async with open_bed(contender, latency_s=0.005, rate_limit=512) as bed:
        await bed.admit(new)
        began_ns = time.time_ns()
        await bed.play(workload.arrivals(new, every_s=0, start_unix_s=time.time(), events=_LINES - 1))
        await bed.until_delivered(len(new), events=_LINES - 1, within_s=seconds, quiet_s=seconds)
        totals = await bed.coder.totals()
        result = await _tally(bed, new)
        ended_ns = began_ns + round(result.span_s * 1e9) if result.lost == 0 else time.time_ns()
    lines = len(new) * _LINES - result.lost
    took_s = (ended_ns - began_ns) / 1e9
    refused = sum(number for what, number in totals.requests.items() if what.endswith(" 429"))
    logs = totals.requests.get("logs 200", 0)
    ideal = ideal_client(began_ns, ended_ns, 512, requests=len(new))
    return [
        _drain(took_s, lines, lines + result.lost, ideal),
        Reading("requests per 1,000 lines", 1_000 * sum(totals.requests.values()) / lines, "", "log sources included"),
        Reading("share of the limit used", 100 * logs / ideal.admitted, "%", "of what the best client gets through"),
        Reading("answers 429", refused, ""),
        Reading("repeated", result.repeated, "lines"),
    ]


def _drain(took_s: float, lines: int, wanted: int, ideal: IdealClient) -> Reading:
    best = f"one request a workspace at best {ideal.done_after_s:.0f} s"
    if lines >= wanted:
        return Reading("time to drain", took_s, "s", best)
    note = f"EXTRAPOLATED: {lines} of {wanted} lines in {took_s:.0f} s; {best}"
    return Reading("time to drain", took_s * wanted / max(1, lines), "s", note)


async def memory(contender: Contender, seconds: float) -> list[Reading]:
    """5,000 idle workspaces, come over fifty seconds: a process keeps what a rush needs for a moment."""
    new = workload.workspaces(5_000)
    async with open_bed(contender, latency_s=0.005) as bed:
        await bed.admit(new)
        before, store_before = await _settled_rss_bytes(bed), await _store_bytes(bed)
        await bed.play(workload.idle(new, every_s=0.01))
        complete = await bed.until_delivered(len(new), events=0, within_s=seconds)
        after, store_after = await _settled_rss_bytes(bed), await _store_bytes(bed)
        fresh = bed.fresh_rss_bytes
    grown = {name: (after[name] - before[name]) / len(new) / _KIB for name in after}
    inside = (store_after - store_before) / len(new) / _KIB
    parts = ", ".join(f"{name} {kib:.2f}" for name, kib in grown.items())
    note = f"{parts}; Redis' own account {inside:.2f}" if store_after else parts
    total = sum(kib for name, kib in grown.items() if name != "shipper")
    rows = [Reading("growth per pod", total, "KiB", note if complete else f"{note}; NOT all lines came")]
    rows += [Reading(f"fresh {name}", size / _MIB, "MiB") for name, size in fresh.items()]
    return [*rows, *(Reading(f"{name} with 5,000 pods", size / _MIB, "MiB") for name, size in after.items())]


async def churn(contender: Contender, seconds: float) -> list[Reading]:
    """500 repeat updates a second, spread over the events of 100 workspaces."""
    return await _churn(contender, seconds, of=100)


async def churn_wide(contender: Contender, seconds: float) -> list[Reading]:
    """500 repeat updates a second, spread over the events of 1,000 workspaces: nothing to put together."""
    return await _churn(contender, seconds, of=1_000)


async def _churn(contender: Contender, seconds: float, *, of: int) -> list[Reading]:
    known = workload.workspaces(of)
    updates = round(500 * seconds)
    async with open_bed(contender, latency_s=0.005) as bed:
        await bed.admit(known)
        await bed.play(workload.arrivals(known, every_s=0.002, start_unix_s=time.time(), events=1))
        await bed.until_delivered(of, events=1, within_s=60)
        requests_before = sum((await bed.coder.totals()).requests.values())
        load = bed.load()
        await bed.play(workload.repeats(known, updates=updates, per_s=500, start_unix_s=time.time()))
        await bed.until_newest({each.name for each in known}, within_s=seconds + 30)
        cpu = _cpu(load, updates, "update")
        requests = sum((await bed.coder.totals()).requests.values()) - requests_before
        result = await _tally(bed, known)
    own = result.events - result.folded - result.lost
    shown = f"{own} of {result.events} counts have a line, {result.folded} are folded into a later one"
    unseen = "until a line showed it or a later count"
    return [
        *cpu,
        *_latency(result),
        Reading("longest unseen", percentile(result.waits_ms, 1.0) / 1_000, "s", unseen),
        Reading("requests per update", requests / updates, ""),
        Reading("lines per update", own / result.events, "", shown),
        Reading("lost", result.lost, "counts"),
        Reading("repeated", result.repeated, "lines"),
    ]


_CHURN_TARGETS: Final = {"CPU per update": 0.4, "longest unseen": 16.0, "lost": 0, "repeated": 0}

SCENARIOS: Final = (
    Scenario("burst", 60.0, burst, {"all lines in Coder": 3.0, "lost": 0, "repeated": 0}),
    Scenario("steady", 60.0, steady, {"p50": 15.0, "p99": 60.0, "lost": 0, "repeated": 0, "CPU per event": 1.6}),
    Scenario("isolation", 40.0, isolation, {"p99": 100.0, "lost": 0, "repeated": 0}),
    Scenario("rate-limit", 240.0, rate_limit, {"repeated": 0}, compared=False),
    Scenario("memory", 120.0, memory, {"growth per pod": 4.0, "fresh watcher": 80.0, "fresh shipper": 80.0}),
    Scenario("churn", 20.0, churn, _CHURN_TARGETS),
    Scenario("churn-wide", 20.0, churn_wide, _CHURN_TARGETS),
)


def _latency(result: Tally) -> list[Reading]:
    return [Reading(f"p{percent}", percentile(result.latencies_ms, percent / 100), "ms") for percent in (50, 99)] + [
        Reading("max", percentile(result.latencies_ms, 1.0), "ms")
    ]


def _fate(result: Tally) -> list[Reading]:
    note = f"of {result.events} events and their pods"
    return [Reading("lost", result.lost, "lines", note), Reading("repeated", result.repeated, "lines")]


def _cpu(load: Load, number: int, what: str = "event") -> list[Reading]:
    """CPU time by process; read at once, before anything else costs some."""
    others = f"other people's processes took {100 * load.others_share():.0f} % of the machine"
    spent = load.since()
    total_s = sum(cpu.total_s for cpu in spent.values())
    rows = [Reading(f"CPU per {what}", 1_000 * total_s / number, "ms", others)]
    for name in _PROGRAMS:
        if name in spent:
            cpu = spent[name]
            share = f"{1_000 * cpu.user_s / number:.2f} user + {1_000 * cpu.system_s / number:.2f} system"
            rows.append(Reading(f"· {name}", 1_000 * cpu.total_s / number, "ms", share))
    return rows


async def _tally(bed: Bed, only: Sequence[workload.Workspace]) -> Tally:
    return tally(await bed.kube.writes(), await bed.coder.agents(), {each.name for each in only})


async def _settled_rss_bytes(bed: Bed) -> dict[str, float]:
    """Resident memory, the median of five readings in five seconds."""
    readings = []
    for _ in range(5):
        await asyncio.sleep(1.0)
        readings.append(bed.rss_bytes())
    return {name: median(reading[name] for reading in readings) for name in readings[0]}


async def _store_bytes(bed: Bed) -> int:
    """What Redis itself counts as used, 0 if there is none."""
    if not bed.redis_url:
        return 0
    async with redis.asyncio.Redis.from_url(bed.redis_url) as client:
        return int((await client.info("memory"))["used_memory"])
