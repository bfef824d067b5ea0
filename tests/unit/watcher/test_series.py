"""Which Events are tries of one cause, how many there were, and which of them is told."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.watcher.rig import event
from watcher.objects import Event
from watcher.series import EXACT_MAX, QUIET_MS, ROUGH_MAX, UNTRIED, Tried, Try, as_told, counted, is_try

QUOTA = "exceeded quota: q, requested: pods=1, used: pods=1, limited: pods=1"
COMBINED = "(combined from similar events): "


def a_try(version: int, pod: str = "", why: str = QUOTA, **more: Any) -> Event:
    name = pod or f"rs-1-{suffix(version)}"
    said = {"message": f'Error creating: pods "{name}" is forbidden: {why}', **more}
    uid = said.pop("uid", f"ev-{version}")
    value = event(uid, **{"about": "rs-1", "kind": "ReplicaSet", "reason": "FailedCreate", **said})
    value["metadata"]["resourceVersion"] = str(version)
    return msgspec.convert(value, Event)


def suffix(number: int) -> str:
    """As Kubernetes makes them up."""
    letters = "bcdfghjklmnpqrstvwxz2456789"
    return "".join(letters[number // len(letters) ** place % len(letters)] for place in range(5))


def combined(version: int, count: int) -> Event:
    return a_try(version, uid="c", count=count, message=f'{COMBINED}pods "rs-1-{suffix(version)}" is forbidden')


def told(tried: Tried, value: Event) -> tuple[str, int]:
    said = as_told(tried, value)
    assert isinstance(said, Try)
    return said.topic, said.times


def test_tries_that_differ_in_the_pods_name_are_one_that_repeats() -> None:
    tried, first, second = UNTRIED, a_try(5, at="2026-11-22T15:49:08Z"), a_try(7, at="2026-11-22T15:50:00Z")
    tried = counted(tried, first)
    topic, count = told(tried, first)
    assert count == 1
    tried = counted(tried, second)
    assert told(tried, second) == (topic, 2)
    assert as_told(tried, first) is None
    said = as_told(tried, second)
    assert said is not None
    assert (said.version, said.since_ms, said.at_ms) == (7, first.since_ms, second.at_ms)
    assert said.message == second.message


def test_what_is_counted_is_not_counted_again() -> None:
    tried = counted(counted(UNTRIED, a_try(5)), a_try(7))
    for again in (a_try(5), a_try(7), a_try(6)):
        assert counted(tried, again) is tried


def test_an_event_that_stands_for_several_goes_on_counting_and_says_so_once() -> None:
    alone = a_try(3, message='pods "rs-1-bbbbb" is forbidden')
    tried = counted(counted(counted(UNTRIED, alone), combined(4, 1)), combined(6, 4))
    assert told(tried, combined(6, 4))[1] == 5
    for version in range(7, 12):  # a controller that begins anew writes single ones, then goes on with the old one
        tried = counted(tried, a_try(version, message=f'pods "rs-1-{suffix(version)}" is forbidden'))
    tried = counted(tried, combined(12, 5))
    assert told(tried, combined(12, 5))[1] == 11
    said = as_told(tried, combined(12, 5))
    assert said is not None
    assert said.message is not None
    assert said.message.startswith("pods")


def test_an_event_that_is_written_again_without_having_happened_is_no_news() -> None:
    tried = counted(counted(UNTRIED, combined(4, 1)), combined(5, 2))
    edited = combined(6, 2)
    tried = counted(tried, edited)
    said = as_told(tried, edited)
    assert said is not None
    assert (said.version, said.times) == (5, 2)


@pytest.mark.parametrize(
    "pod",
    ["rs-1", "rs-1-", "rs-1-abcd", "rs-1-abcdef", "rs-1-bbbbb-x", "xrs-1-bbbbb", "my-rs-1-bbbbb", "rs-2-bbbbb"],
)
def test_what_is_no_generated_name_of_the_owner_is_no_try(pod: str) -> None:
    assert not is_try(a_try(1, pod))


@pytest.mark.parametrize(
    "more",
    [
        {"reason": "FailedDelete"},
        {"kind": "StatefulSet"},
        {"kind": "Pod"},
        {"about": ""},
        {"own_namespace": "elsewhere"},
    ],
)
def test_other_events_are_none(more: dict[str, Any]) -> None:
    assert is_try(a_try(1))
    assert not is_try(a_try(1, **more))


@pytest.mark.parametrize("version", ["", "0", "odd", str(2**53)])
def test_without_an_order_nothing_is_counted(version: str) -> None:
    value = msgspec.to_builtins(a_try(1))
    value["metadata"]["resourceVersion"] = version
    plain = msgspec.convert(value, Event)
    assert counted(UNTRIED, plain) is UNTRIED
    assert as_told(UNTRIED, plain) is plain


def test_an_owner_with_a_long_name_and_an_indexed_job_have_tries() -> None:
    name = "x" * 70
    assert is_try(a_try(1, f"{name[:58]}bbbbb", about=name))
    assert is_try(a_try(1, "job-1-7-bbbbb", about="job-1", kind="Job"))


def test_another_owner_component_or_cause_is_another_one() -> None:
    other = a_try(2, "rs-2-bbbbb", about="rs-2")
    foreign = msgspec.convert(msgspec.to_builtins(a_try(3)) | {"source": {"component": "me"}}, Event)
    topics = {told(counted(UNTRIED, each), each)[0] for each in (a_try(1), other, foreign, a_try(4, why="no room"))}
    assert len(topics) == 4


def test_changed_numbers_are_news_but_not_for_ever() -> None:
    tried, counts = UNTRIED, []
    for used in range(1, 12):
        value = a_try(used, why=f"used: pods={used}, requests.memory={used}Gi, id 3f{used}a")
        tried = counted(tried, value)
        counts.append(told(tried, value)[1])
    assert counts == [1] * EXACT_MAX + list(range(1, 12 - EXACT_MAX))
    known = a_try(20, why="used: pods=2, requests.memory=2Gi, id 3f2a")
    tried = counted(tried, known)
    assert told(tried, known)[1] == 2


def test_memory_is_bounded_whatever_the_messages() -> None:
    tried = UNTRIED
    for number in range(100):
        tried = counted(tried, a_try(number + 1, why="reason " + "abcdefghij"[number % 10] * (number + 1)))
    assert len(tried.causes) == EXACT_MAX + ROUGH_MAX
    assert sum(each.rough for each in tried.causes) == ROUGH_MAX
    assert as_told(tried, a_try(100, why="reason " + "j" * 100)) is not None
    for count in range(2, 100):
        tried = counted(tried, a_try(1_000 + count, uid=f"u{count % 7}", count=count))
    assert all(len(each.seen) <= 4 for each in tried.causes)


def test_after_an_hour_of_silence_a_cause_begins_anew() -> None:
    first, later = a_try(1, at="2026-11-22T15:00:00Z"), a_try(2, at="2026-11-22T16:00:00Z")
    assert later.at_ms - first.at_ms == QUIET_MS
    tried = counted(counted(UNTRIED, first), later)
    said = as_told(tried, later)
    assert said is not None
    assert (said.times, said.since_ms) == (1, later.since_ms)
    soon = a_try(2, at="2026-11-22T15:59:59Z")
    assert told(counted(counted(UNTRIED, first), soon), soon)[1] == 2


def test_a_try_of_before_all_that_is_counted_is_told_as_it_is() -> None:
    tried = counted(UNTRIED, a_try(9, why="no room"))
    assert told(tried, a_try(5))[1] == 1


@given(st.lists(st.sampled_from(("a", "b", "used: 1", "used: 2")), max_size=20), st.data())
def test_whoever_has_seen_the_same_counts_the_same(texts: list[str], data: st.DataObject) -> None:
    """One after the other, or in heaps of which each may begin with what was there before."""
    tries = [a_try(version, why=why) for version, why in enumerate(texts, 1)]
    straight = heaps = UNTRIED
    for value in tries:
        straight = counted(straight, value)
    reached = 0
    while reached < len(tries):
        begin, end = data.draw(st.integers(0, reached)), data.draw(st.integers(reached + 1, len(tries)))
        for value in tries[begin:end]:
            heaps = counted(heaps, value)
        reached = end
    assert heaps == straight
    shown = [said.version for value in tries if (said := as_told(straight, value)) is not None]
    assert shown == sorted(each.newest for each in straight.causes)
    assert sum(each.count for each in straight.causes) == len(texts)
