"""The rate limit is used, not met. Time is virtual."""

from email.utils import formatdate
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.doubles.ratelimit import Limit, SlidingWindows
from shipper.outcome import Answer, Call
from shipper.pace import FREE_PLACES, Pace, Path, Quota, Share, read_quota

LIMIT = 512
SERVER_S = 1_800_000_000.0
"""Coder's clock at virtual time 0; ours is another."""


def answer(remaining: int, reset_in_s: float = 60.0, limit: int = LIMIT, status: int = 200) -> Answer:
    headers = {
        "date": formatdate(SERVER_S, usegmt=True),
        "x-ratelimit-limit": str(limit),
        "x-ratelimit-remaining": str(remaining),
        "x-ratelimit-reset": str(int(SERVER_S + reset_in_s)),
    }
    return Answer(status, headers, b"null")


def path(processes: int = 1) -> Path:
    return Path(Random(1), processes)


def leaves(where: Path, seconds: float, start_s: float = 0.0, share: Share = Share.ALL) -> int:
    """How many requests leave in `seconds` by a client that always has one ready."""
    count, now_s = 0, start_s
    while now_s < start_s + seconds:
        wait_s = where.take(share, now_s)
        count += wait_s == 0.0
        now_s += max(wait_s, 0.001)
    return count


def test_without_headers_nothing_is_paced() -> None:
    free = path()
    free.observe(Answer(200, {}, b"null"), None, 0.0)
    assert all(free.take(share, 0.0) == 0.0 for share in Share for _ in range(1_000))
    assert free.places(0.0) == FREE_PLACES


