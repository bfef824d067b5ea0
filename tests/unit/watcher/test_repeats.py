"""Repeats are folded: few tellings, never an older count after a newer, the last one soon, nothing out of order."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from tests.unit.watcher.rig import event
from watcher.objects import Event
from watcher.repeats import SPELLS_S, Repeats, Telling

SCOPE = "events/*"
FIRST_S = SPELLS_S[0]
TICK_S = 0.25
"""Exact in binary."""


def _event(count: int, uid: str = "e", about: str = "pod-1") -> Event:
    return msgspec.convert(event(uid, about=about, count=count), Event)


def _shown(events: Sequence[Telling]) -> list[str]:
    return [f"{each.topic} x{each.times}" for each in events]


class _Watch:
    """Updates come with positions 1, 2, 3 …; what is told of each event is kept."""

    def __init__(self, repeats: Repeats | None = None) -> None:
        self.repeats = Repeats(SPELLS_S) if repeats is None else repeats
        self.now_s = 100.0
        self.position = 0

    def comes(self, count: int, uid: str = "e", about: str = "pod-1", scope: str = SCOPE) -> list[str]:
        before, self.position = self.position, self.position + 1
        return _shown(self.repeats.take(_event(count, uid, about), scope, str(before), self.now_s))

    def due(self) -> list[str]:
        return _shown(self.repeats.due(self.now_s))


def test_what_doubles_is_told_at_once_and_the_rest_is_held() -> None:
    watch = _Watch()
    told = [said for count in range(1, 20) for said in watch.comes(count)]
    assert told == ["e x1", "e x2", "e x4", "e x8", "e x16"]


def test_the_newest_count_is_told_when_the_spell_is_over_and_only_that() -> None:
    watch = _Watch()
    for count in range(1, 8):
        watch.comes(count)
    watch.now_s += FIRST_S - 0.1
    assert watch.due() == []
    watch.now_s += 0.1
    assert watch.due() == ["e x7"]
    assert watch.due() == []


def test_a_spell_begins_with_each_telling() -> None:
    watch = _Watch()
    for count in (1, 2, 3):
        watch.comes(count)
    watch.now_s += FIRST_S
    assert watch.due() == ["e x3"]
    assert watch.comes(4) == []
    watch.now_s += SPELLS_S[1] - 0.1
    assert watch.due() == []
    watch.now_s += 0.1
    assert watch.due() == ["e x4"]


def test_an_event_that_goes_on_is_told_less_and_less_often_until_it_pauses() -> None:
    watch = _Watch()
    count, told_at_s = 1_000, []
    watch.comes(count)
    for _ in range(600):
        watch.now_s += 1.0
        count += 1
        if watch.due() or watch.comes(count):
            told_at_s.append(watch.now_s - 100.0)
    assert told_at_s == [15.0, 45.0, 105.0, 225.0, 345.0, 465.0, 585.0]
    for _ in range(2):
        assert len(watch.repeats) == 1
        watch.now_s += SPELLS_S[-1]
        watch.due()
    watch.now_s += SPELLS_S[-1]
    watch.due()
    assert len(watch.repeats) == 0
    watch.comes(count + 1)
    watch.comes(count + 2)
    watch.now_s += FIRST_S
    assert watch.due() == [f"e x{count + 2}"]


def test_an_event_that_comes_just_after_each_spell_is_told_seldom_too() -> None:
    watch = _Watch()
    tellings = 0
    for count in range(2, 227):  # an hour of one each 16 s
        watch.now_s += 16.0
        tellings += len(watch.due()) + len(watch.comes(count))
    assert tellings < 45


def test_after_a_quiet_spell_a_count_is_told_at_once() -> None:
    watch = _Watch()
    watch.comes(40)
    watch.now_s += FIRST_S
    assert watch.comes(41) == ["e x41"]


def test_events_that_came_once_or_ceased_are_not_remembered() -> None:
    watch = _Watch()
    for number in range(100):
        watch.comes(1, f"e{number}")
    assert len(watch.repeats) == 0
    watch.comes(2)
    for remembered in (1, 0):
        watch.now_s += FIRST_S
        assert watch.due() == []
        assert len(watch.repeats) == remembered


def test_what_else_is_told_of_the_object_comes_after_what_was_held_of_it() -> None:
    watch = _Watch()
    for count in (4, 5):
        watch.comes(count, "a")
        watch.comes(count, "b")
        watch.comes(count, "elsewhere", about="pod-2")
    watch.comes(6, "a")  # so it is the later of the two
    assert watch.comes(1, "c") == ["b x5", "a x6", "c x1"]
    watch.now_s += FIRST_S
    assert watch.due() == ["elsewhere x5"]


def test_what_is_held_and_delivered_again_keeps_its_place() -> None:
    watch = _Watch()
    for uid in ("e", "f"):
        for count in (1, 2):
            watch.comes(count, uid)
    for uid in ("e", "f", "e"):
        watch.comes(3, uid)
    assert _shown(watch.repeats.release("pod-1", watch.now_s)) == ["e x3", "f x3"]


def test_a_count_that_is_covered_is_not_told_before_the_one_that_covers_it() -> None:
    watch = _Watch()
    for count in (2, 3):
        watch.comes(count)
    assert watch.comes(4) == ["e x4"]
    assert watch.repeats.counted() == (1, 0)
    assert watch.repeats.counted() == (0, 0)


def test_a_count_that_goes_down_is_a_new_event_and_what_was_held_is_not_lost() -> None:
    watch = _Watch()
    for count in (4, 7):
        watch.comes(count)
    assert watch.comes(6) == ["e x7", "e x6"]
    assert watch.comes(7) == []
    assert watch.comes(1) == ["e x7", "e x1"]
    assert watch.comes(2) == ["e x2"]


def test_a_list_tells_all_at_once_and_what_follows_is_folded_into_it() -> None:
    watch = _Watch()
    for count in (2, 3):
        watch.comes(count)
    assert _shown(watch.repeats.take(_event(3), SCOPE, "", watch.now_s)) == ["e x3"]
    assert watch.repeats.oldest_before(SCOPE) is None
    assert watch.comes(4) == []


def test_an_event_that_names_another_object_is_another_event() -> None:
    watch = _Watch()
    for count in (2, 3):
        watch.comes(count)
    assert watch.comes(4, about="pod-2") == ["e x4"]
    assert watch.comes(5, about="pod-2") == []
    assert _shown(watch.repeats.release("pod-1", watch.now_s)) == ["e x3"]


def test_a_scope_is_released_alone_and_in_order() -> None:
    watch = _Watch()
    for count in (2, 3):
        watch.comes(count, "a", about="pod-1")
        watch.comes(count, "b", about="pod-2")
        watch.comes(count, "c", about="pod-3", scope="events/other")
    assert _shown(watch.repeats.release_scope(SCOPE, watch.now_s)) == ["a x3", "b x3"]
    assert watch.repeats.oldest_before(SCOPE) is None
    assert watch.repeats.oldest_before("events/other") is not None
    assert watch.comes(4, "a") == []


def test_without_room_each_count_is_told_at_once_and_counted() -> None:
    watch = _Watch(Repeats(SPELLS_S, events_max=1))
    assert watch.comes(2, "a") == ["a x2"]
    assert [watch.comes(count, "b") for count in (2, 3)] == [["b x2"], ["b x3"]]
    assert watch.repeats.counted() == (0, 2)
    assert watch.comes(3, "a") == []
    watch.now_s += FIRST_S
    assert watch.due() == ["a x3"]
    watch.now_s += 2 * SPELLS_S[1]
    watch.due()
    assert [watch.comes(count, "b") for count in (4, 5)] == [["b x4"], []]


class Step(Struct, frozen=True):
    """`after_s` later an update of one event, whose count is `more` higher, or (0) nothing but a tick."""

    after_s: float
    uid: str
    more: int


STEPS = st.lists(
    st.builds(
        Step,
        st.sampled_from((0.0, 0.25, 1.0, 4.0, FIRST_S, 40.0)),
        st.sampled_from("abc"),
        st.sampled_from((0, 1, 1, 2, 9)),
    ),
    max_size=60,
)


def _about(uid: str) -> str:
    return "pod-2" if uid == "c" else "pod-1"


@given(STEPS)
def test_any_sequence_is_told_in_order_soon_and_never_back(steps: list[Step]) -> None:
    watch = _Watch()
    newest = dict.fromkeys("abc", 0)
    told = dict.fromkeys("abc", 0)
    came: dict[str, tuple[int, float, str]] = {}  # what is not told yet: its place, since when, and the position before
    place = 0

    def tell(events: Sequence[Telling]) -> None:
        last: dict[str, int] = {}
        for each in events:
            uid, count = each.topic, each.times
            assert count > told[uid]
            assert count == newest[uid]
            told[uid] = count
            at, since_s, _ = came.pop(uid)
            assert watch.now_s - since_s <= SPELLS_S[-1]
            assert at > last.get(_about(uid), -1)
            last[_about(uid)] = at
            # Nothing that came before of the same object is still untold.
            assert all(other[0] > at for name, other in came.items() if _about(name) == _about(uid))

    def wait(delay_s: float) -> None:
        for _ in range(round(delay_s / TICK_S)):
            watch.now_s += TICK_S
            tell(watch.repeats.due(watch.now_s))

    for step in steps:
        wait(step.after_s)
        if step.more:
            newest[step.uid] += step.more
            _, since_s, before = came.get(step.uid, (0, watch.now_s, str(watch.position)))
            came[step.uid] = (place, since_s, before)
            place, before, watch.position = place + 1, str(watch.position), watch.position + 1
            tell(watch.repeats.take(_event(newest[step.uid], step.uid, _about(step.uid)), SCOPE, before, watch.now_s))
        oldest = watch.repeats.oldest_before(SCOPE)
        assert oldest == min((before for _, _, before in came.values()), key=int, default=None)
    wait(SPELLS_S[-1])
    assert told == newest
    wait(2 * SPELLS_S[-1])
    assert len(watch.repeats) == 0


@given(st.lists(st.tuples(st.sampled_from((0.0, 0.01, 0.5, 3.0, 20.0)), st.sampled_from((1, 1, 1, 5))), min_size=1))
def test_an_event_alone_is_told_seldom(updates: list[tuple[float, int]]) -> None:
    watch, count, tellings, began_s = _Watch(), 0, 0, 100.0
    for after_s, more in updates:
        end_s = watch.now_s + after_s
        while watch.now_s < end_s:
            watch.now_s = min(end_s, watch.now_s + 1.0)
            tellings += len(watch.due())
        count += more
        tellings += len(watch.comes(count))
    assert tellings <= math.log2(count) + (watch.now_s - began_s) / FIRST_S + 1
