"""Parked events: bounded, in order, and never forgotten by the saved position."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from common.ids import Uid
from common.record import Aspect, Details, Level
from tests.unit.watcher.rig import event
from watcher.facts import Fact
from watcher.objects import Event
from watcher.parking import Parked, Parking


def _parked(number: int, about: str, *, scope: str = "events/*", since_s: float = 0.0) -> Parked:
    value = msgspec.convert(event(f"ev-{number}", about=about), Event)
    return Parked(scope, value, history=False, before=str(number - 1), since_s=since_s)


def _names(parked: list[Parked]) -> list[str]:
    return [each.event.topic for each in parked]


def test_events_of_an_object_leave_in_order_and_once() -> None:
    parking = Parking(10)
    for number, about in [(1, "a"), (2, "b"), (3, "a")]:
        parking.park(_parked(number, about))
    assert _names(parking.waiting_for(Uid("a"))) == ["ev-1", "ev-3"]
    assert _names(parking.take(Uid("a"))) == ["ev-1", "ev-3"]
    assert parking.take(Uid("a")) == []
    assert len(parking) == 1


def test_beyond_the_bound_the_oldest_goes_and_is_counted() -> None:
    parking = Parking(2)
    assert parking.park(_parked(1, "a", scope="events/x")) == 0
    assert parking.park(_parked(2, "b", scope="events/y")) == 0
    assert parking.park(_parked(3, "c", scope="events/y")) == 1
    assert parking.take(Uid("a")) == []
    assert len(parking) == 2


def test_no_room_at_all_drops_what_comes() -> None:
    parking = Parking(0)
    assert parking.park(_parked(1, "a")) == 1
    assert len(parking) == 0


def test_the_position_stays_before_the_oldest_that_waits() -> None:
    parking = Parking(10)
    for number, about in [(5, "a"), (8, "b")]:
        parking.park(_parked(number, about))
    assert parking.oldest_before("events/*") == "4"
    parking.take(Uid("a"))
    assert parking.oldest_before("events/*") == "7"
    parking.take(Uid("b"))
    assert parking.oldest_before("events/*") is None


def test_time_ends_waiting_except_for_those_whose_token_is_awaited() -> None:
    parking = Parking(10)
    for number, about, since_s in [(1, "kept", 0.0), (2, "a", 0.0), (3, "b", 5.0)]:
        parking.park(_parked(number, about, since_s=since_s))
    assert parking.expire(1.0, keep={Uid("kept")}) == 1
    assert len(parking) == 2
    assert parking.expire(1.0) == 1


def test_time_does_not_end_waiting_where_objects_cannot_be_read() -> None:
    parking = Parking(10)
    for number, scope in [(1, "events/heard"), (2, "events/unheard")]:
        parking.park(_parked(number, f"about-{scope}", scope=scope))
    assert parking.expire(1.0, unheard=["events/unheard"]) == 1
    assert _names(parking.take(Uid("about-events/unheard"))) == ["ev-2"]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=40))
def test_size_is_always_what_is_left(steps: list[tuple[str, bool]]) -> None:
    parking, kept = Parking(5), 0
    for number, (about, take) in enumerate(steps):
        if take:
            kept -= len(parking.take(Uid(about)))
        else:
            kept += 1 - parking.park(_parked(number, about, scope=f"events/{about}"))
        assert len(parking) == kept <= 5
        assert sum(len(parking.waiting_for(Uid(each))) for each in "abc") == kept


def test_a_fact_that_is_dropped_is_counted_though_another_pod_waits_with_the_like() -> None:
    """What an ending is called is the same for each pod."""
    parking = Parking(2)
    for about in ("a", "b", "c"):
        fact = Fact(
            about, "ns", f"{about}/ended/c", 1, "ended/c/Error/1", 1, "Error", "", Level.WARN, Details(Aspect.ENDED)
        )
        parking.park(Parked("pods/*", fact, history=False, before="1", since_s=0.0))
    assert parking.unkept.take(Uid("a"), history=True) == 1
