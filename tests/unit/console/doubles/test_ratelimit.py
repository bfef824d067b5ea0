"""The sliding window against the figures that were measured on the real one (FACTS 1)."""

from __future__ import annotations

from typing import Final

from hypothesis import given
from hypothesis import strategies as st

from console.doubles.ratelimit import Limit, SlidingWindows

MINUTE_NS: Final = 60_000_000_000
SECOND_NS: Final = 1_000_000_000
START_NS: Final = 30_000_000 * MINUTE_NS
LIMIT: Final = Limit(512)


def _passed(windows: SlidingWindows, number: int, at_ns: int) -> int:
    return sum(windows.take("key", LIMIT, at_ns).passes for _ in range(number))


def test_a_burst_passes_up_to_the_limit() -> None:
    assert _passed(SlidingWindows(), 600, START_NS) == 512


def test_nothing_is_regained_until_the_window_ends() -> None:
    windows = SlidingWindows()
    _passed(windows, 512, START_NS)
    assert _passed(windows, 5, START_NS + 59 * SECOND_NS) == 0
    assert _passed(windows, 5, START_NS + MINUTE_NS) == 0


def test_then_the_share_of_the_last_window_that_slid_out_is_regained() -> None:
    windows = SlidingWindows()
    _passed(windows, 512, START_NS)
    by_second = [_passed(windows, 100, START_NS + MINUTE_NS + second * SECOND_NS) for second in range(1, 31)]
    assert sum(by_second) == 256  # half the limit in half a window: about 8.5 a second
    assert set(by_second) == {8, 9}


def test_a_quiet_window_forgives_all() -> None:
    windows = SlidingWindows()
    _passed(windows, 512, START_NS)
    assert _passed(windows, 600, START_NS + 2 * MINUTE_NS) == 512


def test_windows_begin_at_full_minutes() -> None:
    turn = SlidingWindows().take("key", LIMIT, START_NS + 17 * SECOND_NS)
    assert turn.reset_at_s == (START_NS + MINUTE_NS) // SECOND_NS
    assert turn.remaining == 511


def test_halves_are_rounded_up() -> None:
    windows = SlidingWindows()
    windows.take("key", LIMIT, START_NS)
    # Half of one request is left from the window before: it counts as one.
    assert windows.take("key", LIMIT, START_NS + MINUTE_NS + 30 * SECOND_NS).remaining == 510


def test_keys_count_apart() -> None:
    windows = SlidingWindows()
    _passed(windows, 600, START_NS)
    assert windows.take("other", LIMIT, START_NS).remaining == 511


@given(st.lists(st.integers(0, 20 * SECOND_NS), max_size=200))
def test_no_more_than_the_limit_passes_in_any_fixed_window(gaps_ns: list[int]) -> None:
    windows, limit, now_ns = SlidingWindows(), Limit(10), START_NS
    passed: dict[int, int] = {}
    for gap_ns in gaps_ns:
        now_ns += gap_ns
        turn = windows.take("key", limit, now_ns)
        assert 0 <= turn.remaining <= limit.requests
        passed[now_ns // MINUTE_NS] = passed.get(now_ns // MINUTE_NS, 0) + turn.passes
    assert all(number <= limit.requests for number in passed.values())
