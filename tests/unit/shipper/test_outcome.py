"""Every answer of FACTS 1, and what it means for the lines."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.store.model import AgentState
from shipper.hold import Windows, held
from shipper.outcome import (
    UPLOAD_TRIES_MAX,
    Answer,
    Call,
    Circumstances,
    Delivered,
    NoAnswer,
    Outcome,
    Reject,
    Reply,
    Retry,
    Sent,
    Split,
    decide,
    halvings,
)
from shipper.reasons import Reason

WINDOWS = Windows(unauthorized_s=1_800, unreachable_s=86_400)
FRESH = AgentState()


def coder(status: int, message: str | None = None, **headers: str) -> Answer:
    """An answer as Coder gives it; without a message the body is `null`."""
    body = b"null" if message is None else json.dumps({"message": message}).encode()
    return Answer(status, {name.replace("_", "-"): value for name, value in headers.items()}, body)


def proxy(status: int) -> Answer:
    return Answer(status, {}, b"<html><h1>Sign in</h1></html>")


def after(reply: Reply, state: AgentState = FRESH, call: Call = Call.LOGS, now_ms: int = 1) -> Outcome:
    return decide(reply, call, Circumstances(state, now_ms, WINDOWS, draw=0.0))


def held_for(reason: Reason, seconds: int) -> tuple[AgentState, int]:
    """A state held since time 1, and the time `seconds` later."""
    return held(FRESH, reason, 1), 1 + seconds * 1_000


UNKNOWN_AGENT = coder(401, "Workspace agent not authorized.")


def test_coders_own_success_delivers() -> None:
    assert after(coder(200)) == Delivered()
    assert after(Answer(201, {}, b'{"workspace_agent_id":"x"}'), call=Call.LOG_SOURCE) == Delivered()


def test_a_login_page_with_status_200_delivers_nothing() -> None:
    assert after(proxy(200)) == Retry(1.0, Reason.NOT_CODER)
    assert after(Answer(200, {}, b"")) == Retry(1.0, Reason.NOT_CODER)


def test_401_inside_the_window_keeps_the_lines() -> None:
    assert after(UNKNOWN_AGENT) == Retry(1.0, Reason.UNAUTHORIZED)
    state, now_ms = held_for(Reason.UNAUTHORIZED, 1_799)
    assert after(UNKNOWN_AGENT, state, now_ms=now_ms) == Retry(1.5, Reason.UNAUTHORIZED)


def test_401_after_the_window_drops_them() -> None:
    state, now_ms = held_for(Reason.UNAUTHORIZED, 1_800)
    assert after(UNKNOWN_AGENT, state, now_ms=now_ms) == Reject(Reason.UNAUTHORIZED)


@pytest.mark.parametrize(
    "reply",
    [proxy(401), proxy(403), proxy(404), coder(404, "Route not found."), coder(401, "API key is invalid."), proxy(302),
     proxy(400), coder(405, "Method not allowed."), coder(403, "Forbidden.")],
)  # fmt: skip
def test_what_coder_would_not_say_of_an_agent_holds_without_end(reply: Answer) -> None:
    for held_reason in (Reason.NOT_CODER, Reason.UNAUTHORIZED):
        state, now_ms = held_for(held_reason, 365 * 86_400)
        outcome = after(reply, state, now_ms=now_ms)
        assert isinstance(outcome, Retry)
        assert outcome.reason is Reason.NOT_CODER


def test_a_proxys_401_does_not_count_towards_coders_window() -> None:
    state, now_ms = held_for(Reason.NOT_CODER, 86_400)
    assert after(UNKNOWN_AGENT, state, now_ms=now_ms) == Retry(1.5, Reason.UNAUTHORIZED)


def test_a_token_that_can_never_be_one_is_final() -> None:
    assert after(coder(401, "Workspace agent token invalid.")) == Reject(Reason.INVALID_TOKEN)


def test_the_two_meanings_of_413_are_told_apart() -> None:
    assert after(coder(413, "Logs limit exceeded")) == Reject(Reason.QUOTA)
    assert after(coder(413, "Request body too large.")) == Split(Reason.BODY_TOO_LARGE)
    assert after(proxy(413)) == Split(Reason.BODY_TOO_LARGE)


def test_400_of_coder_looks_for_the_line_at_fault() -> None:
    assert after(coder(400, "Invalid log level provided.")) == Split(Reason.BAD_LINE)
    assert after(coder(400, "x"), call=Call.LOG_SOURCE) == Retry(1.0, Reason.NOT_CODER)


@pytest.mark.parametrize(
    ("retry_after", "rest_s"), [("60", 60), ("7", 7), ("-1", 0), ("99999", 300), ("Wed, 21 Oct 2026 07:28:00 GMT", 60)]
)
def test_429_rests_as_long_as_it_says(retry_after: str, rest_s: float) -> None:
    assert after(coder(429, "limited", retry_after=retry_after)) == Retry(rest_s, Reason.RATE_LIMITED)


def test_429_without_a_header_rests_for_a_window() -> None:
    assert after(proxy(429)) == Retry(60.0, Reason.RATE_LIMITED)


def test_a_database_error_is_tried_again_and_then_bisected() -> None:
    reply = coder(500, "Failed to upload logs")
    state, tries = FRESH, 0
    while (outcome := after(reply, state)) != Split(Reason.UPLOAD_FAILED):
        assert isinstance(outcome, Retry)
        state, tries = held(state, outcome.reason, 1), tries + 1
    assert tries == UPLOAD_TRIES_MAX


@pytest.mark.parametrize("reason", [Reason.BAD_LINE, Reason.BODY_TOO_LARGE, Reason.UPLOAD_FAILED])
def test_a_split_that_had_to_stop_goes_on_with_less_each_time(reason: Reason) -> None:
    state = FRESH
    if reason is Reason.UPLOAD_FAILED:
        for _ in range(UPLOAD_TRIES_MAX):
            state = held(state, reason, 1)
    seen = []
    for _ in range(3):
        seen.append(halvings(state))
        state = held(state, reason, 1)
    assert seen == [0, 1, 2]


def test_failures_of_another_kind_before_do_not_begin_a_split() -> None:
    state = FRESH
    for _ in range(20):
        state = held(state, Reason.SERVER_ERROR, 1)
    state = held(state, Reason.UPLOAD_FAILED, 2)
    assert (halvings(state), state.tries, state.held_since_ms) == (0, 1, 1)


def test_a_hold_for_another_reason_splits_nothing() -> None:
    assert halvings(held(held(FRESH, Reason.SERVER_ERROR, 1), Reason.UNREACHABLE, 1)) == 0


def test_tries_for_another_reason_do_not_count_as_tries_of_the_batch() -> None:
    state = AgentState(held_since_ms=1, held_why="server_error", tries=99)
    assert after(coder(500, "Failed to upload logs"), state) == Retry(1.0, Reason.UPLOAD_FAILED)


@pytest.mark.parametrize("reply", [proxy(502), proxy(503), coder(500, "Internal error."), proxy(500), proxy(408)])
def test_a_failing_server_is_waited_for_a_day(reply: Answer) -> None:
    state, now_ms = held_for(Reason.SERVER_ERROR, 86_399)
    assert after(reply, state, now_ms=now_ms) == Retry(1.5, Reason.SERVER_ERROR)
    assert after(reply, state, now_ms=now_ms + 1_000) == Reject(Reason.SERVER_ERROR)


def test_no_answer_is_unreachable_or_unknown_and_shares_the_window_of_a_failing_server() -> None:
    assert after(NoAnswer(Sent.NO, "refused")) == Retry(1.0, Reason.UNREACHABLE)
    assert after(NoAnswer(Sent.MAYBE, "reset")) == Retry(1.0, Reason.OUTCOME_UNKNOWN)
    state, now_ms = held_for(Reason.SERVER_ERROR, 86_400)
    assert after(NoAnswer(Sent.NO, "refused"), state, now_ms=now_ms) == Reject(Reason.UNREACHABLE)


REPLIES = st.builds(NoAnswer, st.sampled_from(Sent), st.text(max_size=5)) | st.builds(
    Answer,
    st.integers(100, 599),
    st.dictionaries(st.sampled_from(["retry-after", "date", "x-ratelimit-reset"]), st.text(max_size=9)),
    st.binary(max_size=40)
    | st.sampled_from(
        [
            b"null",
            b"[]",
            b"3",
            b'{"message":3}',
            b'{"message":"Logs limit exceeded"}',
            b'{"message":"Failed to upload logs"}',
        ]
    ),
)
STATES = st.builds(
    AgentState,
    held_since_ms=st.integers(0, 10**13),
    held_why=st.sampled_from(["", *Reason]),
    tries=st.integers(0, 10**6),
)


@given(REPLIES, st.sampled_from(Call), STATES, st.integers(0, 10**13), st.floats(0, 1, exclude_max=True))
def test_every_reply_has_an_outcome_with_a_bounded_wait(
    reply: Reply, call: Call, state: AgentState, now_ms: int, draw: float
) -> None:
    outcome = decide(reply, call, Circumstances(state, now_ms, WINDOWS, draw))
    if isinstance(outcome, Retry):
        assert 0 <= outcome.after_s <= 300
    assert not (call is Call.LOG_SOURCE and isinstance(outcome, Split))


@given(REPLIES, STATES)
def test_nothing_is_ever_dropped_at_a_first_failure_but_by_coders_own_final_word(
    reply: Reply, state: AgentState
) -> None:
    outcome = after(reply, AgentState(), now_ms=10**13)
    if isinstance(outcome, Reject):
        assert outcome.reason in (Reason.QUOTA, Reason.INVALID_TOKEN)


@pytest.mark.parametrize("body", [b'{"message":"\xe9 chou\xe9"}', b'{"a":' + b"[" * 12_000])
def test_a_body_that_cannot_be_read_is_not_coders(body: bytes) -> None:
    assert after(Answer(200, {}, body)) == Retry(1.0, Reason.NOT_CODER)
