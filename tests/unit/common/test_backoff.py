"""The back-off grows, is bounded on both sides, and its jitter is full."""

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from common.backoff import Backoff

BACKOFF = Backoff(base_s=1.0, factor=2.0, cap_s=10.0, floor_s=0.1)


def test_the_bound_doubles_up_to_the_cap() -> None:
    assert [BACKOFF.bound_s(attempt) for attempt in range(6)] == [1.0, 2.0, 4.0, 8.0, 10.0, 10.0]


@given(st.integers(min_value=0, max_value=10**9), st.integers())
def test_a_delay_lies_between_floor_and_bound(attempt: int, seed: int) -> None:
    assert 0.1 <= BACKOFF.delay_s(attempt, Random(seed)) <= BACKOFF.bound_s(attempt)


def test_jitter_is_full() -> None:
    random = Random(1)
    delays = [BACKOFF.delay_s(9, random) for _ in range(200)]
    assert min(delays) < 1.0
    assert max(delays) > 9.0