def test_with_quota_to_spare_a_request_leaves_at_once() -> None:
    plenty = path()
    plenty.observe(answer(LIMIT // 2 + 40), None, 0.0)
    assert plenty.places(0.0) == 40
    assert all(plenty.take(Share.ALL, 0.0) == 0.0 for _ in range(40))


def test_the_last_of_a_limit_is_rationed_evenly_until_the_reset() -> None:
    scarce = path()
    scarce.observe(answer(30, reset_in_s=15), None, 0.0)
    assert leaves(scarce, 10) == pytest.approx(20, abs=2)


def test_the_lower_half_flows_as_fast_as_a_sliding_window_gives_back() -> None:
    scarce = path()
    scarce.observe(answer(120, reset_in_s=60), None, 0.0)
    assert leaves(scarce, 10) == pytest.approx(LIMIT / 60 * 10, abs=2)


@pytest.mark.parametrize("phase_s", [0, 30, 59])
@pytest.mark.parametrize("processes", [1, 3])
def test_a_sliding_window_is_used_well_and_never_met(phase_s: int, processes: int) -> None:
    server, limit, refused = SlidingWindows(), Limit(LIMIT), 0
    clients = [path(processes) for _ in range(processes)]
    left, now_s = 1_000, 0.0
    while left:
        for client in clients:
            if client.take(Share.ALL, now_s) > 0:
                continue
            turn = server.take("us", limit, int((SERVER_S + phase_s + now_s) * 1e9))
            refused += not turn.passes
            left -= turn.passes
            reset_in_s = turn.reset_at_s - SERVER_S - phase_s - now_s
            status = 200 if turn.passes else 429
            client.observe(answer(turn.remaining, reset_in_s, status=status), None if turn.passes else 60.0, now_s)
        now_s += 0.005
    assert refused <= processes
    assert now_s < 150


def test_processes_behind_one_address_share() -> None:
    scarce = path(processes=4)
    scarce.observe(answer(30, reset_in_s=15), None, 0.0)
    assert leaves(scarce, 10) == pytest.approx(5, abs=2)


def test_of_replicas_that_disagree_the_lowest_of_the_last_second_holds() -> None:
    where = path()
    where.observe(answer(60), None, 0.0)
    where.observe(answer(500), None, 0.5)
    assert where.quota is not None
    assert where.quota.remaining == 60
    where.observe(answer(500), None, 1.6)
    assert where.quota.remaining == 500


def test_an_empty_window_still_lets_one_ask_now_and_then() -> None:
    empty = path()
    empty.observe(answer(0), None, 0.0)
    assert 1 <= leaves(empty, 10) <= 7


def test_after_a_429_the_path_rests_until_the_reset_whatever_retry_after_says() -> None:
    limited = path()
    limited.observe(answer(0, reset_in_s=20, status=429), 60.0, 0.0)
    assert limited.places(19.9) == 0
    assert limited.take(Share.ALL, 19.9) > 0
    assert leaves(limited, 3, start_s=20) >= 1


def test_a_429_of_a_proxy_rests_as_long_as_it_says() -> None:
    limited = path()
    limited.observe(Answer(429, {}, b""), 7.0, 0.0)
    assert limited.take(Share.ALL, 6.9) > 0
    assert leaves(limited, 3, start_s=7) >= 1


def test_after_a_rest_one_request_goes_first_and_the_others_follow_its_answer() -> None:
    limited = path()
    limited.observe(answer(0, reset_in_s=20, status=429), 60.0, 0.0)
    assert limited.take(Share.ALL, 22.5) == 0.0
    assert limited.take(Share.ALL, 22.5) > 0
    assert limited.places(22.6) == 0
    limited.observe(answer(400), None, 22.7)
    assert limited.take(Share.ALL, 22.7) == 0.0


def test_a_first_request_that_is_never_answered_does_not_hold_up_the_others_for_ever() -> None:
    limited = path()
    limited.observe(answer(0, reset_in_s=20, status=429), 60.0, 0.0)
    assert limited.take(Share.ALL, 22.5) == 0.0
    assert leaves(limited, 3, start_s=22.6) >= 1


def test_an_answer_from_before_the_rest_does_not_end_it() -> None:
    limited = path()
    limited.observe(answer(0, reset_in_s=20, status=429), 60.0, 0.0)
    limited.observe(answer(500), None, 0.1)
    assert limited.take(Share.ALL, 10.0) > 0
    assert limited.take(Share.ALL, 22.5) == 0.0
    assert limited.take(Share.ALL, 22.5) > 0  # still one goes first


def test_past_the_reset_of_a_used_up_window_one_request_goes_first() -> None:
    used = path()
    used.observe(answer(3, reset_in_s=10), None, 0.0)
    assert used.take(Share.ALL, 10.1) == 0.0
    assert used.take(Share.ALL, 10.1) > 0


@pytest.mark.parametrize(("share", "most"), [(Share.UNPROVEN, LIMIT // 4), (Share.PROBE, LIMIT // 2)])
def test_a_share_is_never_passed_in_a_window(share: Share, most: int) -> None:
    where = path()
    where.observe(answer(LIMIT - 1), None, 0.0)
    assert leaves(where, 50, share=share) == most
    assert where.take(Share.ALL, 50.0) == 0.0  # what is left is for the others


def test_a_share_begins_anew_with_the_window() -> None:
    where = path()
    where.observe(answer(LIMIT - 1, reset_in_s=10), None, 0.0)
    leaves(where, 9, share=Share.UNPROVEN)
    assert where.take(Share.UNPROVEN, 10.5) == 0.0


def test_paths_count_apart() -> None:
    pace = Pace(Random(1))
    pace.observe(Call.LOGS, answer(0, status=429), 60.0, 0.0)
    assert pace.take(Call.LOGS, Share.ALL, 1.0) > 0
    assert pace.take(Call.LOG_SOURCE, Share.ALL, 1.0) == 0.0
    assert pace.places(1.0) == 0


@pytest.mark.parametrize(
    "change",
    [{"date": ""}, {"date": "yesterday"}, {"x-ratelimit-limit": "0"}, {"x-ratelimit-remaining": "-1"},
     {"x-ratelimit-reset": "soon"}, {"x-ratelimit-reset": "nan"}, {"x-ratelimit-reset": "-inf"}],
)  # fmt: skip
def test_headers_that_make_no_sense_are_no_quota(change: dict[str, str]) -> None:
    assert read_quota({**answer(5).headers, **change}) is None


def test_the_reset_is_reckoned_by_coders_own_clock() -> None:
    assert read_quota(answer(5, reset_in_s=30).headers) == Quota(LIMIT, 5, 30.0)


@given(st.lists(st.tuples(st.floats(0, 5), st.integers(-1, LIMIT), st.sampled_from(Share), st.booleans()), max_size=60))
def test_whatever_is_observed_a_wait_is_finite_and_ends(
    steps: list[tuple[float, int, Share, bool]],
) -> None:
    where, now_s = path(), 0.0
    for pause_s, remaining, share, is_429 in steps:
        now_s += pause_s
        if remaining >= 0:
            where.observe(answer(remaining, status=429 if is_429 else 200), 60.0 if is_429 else None, now_s)
        assert 0.0 <= where.take(share, now_s) < 70.0
        assert 0 <= where.places(now_s) <= FREE_PLACES
    for _ in range(5):  # a reset, a rest's jitter, a trial
        now_s += (wait_s := where.take(Share.ALL, now_s))
        if wait_s == 0.0:
            return
    raise AssertionError("nothing leaves any more")
