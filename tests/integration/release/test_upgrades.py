"""Neighbouring releases beside each other, in either role, forwards and back. The neighbours are synthetic."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest

from common.store.connect import SCHEMA
from tests.integration.release.neighbour import LATER, LONGER, SHORTER
from tests.integration.release.rig import Release
from tests.integration.shipper.process import Shipper
from tests.integration.watcher.rig import Process, until

CREATED = "🐳 Created pod: web"
NEIGHBOUR = "tests.integration.release.neighbour"


def other_watcher(release: Release, how: str) -> contextlib.AbstractAsyncContextManager[Process]:
    return release.rig.watcher(module=NEIGHBOUR, NEIGHBOUR="watcher", NEIGHBOUR_IS=how)


def other_shipper(release: Release, how: str) -> contextlib.AbstractAsyncContextManager[Shipper]:
    return release.shipper(module=NEIGHBOUR, NEIGHBOUR="shipper", NEIGHBOUR_IS=how)


@pytest.mark.parametrize("how", [LONGER, SHORTER])
async def test_watchers_are_rolled_forward_and_back_under_one_shipper(release: Release, how: str) -> None:
    async with release.shipper():
        async with other_watcher(release, how) as watcher:
            token = release.workspace("web")
            release.happen("web", "from the neighbour")
            await release.until_heard(token, CREATED, "from the neighbour")
            async with release.watcher() as ours:
                await ours.said("sharing", '"watchers": 2')
                await watcher.stop()
                release.happen("web", "from us")
                await release.until_heard(token, CREATED, "from the neighbour", "from us")
                await ours.stop()
        async with other_watcher(release, how) as watcher:
            release.happen("web", "and back")
            await release.until_heard(token, CREATED, "from the neighbour", "from us", "and back")
            await watcher.stop()


@pytest.mark.parametrize("how", [LONGER, SHORTER])
async def test_shippers_are_rolled_forward_and_back_under_one_watcher(release: Release, how: str) -> None:
    async with release.watcher():
        token, lines = release.workspace("web"), [CREATED]
        for shipper in (release.shipper(), other_shipper(release, how), release.shipper()):
            async with shipper as running:
                lines.append(f"line {len(lines)}")
                release.happen("web", lines[-1])
                await release.until_heard(token, *lines)
                await running.stop()


async def test_a_record_of_a_later_version_waits_for_a_shipper_that_reads_it(release: Release) -> None:
    async with other_watcher(release, LATER) as watcher:
        token = release.workspace("web")
        release.happen("web", "of a later version")
        async with release.shipper() as old:

            async def reported() -> bool:
                return "a record waits for a newer shipper" in old.log()

            await until(reported)
            assert release.heard(token) == []
            await old.stop()
        async with other_shipper(release, LATER):
            await make_all_due(release)
            await release.until_heard(token, CREATED, "of a later version")
        await watcher.stop()


async def make_all_due(release: Release) -> None:
    """Cut short the five minutes after which the agents are looked at again."""
    due: Any = await release.rig.client.zrange(release.rig.keys.due, 0, -1)
    assert due
    await release.rig.client.zadd(release.rig.keys.due, dict.fromkeys(due, 0), xx=True)


async def test_objects_that_a_later_release_saved_are_met_anew_and_told_once(release: Release) -> None:
    """Its watcher is rolled back: what it knows cannot be read, so all is listed."""
    async with release.shipper():
        async with other_watcher(release, LONGER) as watcher:  # its records can be read
            token = release.workspace("web")
            await release.until_heard(token, CREATED)
            await watcher.stop()
        objects = [key async for key in release.rig.client.scan_iter(f"{release.rig.keys.tag}objects:pods/*")]
        found: Any = await release.rig.client.hgetall(objects[0])
        ((uid, packed),) = found.items()
        await release.rig.client.hset(objects[0], uid, packed[:1] + b"\x09" + packed[2:])  # its version
        async with release.watcher() as watcher:
            await watcher.said("saved objects cannot be read")
            release.happen("web", "after the way back")
            await release.until_heard(token, CREATED, "after the way back")


async def test_data_of_a_release_too_far_ahead_stop_both_programs_with_the_remedy(release: Release) -> None:
    await release.rig.client.set(release.rig.keys.schema, SCHEMA + 2)
    async with release.watcher() as watcher, release.shipper() as shipper:
        for process in (watcher, shipper):
            assert await asyncio.wait_for(process.process.wait(), 60) == 1
            last = process.log().splitlines()[-1]
            assert f"have schema {SCHEMA + 2}, this program knows {SCHEMA}; upgrade it one minor version" in last
