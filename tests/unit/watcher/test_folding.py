"""Repeats on their way from a change to a record: what holds them, what lets them go, and what is saved meanwhile."""

from __future__ import annotations

import base64

import msgspec
import pytest

from common.ids import Uid
from tests.unit.watcher.rig import OTHER_TOKEN, TOKEN, Rig, agent_env, event, pod, secret_env
from watcher.mounts import Kind
from watcher.objects import Event
from watcher.reflection import Began, Completed, Found, Rebuilt
from watcher.repeats import SPELLS_S
from watcher.sought import Source, SourceData
from watcher.sources import SourceName

SCOPE = "events/*"


async def _repeating(*counts: int, rig: Rig | None = None) -> Rig:
    """A pod and the counts of one of its events, at resource versions 100 + count."""
    rig = Rig() if rig is None else rig
    await rig.deliver("pods", "ADDED", pod())
    for count in counts:
        await rig.deliver("events", "MODIFIED", event(count=count, version=str(100 + count)))
    return rig


def _folded(rig: Rig) -> float:
    rig.router.tick()
    return float(rig.metrics.records.labels("folded")._value.get())  # noqa: SLF001 - the library has no other way


async def test_repeats_are_told_as_they_double_and_after_a_spell() -> None:
    rig = await _repeating(1, 2, 3, 4, 5, 6, 7)
    assert rig.outbox.said == ["Pod Created", *(f"Pod Scheduled x{count}" for count in (1, 2, 4))]
    rig.clock.now_s += SPELLS_S[0] - 1
    rig.router.tick()
    assert rig.outbox.said[-1] == "Pod Scheduled x4"
    rig.clock.now_s += 1
    rig.router.tick()
    assert rig.outbox.said[-1] == "Pod Scheduled x7"
    assert _folded(rig) == 3  # 3 into 4, 5 and 6 into 7


async def test_a_held_repeat_keeps_the_saved_position_before_it_until_it_is_told() -> None:
    rig = await _repeating(1, 2, 3)
    await rig.deliver("events", "ADDED", event("else", about="node", kind="Node", version="150"))
    await rig.deliver("events", "MODIFIED", event(count=3, version="151"))
    assert rig.outbox.positions[SCOPE] == "102"
    rig.clock.now_s += SPELLS_S[0]
    rig.router.tick()
    rig.events.save()
    assert rig.outbox.positions[SCOPE] == "151"


@pytest.mark.parametrize("parked_first", [True, False])
async def test_the_position_stays_before_the_older_of_a_parked_and_a_held_event(parked_first: bool) -> None:
    rig = await _repeating(1, 2)
    parked = event("parked", about="unknown", version="103" if parked_first else "105")
    held = event(count=3, version="104")
    for each in (parked, held) if parked_first else (held, parked):
        await rig.deliver("events", "ADDED", each)
    assert rig.outbox.positions[SCOPE] == "102"
    if parked_first:
        ending = rig.directory.get(Uid("pod-1"))
        assert ending is not None
        rig.router.ending(ending)
    else:
        rig.parking.take(Uid("unknown"))
    rig.events.save()
    assert rig.outbox.positions[SCOPE] == "102"


async def test_without_an_order_of_versions_nothing_is_saved_past_either() -> None:
    rig = await _repeating(1, 2)
    await rig.deliver("events", "ADDED", event(count=3, version="odd"))
    await rig.deliver("events", "ADDED", event("x", about="unknown", version="104"))
    assert rig.outbox.positions[SCOPE] == "102"


async def test_another_event_of_the_object_comes_after_what_is_held_of_it() -> None:
    rig = await _repeating(1, 2, 3)
    await rig.deliver("events", "ADDED", event("other", reason="Killing", version="110"))
    assert rig.outbox.said[-2:] == ["Pod Scheduled x3", "Pod Killing x1"]


async def test_the_end_of_an_object_is_told_after_what_is_held_of_it() -> None:
    rig = await _repeating(1, 2, 3)
    await rig.deliver("pods", "DELETED", pod(deleting=True))
    assert rig.outbox.said[-2:] == ["Pod Scheduled x3", "Pod Deleted"]


async def test_a_deleted_event_still_has_its_last_count_told() -> None:
    rig = await _repeating(1, 2, 3)
    await rig.deliver("events", "DELETED", event(count=3, version="110"))
    rig.clock.now_s += SPELLS_S[0]
    rig.router.tick()
    assert rig.outbox.said[-1] == "Pod Scheduled x3"


