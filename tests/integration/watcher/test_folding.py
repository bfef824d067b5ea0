"""A watcher that holds repeats: it tells them in time, at its stop, and after a crash by reading them again."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from console.doubles.kube import KubeDouble
from tests.integration.watcher.rig import Rig
from tests.redis_builds import NEWEST
from tests.servers import running_redis
from tests.unit.watcher.rig import OTHER_TOKEN, TOKEN, agent_env, event, pod
from watcher.publisher import SAVE_EVERY_S
from watcher.repeats import SPELLS_S

AT_ONCE = ("Pod Created", "Pod Scheduled x1", "Pod Scheduled x2")


async def _until_two_are_told(rig: Rig) -> None:
    await rig.watching()
    rig.put("pods", pod("other", env=agent_env(OTHER_TOKEN)))
    rig.put("pods", pod())
    rig.put("events", event())
    await rig.until_said(TOKEN, *AT_ONCE[:2])
    rig.put("events", event(count=2))
    await rig.until_said(TOKEN, *AT_ONCE)


async def test_the_last_count_is_told_within_a_spell_and_then_saved(rig: Rig) -> None:
    async with rig.watcher():
        await _until_two_are_told(rig)
        told_s = time.monotonic()
        for count in (3, 4, 5, 6):
            rig.put("events", event(count=count))
        await rig.until_said(TOKEN, *AT_ONCE, "Pod Scheduled x4")
        await rig.until_said(TOKEN, *AT_ONCE, "Pod Scheduled x4", "Pod Scheduled x6")
        assert SPELLS_S[0] - 2 < time.monotonic() - told_s < SPELLS_S[0] + 1
        await rig.until_saved("events")


async def test_a_stop_tells_what_is_held(rig: Rig) -> None:
    async with rig.watcher() as watcher:
        await _until_two_are_told(rig)
        rig.put("events", event(count=3))
        await _until_read(rig)
        await watcher.stop()
    assert await rig.said(TOKEN) == [*AT_ONCE, "Pod Scheduled x3"]


async def test_a_killed_watcher_tells_what_it_held_when_it_is_back(rig: Rig) -> None:
    async with rig.watcher() as watcher:
        await _until_two_are_told(rig)
        await rig.until_saved("events")
        before = await rig.position("events")
        rig.put("events", event(count=3))
        await _until_read(rig)
        await asyncio.sleep(1.5 * SAVE_EVERY_S)
        assert await rig.position("events") == before
        watcher.process.kill()
        await watcher.process.wait()
    assert await rig.said(TOKEN) == [*AT_ONCE]
    async with rig.watcher():
        await rig.until_said(TOKEN, *AT_ONCE, "Pod Scheduled x3")


async def test_what_is_held_outlives_an_emptied_redis(tmp_path: Path) -> None:
    with running_redis(NEWEST.binary(), tmp_path / "redis") as server:
        async with KubeDouble() as kube:
            rig = Rig(kube, server.url, "emptied", tmp_path)
            async with rig.watcher() as watcher:
                await _until_two_are_told(rig)
                rig.put("events", event(count=3))
                await _until_read(rig)
                await rig.client.flushall()
                await watcher.said("Redis was emptied")
                await rig.until_said(TOKEN, "Pod Scheduled x3", within_s=SPELLS_S[0] - 5)
                await watcher.stop()
            await rig.client.aclose()


async def _until_read(rig: Rig) -> None:
    """Until all events so far are read: a later one, of another object, is told."""
    rig.put("events", event("later", about="other", reason="Later"))
    await rig.until_said(OTHER_TOKEN, "Pod Created", "Pod Later x1")
