"""Units come and go: what is read again is not told again, what is given away is written down and forgotten."""

import msgspec

from common.ids import Uid, Unit
from tests.unit.watcher.rig import Rig, event, pod
from watcher.domain import Named, Slots
from watcher.objects import Pod
from watcher.reflection import Began, Completed, Found
from watcher.shares import slot_of

OURS, THEIRS = slot_of("ns"), slot_of("other")


def test_a_named_namespace_is_its_own_unit() -> None:
    domain = Named("ns")
    assert (domain.unit_of("ns"), domain.unit_of("other")) == (Unit("ns"), None)
    assert domain.units == {Unit("ns")}


def test_slots_are_ours_as_long_as_they_are_held() -> None:
    domain = Slots()
    assert domain.unit_of("ns") is None
    domain.take([OURS, THEIRS])
    before = domain.units
    domain.drop([THEIRS])
    assert (domain.unit_of("ns"), domain.unit_of("other")) == (OURS, None)
    assert before == {OURS, THEIRS}


async def test_objects_and_events_of_others_are_left_alone() -> None:
    rig = Rig(domain=Slots([OURS]))
    await rig.deliver("pods", "ADDED", pod("theirs", namespace="other"))
    await rig.deliver("events", "ADDED", event(about="theirs", namespace="other", version="30"))
    await rig.deliver("pods", "ADDED", pod())
    assert [record.object.namespace for record in rig.outbox.records] == ["ns"]
    assert len(rig.parking) == 0
    assert rig.outbox.positions[f"events/{OURS}"] == "30"


async def test_a_list_of_the_cluster_is_taken_only_for_ours() -> None:
    rig = Rig(domain=Slots([OURS]), floor="1")
    listed = [msgspec.convert(each, Pod) for each in (pod(), pod("theirs", namespace="other"))]
    await rig.pods.take(Began("50"))
    await rig.pods.take(Found(listed))
    await rig.pods.take(Completed("50", frozenset(Uid(each.metadata.uid) for each in listed)))
    assert [known.namespace for known in rig.directory] == ["ns"]


async def test_what_a_unit_had_reached_is_not_told_again_when_reading_begins_earlier() -> None:
    rig = Rig(domain=Slots([OURS, THEIRS]), reached={OURS: "20", THEIRS: "5"})
    await rig.deliver("pods", "ADDED", pod(version="10"))
    await rig.deliver("pods", "ADDED", pod("fresh", namespace="other", version="11"))
    await rig.deliver("pods", "ADDED", pod("newer", version="21"))
    assert [record.object.uid for record in rig.outbox.records] == ["fresh", "newer"]
    await rig.deliver("events", "ADDED", event(about="newer", version="19"))
    await rig.deliver("events", "ADDED", event("ev-2", about="newer", version="22"))
    assert [record.identity for record in rig.outbox.records][2:] == ["ev-2"]


async def test_a_unit_that_parts_is_saved_up_to_where_it_was_told() -> None:
    rig = Rig(domain=Slots([OURS, THEIRS]))
    await rig.deliver("pods", "ADDED", pod(version="10"))
    await rig.deliver("events", "ADDED", event(version="11"))
    await rig.deliver("events", "ADDED", event("early", about="unknown", version="12"))
    await rig.deliver("events", "ADDED", event("ev-3", namespace="other", about="none", version="13"))
    parting = frozenset((OURS,))
    rig.events.part(parting)
    rig.pods.part(parting)
    assert rig.outbox.positions[f"events/{OURS}"] == "11", "not past what is parked"
    assert rig.outbox.positions[f"pods/{OURS}"] == "10"
    assert len(rig.parking) == 1, "what is parked for the other unit stays"


async def test_held_repeats_of_a_unit_that_parts_are_told_first() -> None:
    rig = Rig(domain=Slots([OURS]))
    await rig.deliver("pods", "ADDED", pod())
    for count in (1, 2, 3):
        await rig.deliver("events", "MODIFIED", event(count=count, version=str(100 + count)))
    assert rig.outbox.said[-1] == "Pod Scheduled x2"
    rig.events.part(frozenset((OURS,)))
    assert rig.outbox.said[-1] == "Pod Scheduled x3"
    assert rig.outbox.positions[f"events/{OURS}"] == "103"


async def test_the_first_list_sets_the_floor_only_of_units_that_have_none() -> None:
    rig = Rig(domain=Slots([OURS]), floor="20")
    rig.domain.take([THEIRS])  # type: ignore[attr-defined]
    await rig.event_floors.begin("50")
    assert rig.outbox.floors_set == [(f"events/{THEIRS}", "50")]
    assert rig.event_floors.shows(OURS, "30")
    assert not rig.event_floors.shows(THEIRS, "30")
    await rig.event_floors.begin("60")
    assert rig.event_floors.shows(THEIRS, "55")


def test_a_unit_is_no_namespace() -> None:
    """Named and slotted units share the keys in Redis."""
    assert not Unit(OURS).replace("-", "").isalnum()


async def test_what_is_taken_meanwhile_is_saved_by_the_next_reading_alone() -> None:
    domain = Slots([OURS])
    rig = Rig(domain=domain)
    await rig.deliver("pods", "ADDED", pod(version="10"))
    domain.take([THEIRS])  # it was left at another position, which is still to be read from Redis
    await rig.deliver("pods", "ADDED", pod("second", version="11"))
    assert rig.outbox.positions[f"pods/{OURS}"] == "11"
    assert f"pods/{THEIRS}" not in rig.outbox.positions
    rig.pods.part(frozenset((OURS,)))
    domain.drop([OURS])
    domain.take([OURS])
    await rig.deliver("pods", "ADDED", pod("third", version="12"))
    assert rig.outbox.positions[f"pods/{OURS}"] == "11"
