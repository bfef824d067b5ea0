"""Tries to make a pod on their way from Kubernetes to Redis: few lines, no count twice, none lost, whoever reads."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import Struct

from common.ids import Uid
from common.record import LogRecord
from tests.unit.watcher.rig import (
    OTHER_TOKEN,
    SECRET,
    TOKEN,
    Rig,
    data_of,
    event,
    pod,
    replica_set,
    secret_env,
    take_list,
)
from tests.unit.watcher.test_beside import with_owner
from tests.unit.watcher.test_series import suffix
from watcher.packed import unpack
from watcher.repeats import SPELLS_S
from watcher.tries import ELSEWHERE_MAX

SCOPE = "events/*"
OBJECTS = "replicasets/*"


def a_try(number: int, why: str = "no room", *, about: str = "rs-1", kind: str = "ReplicaSet") -> dict[str, Any]:
    """The `number`-th, at resource version 100 + number."""
    message = f'Error creating: pods "{about}-{suffix(number)}" is forbidden: {why}'
    version = str(100 + number)
    return event(f"e{number}", about=about, kind=kind, reason="FailedCreate", message=message, version=version)


def job_try(number: int, **more: Any) -> dict[str, Any]:
    return a_try(number, about="owner-1", kind="Job", **more)


async def follow(rig: Rig, *tries: dict[str, Any]) -> None:
    for each in tries:
        await rig.deliver("events", "ADDED", each)


async def test_tries_are_told_as_repeats_are() -> None:
    rig = Rig()
    await rig.deliver("replicasets", "ADDED", replica_set())
    await follow(rig, *map(a_try, range(1, 12)))
    doubling = [f"ReplicaSet FailedCreate x{count}" for count in (1, 2, 4, 8)]
    assert rig.outbox.said == ["ReplicaSet Queued", *doubling]
    assert rig.outbox.positions[SCOPE] == "108"
    rig.clock.now_s += SPELLS_S[0]
    rig.router.tick()
    rig.events.save()
    assert rig.outbox.said[-1] == "ReplicaSet FailedCreate x11"
    assert rig.outbox.positions[SCOPE] == "111"
    assert len({entry.identity for entry in rig.outbox.entries[1:]}) == 1
    assert [entry.version for entry in rig.outbox.entries[1:]] == [101, 102, 104, 108, 111]


async def test_changed_numbers_are_told_at_once() -> None:
    rig = Rig()
    await rig.deliver("replicasets", "ADDED", replica_set())
    await follow(rig, *(a_try(number, "used: pods=3") for number in (1, 2, 3)), a_try(4, "used: pods=2"))
    assert [(record.count, record.message[-1]) for record in rig.outbox.records[1:]] == [
        (1, "3"),
        (2, "3"),
        (3, "3"),  # what is held goes first
        (1, "2"),
    ]


async def test_of_a_list_the_newest_is_told_and_the_list_of_a_lost_watch_goes_on_counting() -> None:
    rig = Rig(floor="1")
    await rig.deliver("replicasets", "ADDED", replica_set())
    tries = [a_try(number) for number in range(1, 10)]
    await take_list(rig, events=tries[4::-1], version="150")
    assert rig.outbox.said == ["ReplicaSet Queued", "ReplicaSet FailedCreate x5"]
    await take_list(rig, events=tries[::-1], version="160")
    assert rig.outbox.said[2:] == ["ReplicaSet FailedCreate x9"]
    await take_list(rig, events=tries[::-1], version="170")
    assert rig.outbox.entries[2] == rig.outbox.entries[3]  # for Redis to refuse


async def test_what_waited_for_its_replica_set_is_one_line() -> None:
    rig = Rig()
    await follow(rig, a_try(1), a_try(2, "else"), *map(a_try, range(3, 8)))
    await rig.deliver("replicasets", "ADDED", replica_set())
    assert rig.outbox.said == ["ReplicaSet Queued", "ReplicaSet FailedCreate x1", "ReplicaSet FailedCreate x6"]
    await follow(rig, a_try(8))
    assert rig.outbox.said[3:] == []
    rig.events.leave()
    assert rig.outbox.said[3:] == ["ReplicaSet FailedCreate x7"]


async def test_what_waited_for_its_replica_set_and_then_for_its_token_is_one_line_and_all_of_it() -> None:
    rig = Rig()
    late = replica_set()
    late["spec"]["template"]["spec"]["containers"][0]["env"] = secret_env()
    await follow(rig, a_try(1), a_try(2))
    await rig.deliver("replicasets", "ADDED", late)
    await follow(rig, a_try(3), a_try(3), a_try(4))
    rig.registrar.source_answered(Uid("rs-1"), SECRET, data_of(TOKEN))
    assert rig.outbox.said == ["ReplicaSet Queued", "ReplicaSet FailedCreate x4"]
    await follow(rig, *map(a_try, range(5, 9)))
    assert rig.outbox.said[2:] == ["ReplicaSet FailedCreate x8"]


async def test_a_late_agent_hears_how_often_it_was_tried_though_another_has_heard_some() -> None:
    rig = Rig()
    both = replica_set()
    both["spec"]["template"]["spec"]["initContainers"] = [{"name": "i", "env": secret_env()}]
    both["spec"]["template"]["spec"]["containers"][0]["env"][0]["value"] = OTHER_TOKEN
    await rig.deliver("replicasets", "ADDED", both)
    await follow(rig, *map(a_try, range(1, 6)))
    rig.registrar.source_answered(Uid("rs-1"), SECRET, data_of(TOKEN))
    late = rig.vault.agent_id(TOKEN)
    told = [said for entry, said in zip(rig.outbox.entries, rig.outbox.said, strict=True) if entry.agent == late]
    assert told == ["ReplicaSet Queued", "ReplicaSet FailedCreate x5"]


async def test_who_reads_on_counts_on() -> None:
    rig = Rig()
    await rig.deliver("replicasets", "ADDED", replica_set())
    await follow(rig, *map(a_try, range(1, 6)))
    saved = rig.outbox.objects[OBJECTS]
    heir = Rig()
    assert heir.registrar.load(saved)
    await follow(heir, *map(a_try, range(3, 10)))  # from where it was saved
    assert heir.outbox.said[0] == "ReplicaSet FailedCreate x5"
    assert heir.outbox.entries[0].version == 105
    kept = unpack(heir.outbox.objects[OBJECTS][Uid("rs-1")], heir.vault)
    assert kept is not None
    assert [each.count for each in kept.known.tries.causes] == [9]


async def test_tries_of_a_replica_set_that_is_gone_are_counted_too() -> None:
    rig = Rig()
    await rig.deliver("replicasets", "ADDED", replica_set())
    await follow(rig, *map(a_try, range(1, 3)))
    await rig.deliver("replicasets", "DELETED", replica_set())
    await follow(rig, *map(a_try, range(3, 9)))
    assert rig.outbox.said[3:] == [
        "ReplicaSet Deleted",
        *(f"ReplicaSet FailedCreate x{count}" for count in (4, 8)),
    ]
    assert rig.outbox.objects[OBJECTS] == {}


async def test_tries_of_a_job_are_told_so_to_its_pods_and_to_those_who_come() -> None:
    rig = Rig()
    await follow(rig, *map(job_try, range(1, 4)))
    await rig.deliver("pods", "ADDED", with_owner(pod()))
    assert rig.outbox.said == ["Pod Created", "Job FailedCreate x3"]
    await follow(rig, *map(job_try, range(4, 13)))
    assert rig.outbox.said[2:] == ["Job FailedCreate x4", "Job FailedCreate x8"]
    assert len(rig.lingering) == 1


async def test_owners_that_are_not_followed_are_remembered_up_to_a_bound() -> None:
    rig = Rig()
    for number in range(ELSEWHERE_MAX + 1):
        await follow(rig, a_try(number + 1, about=f"job-{number}", kind="Job"))
    await rig.deliver("pods", "ADDED", with_owner(pod(), uid="job-0"))
    await follow(rig, a_try(2_000, about="job-0", kind="Job"))
    await rig.deliver("pods", "ADDED", with_owner(pod("pod-2"), uid="job-1000"))
    await follow(rig, a_try(2_001, about="job-1000", kind="Job"))
    assert [said for said in rig.outbox.said if said.startswith("Job")] == [
        "Job FailedCreate x1",  # it came long after the Event, so of that it was not told
        "Job FailedCreate x1",
        "Job FailedCreate x2",
    ]


async def test_nobody_counts_in_anothers_namespace() -> None:
    rig = Rig()
    await rig.deliver("replicasets", "ADDED", replica_set())
    forged = [a_try(number) for number in range(1, 4)]
    for each in forged:
        each["metadata"]["namespace"] = "evil"
    await follow(rig, *forged, a_try(4))
    assert rig.outbox.said[1:] == ["ReplicaSet FailedCreate x1"]


class Saved(Struct, frozen=True):
    """What Redis remembers of a watcher."""

    objects: dict[Uid, bytes] = {}
    position: str = ""


class World:
    """Kubernetes with one ReplicaSet, a Redis, and watchers that read; only the first one's memory is saved."""

    def __init__(self) -> None:
        self.history: list[dict[str, Any]] = []
        self.current: dict[str, dict[str, Any]] = {}
        self.newest: dict[str, int] = {}
        self.accepted: list[LogRecord] = []
        self.saved = Saved()
        self.rigs: list[Rig] = []
        self.read: list[int] = []
        self.written: list[int] = []

    async def tries(self, _place: int, why: str, combined: bool) -> None:
        """`combined`: an Event that stands for several, else one of its own."""
        number = len(self.history) + 1
        value = a_try(number, why)
        if combined:
            uid = f"combined {why}"
            count = self.current.get(uid, {"count": 0})["count"] + 1
            message = f"(combined from similar events): {value['message']}"
            value |= {"count": count, "message": message}
            value["metadata"] |= {"uid": uid, "name": uid}
        self.history.append(value)
        self.current[value["metadata"]["uid"]] = value

    async def begins(self, place: int) -> None:
        """A new process, that knows what was saved."""
        rig = Rig(floor="1")
        if place == len(self.rigs):
            self.rigs.append(rig)
            self.read.append(0)
            self.written.append(0)
        self.rigs[place], self.written[place] = rig, 0
        saved = self.saved if place == 0 else Saved()
        assert rig.registrar.load(saved.objects)
        if saved.position:
            self.read[place] = int(saved.position) - 100
            rig.events.position = saved.position
        else:
            await self.lists(place)

    async def meets(self, place: int) -> None:
        await self.rigs[place].deliver("replicasets", "ADDED", replica_set())

    async def lists(self, place: int) -> None:
        self.read[place] = len(self.history)
        by_name = sorted(self.current.values(), key=lambda value: str(value["metadata"]["name"]))
        await take_list(self.rigs[place], events=by_name, version=str(100 + len(self.history)))

    async def reads(self, place: int, lines: int) -> None:
        until = min(len(self.history), self.read[place] + lines)
        for value in self.history[self.read[place] : until]:
            await self.rigs[place].deliver("events", "MODIFIED", value)
        self.read[place] = until

    async def reads_again(self, place: int, back: int) -> None:
        """A watch that begins a little earlier."""
        for value in self.history[max(0, self.read[place] - back) : self.read[place]]:
            await self.rigs[place].deliver("events", "MODIFIED", value)

    async def passes(self, _place: int, time_s: float) -> None:
        for rig in self.rigs:
            rig.clock.now_s += time_s
            rig.router.tick()
            rig.events.save()

    async def writes(self, place: int, most: int) -> None:
        """Up to `most` records reach Redis, which knows each by identity and version."""
        outbox, begin = self.rigs[place].outbox, self.written[place]
        until = min(len(outbox.entries), begin + most)
        for entry, record in zip(outbox.entries[begin:until], outbox.records[begin:until], strict=True):
            if entry.version > self.newest.get(entry.identity, 0):
                self.newest[entry.identity] = entry.version
                self.accepted.append(record)
        self.written[place] = until

    async def saves(self, _place: int, position: bool) -> None:
        """All records, then objects, then perhaps the position: there a process may be killed."""
        await self.writes(0, len(self.rigs[0].outbox.entries))
        outbox = self.rigs[0].outbox
        at = outbox.positions.get(SCOPE, "") if position else self.saved.position
        self.saved = Saved(self.saved.objects | outbox.objects.get(OBJECTS, {}), at)


