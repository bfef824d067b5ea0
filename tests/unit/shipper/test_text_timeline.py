"""Golden tests: the very lines about a start; `docs/reference/lines.md` shows the same."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.record import Aspect, Timeline
from tests.unit.shipper.test_text_status import LINES, shown, status


def row(timeline: Timeline) -> str:
    (line,) = shown(status(Aspect.STARTED, "PodStarted", timeline=timeline))
    return line


WHOLE = Timeline(42_000, 1_000, 6_000, 27_900, None, 7_100, 1, 0, 1_200_000_000)
FAILED = Timeline(9_000, 0, 0, 4_200, 4_800, None, 1, 1, 310_000_000)


@pytest.mark.parametrize(
    ("aspect", "timeline", "line"),
    [
        (Aspect.STARTED, WHOLE,
         "⏱️ Pod started in 42 s — scheduled 1 s · volumes and network 6 s · image 28 s (1.2 GB) · containers 7 s"),
        (Aspect.STARTED, Timeline(3_000, 0, 0, 0, None, 3_000, 0, 1),
         "⏱️ Pod started in 3 s — image cached · containers 3 s"),
        (Aspect.NOT_STARTED, FAILED,
         "⏱️ Pod failed after 9 s — images 4 s (310 MB, 1 of 2 cached) · init containers 5 s"),
    ],
)  # fmt: skip
def test_a_line_about_a_start_is_what_the_page_shows(aspect: Aspect, timeline: Timeline, line: str) -> None:
    assert shown(status(aspect, "PodStarted", timeline=timeline)) == [line]
    assert f"| `{line}` |" in LINES


@pytest.mark.parametrize(
    ("timeline", "line"),
    [
        (Timeline(), "⏱️ Pod started in less than a second"),
        (Timeline(5_000), "⏱️ Pod started in 5 s"),
        (Timeline(5_000, 5_000), "⏱️ Pod started in 5 s — scheduled 5 s"),
        (Timeline(1_000, 0, 1_000, 24, None, 0, 1, 0, 1_341_790),
         "⏱️ Pod started in 1 s — volumes and network 1 s · image under 1 s (1.3 MB)"),
        (Timeline(4_000, 0, 0, 4_000, None, 0, 2), "⏱️ Pod started in 4 s — images 4 s"),
        (Timeline(1_000, 0, 0, 0, None, 1_000, 0, 2), "⏱️ Pod started in 1 s — images cached · containers 1 s"),
        (Timeline(7_500_000, 185_000, 7_300_000),
         "⏱️ Pod started in 2 h 5 min — scheduled 3 min 5 s · volumes and network 2 h 1 min"),
        (Timeline(180_000, 180_000), "⏱️ Pod started in 3 min — scheduled 3 min"),
    ],
)  # fmt: skip
def test_what_is_unknown_or_took_no_second_is_left_out(timeline: Timeline, line: str) -> None:
    assert row(timeline) == line


@pytest.mark.parametrize(
    ("size_bytes", "shown"),
    [(0, ""), (999, " (999 bytes)"), (4_900, " (4.9 kB)"), (64_753_325, " (65 MB)"), (9_960_000, " (10 MB)"),
     (1_000_000_000, " (1 GB)"), (12_345_678_901, " (12 GB)")],
)  # fmt: skip
def test_sizes_are_decimal_as_registries_count(size_bytes: int, shown: str) -> None:
    assert row(Timeline(5_000, 0, 0, 5_000, None, 0, 1, 0, size_bytes)) == f"⏱️ Pod started in 5 s — image 5 s{shown}"


@given(st.lists(st.integers(0, 59_000), min_size=4, max_size=4))
def test_the_seconds_shown_add_up_to_the_whole(spans_ms: list[int]) -> None:
    scheduled, volumes, images, containers = spans_ms
    line = row(Timeline(min(sum(spans_ms), 119_000), scheduled, volumes, images, None, containers, 1))
    numbers = [int(word) for word, unit in zip(line.split(), line.split()[1:], strict=False) if unit == "s"]
    if sum(spans_ms) < 119_000 and "under" not in line and numbers:
        assert numbers[0] == sum(numbers[1:])


def test_nothing_is_called_ready_or_done() -> None:
    for timeline in (WHOLE, FAILED):
        assert not any(word in row(timeline).lower() for word in ("ready", "✅", "✔", "success"))
