"""The summary of a pod's start over kills of the watcher, on a real Redis: the same line, told and counted once."""

from __future__ import annotations

from typing import Any

from common.crypto import TokenVault
from common.record import Timeline
from tests.integration.watcher.page import Page
from tests.integration.watcher.rig import Rig, until
from tests.unit.watcher.rig import TOKEN, event, pod
from tests.unit.watcher.test_starts import KNOWN, pulled, pulling, ready
from watcher.packed import unpack
from watcher.shares import slot_of

TOTAL = 'pod_start_seconds_count{outcome="started",phase="total"}'


async def timelines(rig: Rig) -> list[Timeline | None]:
    return [record.details.timeline for record in await rig.records(TOKEN) if record.details is not None]


async def has_begun(rig: Rig) -> bool:
    """Whether a watcher has told the start and written that down, which it does after Redis' answer."""
    raw: Any = await rig.client.hget(rig.keys.objects("pods", slot_of("ns")), "pod-1")
    saved = unpack(raw, await TokenVault.open(rig.client, rig.keys, [rig.token_key])) if raw else None
    return saved is not None and saved.known.begun


async def test_a_watcher_killed_between_the_events_and_the_start_leaves_what_it_heard(rig: Rig) -> None:
    async with rig.watcher():
        await rig.watching()
        rig.put("pods", pod())
        rig.put("events", pulling())
        rig.put("events", pulled())
        await rig.until_said(TOKEN, "Pod Created", "Pod Pulling x1", "Pod Pulled x1")
        await rig.until_saved("events")
    async with rig.watcher():
        rig.put("pods", ready())
        await rig.until_said(TOKEN, "Pod Created", "Pod Pulling x1", "Pod Pulled x1", "Pod PodStarted")
    assert await timelines(rig) == [KNOWN]


async def test_a_watcher_killed_while_a_summary_waits_leaves_it_to_the_next(rig: Rig) -> None:
    async with rig.watcher():
        await rig.watching()
        rig.put("pods", pod())
        rig.put("pods", ready())
        rig.put("pods", pod("other"))
        await rig.until_said(TOKEN, "Pod Created", "Pod Created")
    rig.put("events", pulling())
    rig.put("events", pulled())
    async with rig.watcher():
        await rig.until_said(TOKEN, "Pod Created", "Pod Created", "Pod Pulling x1", "Pod Pulled x1", "Pod PodStarted")
    assert await timelines(rig) == [KNOWN]


async def test_a_start_is_told_and_counted_once_over_kills(rig: Rig) -> None:
    told = ["Pod Created", "Pod Pulling x1", "Pod Pulled x1", "Pod PodStarted"]
    first, second = Page(), Page()
    async with rig.watcher("--metrics-addr", first.addr):
        await rig.watching()
        rig.put("pods", pod())
        rig.put("events", pulling())
        rig.put("events", pulled())
        rig.put("pods", ready())
        await rig.until_said(TOKEN, *told)
        await first.until_sampled(TOTAL, 1)
    # All that it remembers is gone, so the pod is met anew; what was told is known to the agent's own memory.
    await rig.client.delete(rig.keys.objects("pods", slot_of("ns")), rig.keys.positions("pods"))
    async with rig.watcher("--metrics-addr", second.addr):
        await second.until_ready()
        rig.put("pods", ready("99"))
        rig.put("events", event("ev-2", version="100"))
        await rig.until_said(TOKEN, *told, "Pod Scheduled x1")

        await until(lambda: has_begun(rig))
        assert await second.sample(TOTAL) == 0