STEPS = st.one_of(
    st.tuples(st.just("tries"), st.sampled_from(("no room", "used: 1", "used: 2")), st.booleans()),
    st.tuples(st.just("reads"), st.integers(1, 9)),
    st.tuples(st.just("reads_again"), st.integers(1, 9)),
    st.tuples(st.just("lists")),
    st.tuples(st.just("meets")),
    st.tuples(st.just("passes"), st.sampled_from((0.5, 16.0))),
    st.tuples(st.just("writes"), st.integers(1, 3)),
    st.tuples(st.just("saves"), st.booleans()),
    st.tuples(st.just("begins")),
)


@pytest.mark.parametrize("watchers", [1, 2])
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 1), STEPS), max_size=60))
async def test_any_order_repetition_and_crash_tells_each_cause_to_its_last_try_and_never_back(
    watchers: int, steps: list[tuple[int, tuple[Any, ...]]]
) -> None:
    """Of a second watcher nothing is saved: what it tells may count less, but no try goes untold or comes twice."""
    world = World()
    for place in range(watchers):
        await world.begins(place)
    for whose, (name, *arguments) in steps:
        await getattr(world, name)(whose % watchers, *arguments)
    for place in range(watchers):
        await world.meets(place)
        await world.reads(place, len(world.history))
        world.rigs[place].events.leave()
        await world.writes(place, len(world.rigs[place].outbox.entries))
    told: defaultdict[str, list[LogRecord]] = defaultdict(list)
    for record in world.accepted:
        if record.type:
            told[record.message.partition("forbidden: ")[2]].append(record)
    said: defaultdict[str, list[str]] = defaultdict(list)
    for value in world.history:
        message = value["message"].removeprefix("(combined from similar events): ")
        said[message.partition("forbidden: ")[2]].append(message)
    assert told.keys() == said.keys()
    for why, messages in said.items():
        assert told[why][-1].message == messages[-1]
        places = [messages.index(record.message) for record in told[why]]
        assert places == sorted(set(places))
        counts = [record.count for record in told[why]]
        assert watchers > 1 or counts == [place + 1 for place in places]
        assert all(count <= place + 1 for count, place in zip(counts, places, strict=True))
