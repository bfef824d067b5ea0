"""Holds, windows, and what ends or renews an agent."""

from hypothesis import given
from hypothesis import strategies as st

from common.store.model import AgentState, EndReason, OtherEnd
from shipper.hold import (
    DELAY_MAX_S,
    HINTED_MAX,
    PROBE_EVERY_MS,
    SEVERAL,
    accepted,
    ended,
    held,
    hold_age_s,
    hold_delay_s,
    missed,
    registered,
    told,
)
from shipper.reasons import Reason

NEW = AgentState()


def test_delays_grow_by_half_up_to_two_minutes() -> None:
    assert [hold_delay_s(tries, 0.0) for tries in range(4)] == [1.0, 1.5, 2.25, 3.375]
    assert hold_delay_s(10**9, 0.0) == DELAY_MAX_S


@given(st.integers(0, 10**9), st.floats(0, 1, exclude_max=True))
def test_jitter_only_shortens_a_delay(tries: int, draw: float) -> None:
    assert 0.75 * hold_delay_s(tries, 0.0) <= hold_delay_s(tries, draw) <= hold_delay_s(tries, 0.0)


def test_a_hold_remembers_its_first_failure_and_counts() -> None:
    state = held(held(NEW, Reason.UNAUTHORIZED, 1_000), Reason.UNAUTHORIZED, 5_000)
    assert (state.held_since_ms, state.tries) == (1_000, 2)
    assert hold_age_s(state, Reason.UNAUTHORIZED, 61_000) == 60.0


def test_another_kind_of_failure_begins_another_window() -> None:
    state = held(held(NEW, Reason.SERVER_ERROR, 1_000), Reason.UNAUTHORIZED, 5_000)
    assert (state.held_since_ms, state.tries, state.held_why) == (5_000, 1, "unauthorized")
    assert hold_age_s(state, Reason.UNREACHABLE, 61_000) == 0.0


def test_unreachable_and_5xx_share_one_window() -> None:
    state = held(held(NEW, Reason.SERVER_ERROR, 1_000), Reason.UNREACHABLE, 5_000)
    assert (state.held_since_ms, state.tries) == (1_000, 2)


def test_a_clock_that_went_back_makes_no_negative_age() -> None:
    assert hold_age_s(held(NEW, Reason.SERVER_ERROR, 9_000), Reason.SERVER_ERROR, 1_000) == 0.0


def test_an_accepted_batch_ends_the_hold_and_is_charged() -> None:
    state = accepted(held(NEW, Reason.SERVER_ERROR, 1), lines=2, output_bytes=30)
    assert state == AgentState(lines=2, spent_bytes=30)


def test_another_agent_behind_the_token_starts_anew() -> None:
    before = AgentState(source="old", spent_bytes=99, lines=7, ended=EndReason.QUOTA, retry_at_ms=5)
    assert registered(before, "new") == AgentState(source="new", lines=7)


def test_the_same_agent_keeps_what_it_spent_and_its_end() -> None:
    before = AgentState(source="same", spent_bytes=99, ended=EndReason.BUDGET, retry_at_ms=5)
    assert registered(before, "same") == before


def test_an_agent_that_was_given_up_as_unknown_takes_lines_again() -> None:
    before = AgentState(source="same", spent_bytes=99, ended=EndReason.UNAUTHORIZED, retry_at_ms=5)
    assert registered(before, "same") == AgentState(source="same", spent_bytes=99)
    assert registered(AgentState(ended=EndReason.UNAUTHORIZED, retry_at_ms=5), "first") == AgentState(source="first")


def test_lines_sent_before_the_source_was_registered_stay_charged() -> None:
    assert registered(AgentState(spent_bytes=99), "first").spent_bytes == 99


def test_registering_says_nothing_of_a_line_that_the_database_refuses() -> None:
    refused = held(NEW, Reason.UPLOAD_FAILED, 1)
    assert registered(refused, "a").tries == 1


def test_an_ended_agent_may_be_asked_about_later_unless_its_token_is_none() -> None:
    assert ended(NEW, EndReason.QUOTA, 1_000).retry_at_ms == 1_000 + PROBE_EVERY_MS
    assert ended(NEW, EndReason.INVALID_TOKEN, 1_000).retry_at_ms == 0


def test_what_was_missed_is_counted_with_its_reason_until_it_is_told() -> None:
    once = missed(missed(NEW, 2, Reason.UNREACHABLE), 3, Reason.UNREACHABLE)
    assert (once.unsaid, once.unsaid_why) == (5, "unreachable")
    assert missed(once, 1, Reason.BAD_LINE).unsaid_why == SEVERAL
    assert told(once) == NEW


def test_what_is_refused_after_an_end_has_the_reason_of_the_end() -> None:
    assert ended(NEW, EndReason.QUOTA, 1).unsaid_why == "quota"
    assert ended(NEW, OtherEnd("weather"), 1).unsaid_why == "ended"  # its word means nothing to this release


def test_an_agent_that_takes_lines_again_misses_what_its_former_budget_had_no_room_for() -> None:
    before = AgentState(source="old", refused=4, unsaid=1, unsaid_why="budget", ended=EndReason.BUDGET)
    assert registered(before, "new") == AgentState(source="new", unsaid=5, unsaid_why="budget")
    assert registered(AgentState(source="old", unsaid_why="quota", ended=EndReason.QUOTA), "new").unsaid_why == ""


def test_hints_are_remembered_the_newest_and_anew_for_another_agent() -> None:
    state = AgentState(source="a")
    for number in range(HINTED_MAX + 1):
        state = accepted(state, 1, 1, [f"{number:08x}"])
    assert len(state.hinted) == HINTED_MAX
    assert state.hinted[-1] == f"{HINTED_MAX:08x}"
    assert registered(state, "a").hinted == state.hinted
    assert registered(state, "b").hinted == ()
