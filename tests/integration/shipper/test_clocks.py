"""Clocks that are an hour wrong, the shipper's own or Coder's, change nothing in pacing, holds and lateness.

Coder tells its own time with each answer, and the reset of its limit by the same clock; ages are by Redis' `TIME`.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import pytest

from common.clock import SystemClock
from common.store.model import Verdict
from console.doubles.coder import CoderDouble
from console.doubles.coder_control import MakeReady
from console.doubles.faults import Answer, Injection
from shipper.outcome import Call
from shipper.text import LATE_MS
from tests.integration.shipper.process import feeding, shipper
from tests.integration.shipper.rig import Hands, Rig, rigged, shipping, until, until_async

HOUR_S: Final = 3_600
SKEWS: Final = [pytest.param(HOUR_S, id="fast"), pytest.param(-HOUR_S, id="slow")]
WRONG: Final = ["shipper", "coder"]


class SkewedClock(SystemClock):
    """A machine whose wall clock is wrong; its monotonic one cannot be."""

    def __init__(self, skew_s: int) -> None:
        self._skew_s = skew_s

    def unix_s(self) -> float:
        return super().unix_s() + self._skew_s


def coder_with_clock(skew_s: int) -> CoderDouble:
    return CoderDouble(unix_ns=lambda: time.time_ns() + skew_s * 1_000_000_000)


@contextlib.asynccontextmanager
async def skewed(redis_url: str, prefix: str, wrong: str, skew_s: int) -> AsyncIterator[tuple[Rig, Hands]]:
    clock = SkewedClock(skew_s if wrong == "shipper" else 0)
    async with (
        coder_with_clock(skew_s if wrong == "coder" else 0) as double,
        rigged(redis_url, prefix, double) as rig,
        shipping(rig, redis_url, concurrency=5, clock=clock) as hands,
    ):
        yield rig, hands


def refuse_for(double: CoderDouble, rest_s: int, skew_s: int) -> None:
    """Answer the next PATCH with 429; by Coder's clock the limit is reset in `rest_s`."""
    headers = {
        "Retry-After": "60",
        "X-RateLimit-Limit": "512",
        "X-RateLimit-Remaining": "0",
        "X-RateLimit-Reset": str(int(time.time()) + skew_s + rest_s),
    }
    double.faults.add(Injection(Answer(429, "", headers), where={"endpoint": "logs"}))


@pytest.mark.parametrize("skew_s", SKEWS)
@pytest.mark.parametrize("wrong", WRONG)
async def test_a_rate_limit_rests_until_its_reset_by_coders_own_clock(
    redis_url: str, prefix: str, wrong: str, skew_s: int
) -> None:
    async with skewed(redis_url, prefix, wrong, skew_s) as (rig, hands):
        token = await rig.agent()
        await rig.say(token, "one")
        refuse_for(rig.coder, 30, skew_s if wrong == "coder" else 0)
        await hands.drainer.shift()  # what is due so late ends it
        # By the difference of two clocks the reset would be past, or the whole minute away.
        assert 10 < hands.pace.paths[Call.LOGS].wait_s(time.monotonic()) < 35
        assert await rig.waiting(token) == 1


@pytest.mark.parametrize("skew_s", SKEWS)
@pytest.mark.parametrize("wrong", WRONG)
async def test_a_hold_neither_ends_early_nor_outlasts_its_reason(
    redis_url: str, prefix: str, wrong: str, skew_s: int
) -> None:
    async with skewed(redis_url, prefix, wrong, skew_s) as (rig, hands), asyncio.TaskGroup() as tasks:
        token = await rig.agent(ready=False)
        await rig.say(token, "one")
        shift = tasks.create_task(hands.work())
        # The window is half an hour; by a clock that is an hour ahead it would be over at the second refusal.
        await until(lambda: rig.coder.totals().requests.get("log_source 401", 0) >= 2)
        assert await rig.say(token, "two") == [Verdict.ACCEPTED]
        rig.coder.apply(MakeReady(token))
        await until(lambda: rig.heard(token) == ["one", "two"])
        shift.cancel()
        assert rig.metric("dropped_total", reason="unauthorized") == 0


@pytest.mark.parametrize("skew_s", SKEWS)
@pytest.mark.parametrize("wrong", WRONG)
async def test_only_what_is_late_by_redis_clock_carries_its_own_time(
    redis_url: str, prefix: str, wrong: str, skew_s: int
) -> None:
    async with skewed(redis_url, prefix, wrong, skew_s) as (rig, hands):
        token = await rig.agent()
        seconds, micros = await rig.client.time()
        now_ms = seconds * 1000 + micros // 1000
        await rig.say(token, "fresh", last_at_ms=now_ms + 60_000)  # a busy machine may deliver it late
        await rig.say(token, "late", last_at_ms=now_ms - LATE_MS)
        await hands.drainer.shift()
        fresh, late = rig.heard(token)
        assert fresh == "fresh"
        at = time.strftime("%H:%M:%S", time.gmtime((now_ms - LATE_MS) // 1000))
        assert late.startswith("late (")
        assert late.endswith(f"at {at} UTC)")
        assert rig.metric("delivery_seconds_count") == 2
        assert rig.metric("delivery_seconds_sum") < HOUR_S / 2


@pytest.mark.parametrize("skew_s", SKEWS)
async def test_a_real_shipper_paces_and_holds_by_a_coder_whose_clock_is_wrong(
    tmp_path: Path, redis_url: str, prefix: str, skew_s: int
) -> None:
    async with (
        coder_with_clock(skew_s) as double,
        feeding(redis_url, prefix, double) as feed,
        shipper(tmp_path, double.url, redis_url, prefix, feed.key) as process,
    ):
        refused, unready = await feed.rig.agent(), await feed.rig.agent(ready=False)
        refuse_for(double, 15, skew_s)
        await feed.say(refused, "one", last_at_ms=time.time_ns() // 1_000_000 + 60_000)
        await until_async(lambda: is_put_off(feed.rig, refused))
        assert 5 < await due_in_s(feed.rig, refused) < 20
        await feed.say(unready, "two", last_at_ms=time.time_ns() // 1_000_000 + 60_000)
        await until_async(lambda: is_held(feed.rig, unready))
        double.apply(MakeReady(unready))
        await until(lambda: [feed.rig.heard(refused), feed.rig.heard(unready)] == [["one"], ["two"]])
        assert await process.metric('dropped_total{reason="unauthorized"}') == 0
        await process.ready()


async def is_put_off(rig: Rig, token: str) -> bool:
    claimed = await rig.client.sismember(rig.keys.claimed, rig.vault.agent_id(token))
    return rig.coder.totals().requests.get("logs 429") == 1 and not claimed


async def due_in_s(rig: Rig, token: str) -> float:
    due_ms = await rig.client.zscore(rig.keys.due, rig.vault.agent_id(token))
    seconds, _ = await rig.client.time()
    return float(due_ms or 0) / 1000 - float(seconds)


async def is_held(rig: Rig, token: str) -> bool:
    return (await rig.state(token)).get("held_why") == "unauthorized"
