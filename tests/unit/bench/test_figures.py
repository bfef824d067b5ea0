"""Figures, their verdicts, medians over runs, and the table."""

import math

import msgspec
import pytest

from bench.figures import Figure, Verdict, merged
from bench.ideal import ideal_client
from bench.report import Machine, Report, as_json, as_text


def figure(value: float, target: float | None = None, forwarder: float | None = None, name: str = "p50") -> Figure:
    return Figure("steady", name, value, "ms", target, forwarder)


@pytest.mark.parametrize(
    ("value", "target", "verdict"),
    [
        (15.0, 15.0, Verdict.MET),
        (15.1, 15.0, Verdict.MISSED),
        (0, 0, Verdict.MET),
        (1, 0, Verdict.MISSED),
        (math.nan, 15.0, Verdict.MISSED),
        (math.inf, 15.0, Verdict.MISSED),
        (9.0, None, Verdict.REPORTED),
    ],
)
def test_a_target_is_an_upper_limit_and_no_figure_misses_it(
    value: float, target: float | None, verdict: Verdict
) -> None:
    assert figure(value, target).verdict is verdict


def test_the_ratio_is_ours_by_the_forwarder_s() -> None:
    assert figure(18.0, forwarder=9.0).ratio == 2.0
    assert figure(18.0).ratio is None
    assert figure(18.0, forwarder=0.0).ratio is None


def test_several_runs_become_their_median_and_keep_their_values() -> None:
    (only,) = merged([[figure(9.0, 15.0, 4.0)], [figure(30.0, 15.0, 8.0)], [figure(10.0, 15.0, 6.0)]])
    assert (only.value, only.forwarder, only.runs) == (10.0, 6.0, [9.0, 30.0, 10.0])


def test_one_lost_line_in_one_of_three_runs_is_not_averaged_away() -> None:
    (only,) = merged([[figure(0, 0)], [figure(1, 0)], [figure(0, 0)]])
    assert only.verdict is Verdict.MISSED


def test_the_table_shows_value_target_verdict_and_ratio() -> None:
    machine = Machine("A processor", 2, 8.0, "Linux 6", "3.11.7", 0.5)
    text = as_text(Report(machine, 1, [figure(18.0, 15.0, 9.0), figure(math.nan, name="p99")]))
    row = text.splitlines()[4].split()
    assert row == ["steady", "p50", "18", "ms", "≤", "15", "MISSED", "9", "2.00"]
    assert "–" in text.splitlines()[5]


def test_the_json_holds_what_the_table_holds() -> None:
    machine = Machine("A processor", 2, 8.0, "Linux 6", "3.11.7", 0.5)
    read = msgspec.json.decode(as_json(Report(machine, 3, [figure(math.nan, 15.0)])))
    assert read["runs"] == 3
    assert read["figures"][0] | {"value": None, "target": 15.0} == read["figures"][0]


def test_the_best_client_gets_the_limit_at_once_and_then_what_the_window_gives_back() -> None:
    start_ns = 60 * 1_000_000_000  # a full minute
    first = ideal_client(start_ns, start_ns + 1_000_000_000, 512, requests=512)
    assert (first.admitted, first.done_after_s) == (512, 0.0)
    # From the next minute on about 8.5 a second come free.
    two = ideal_client(start_ns, start_ns + 90 * 1_000_000_000, 512, requests=1_000)
    assert 512 + 240 <= two.admitted <= 512 + 270
    assert 110 <= two.done_after_s <= 120