async def test_a_relist_begins_with_what_is_held_and_holds_nothing_of_its_own() -> None:
    rig = await _repeating(1, 2, 3, rig=Rig(floor="1"))
    await rig.events.take(Began("200"))
    assert rig.outbox.said[-1] == "Pod Scheduled x3"
    await rig.events.take(Found([msgspec.convert(event(count=5, version="190"), Event)]))
    await rig.events.take(Completed("200", frozenset()))
    assert rig.outbox.said[-1] == "Pod Scheduled x5"
    assert rig.outbox.positions[SCOPE] == "200"


async def test_a_rebuilt_cluster_still_hears_what_is_held() -> None:
    rig = await _repeating(1, 2, 3)
    await rig.events.take(Rebuilt("900", "5"))
    await rig.events.take(Began("5"))
    assert rig.outbox.said[-1] == "Pod Scheduled x3"


async def test_who_leaves_tells_what_is_held_and_saves_that_it_is() -> None:
    rig = await _repeating(1, 2, 3)
    rig.events.leave()
    assert rig.outbox.said[-1] == "Pod Scheduled x3"
    assert rig.outbox.positions[SCOPE] == "103"


async def test_of_an_event_that_waited_for_its_object_only_the_newest_count_is_told() -> None:
    rig = Rig()
    for count in (1, 2, 3):
        await rig.deliver("events", "ADDED", event(count=count))
        await rig.deliver("events", "ADDED", event("other", reason="Pulled"))
    await rig.deliver("events", "ADDED", event(count=4))
    await rig.deliver("pods", "ADDED", pod())
    assert rig.outbox.said == ["Pod Created", "Pod Pulled x1", "Pod Scheduled x4"]
    await rig.deliver("events", "MODIFIED", event(count=5))
    assert rig.outbox.said[-1] == "Pod Scheduled x4"
    assert _folded(rig) == 5


async def test_a_late_agent_hears_the_newest_counts_in_order_though_another_agent_has_heard_some() -> None:
    """One agent's token is there, the other's Secret is not yet."""
    rig = Rig()
    both = pod(env=agent_env(OTHER_TOKEN))
    both["spec"]["initContainers"] = [{"name": "i", "env": secret_env()}]
    await rig.deliver("pods", "ADDED", both)
    for count in (1, 2, 3):
        await rig.deliver("events", "ADDED", event(count=count))
        if count == 2:
            await rig.deliver("events", "ADDED", event("other", reason="Pulled"))
    data = SourceData({"token": base64.b64encode(TOKEN.encode()).decode()})
    rig.registrar.source_answered(Uid("pod-1"), SourceName("ns", Source(Kind.SECRET, "agent")), data)
    late = rig.vault.agent_id(TOKEN)
    told = [said for entry, said in zip(rig.outbox.entries, rig.outbox.said, strict=True) if entry.agent == late]
    assert told == ["Pod Created", "Pod Pulled x1", "Pod Scheduled x3"]


async def test_history_that_nobody_hears_is_not_the_first_telling_of_an_event() -> None:
    rig = Rig()
    listed = [msgspec.convert(event(about="old", count=5, version="40"), Event)]
    await rig.deliver("pods", "ADDED", pod("old"))
    known = rig.directory.get(Uid("old"))
    assert known is not None
    rig.directory.put(msgspec.structs.replace(known, told=False))
    for change in (Began("50"), Found(listed), Completed("50", frozenset())):
        await rig.events.take(change)
    assert rig.outbox.said == ["Pod Created"]
    await rig.deliver("events", "MODIFIED", event(about="old", count=6, version="51"))
    assert rig.outbox.said[-1] == "Pod Scheduled x6"


async def test_what_is_delivered_again_while_it_is_parked_keeps_its_place() -> None:
    rig = Rig()
    first, second = event("first", about="pod-1", version="101"), event("second", about="pod-1", version="102")
    for each in (first, second, first):
        await rig.deliver("events", "MODIFIED", {**each, "reason": each["metadata"]["name"]})
    await rig.deliver("pods", "ADDED", pod("pod-1"))
    assert rig.outbox.said == ["Pod Created", "Pod first x1", "Pod second x1"]
