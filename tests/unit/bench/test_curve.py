"""Samples become a table, curves and a growth."""

import math

from bench.brief import shortened
from bench.curve import Sample, as_table, growth, sparkline
from common.store.model import RETENTION

SAMPLES = [Sample(30.0 * n, {"watcher": n << 20}, {"keys": 10 * n}) for n in (1, 2, 3)]


def test_a_curve_has_a_bar_for_each_value_up_to_the_largest() -> None:
    assert sparkline([0, 1, 2, 4]) == "▁▃▅█"
    assert sparkline([0, 0]) == "▁▁"


def test_growth_is_the_last_third_by_the_middle_one() -> None:
    assert growth([9, 9, 2, 2, 3, 3]) == 1.5
    assert math.isnan(growth([1, 2]))
    assert math.isnan(growth([0, 0, 0]))


def test_a_table_has_a_row_for_each_sample_and_a_curve_for_each_column() -> None:
    assert as_table(SAMPLES).splitlines() == [
        "second  watcher MiB  keys",
        "    30          1.0    10",
        "    60          2.0    20",
        "    90          3.0    30",
        "",
        "watcher MiB  ▃▆█",
        "keys         ▃▆█",
    ]


def test_what_is_kept_for_a_shorter_time_keeps_its_proportions() -> None:
    assert shortened(RETENTION.keep_s) == RETENTION
    for keep_s in (3, 10, 60):
        short = shortened(keep_s)
        assert short.keep_s == keep_s
        assert 1 <= short.half_s <= keep_s / 2  # an identity never outlives its agent's keys
