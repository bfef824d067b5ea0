"""What the schedules measure of isolation: the right lines, and a run that fails if they come late."""

import pytest

from tests.faults.coder import Request
from tests.faults.compressed import FACTOR
from tests.faults.neighbours import latencies_s, p99
from tests.faults.outcome import CAMPAIGN, Outcome, failures, table
from tests.faults.record import Disturbance, Pod, Said

TOKEN = "11111111-2222-4333-8444-555555555555"
HANGING = "99999999-2222-4333-8444-555555555555"
PODS = {"p": Pod(TOKEN, 4.0), "q": Pod(HANGING, 4.0)}


def said(what: str, at_s: float, *, token: str = TOKEN, count: int = 1) -> Said:
    return Said(token, "p" if token == TOKEN else "q", what, count, 1, at_s)


def measured(*each: Said, stalls: list[Disturbance] | None = None, by_s: float = 99.0) -> tuple[list[float], int]:
    """If Coder takes w0e0 at 6 s and again at 30 s, and w0e0 ×2 at 9 s."""
    line = "w0e0 happened (Because)"
    requests = [
        Request("s0.1", TOKEN, took - 0.5, took, True, (text,), took_s=took)
        for text, took in ((line, 6.0), (f"{line} ×2 over 3s", 9.0), (line, 30.0))
    ]
    return latencies_s(each, PODS, requests, of={TOKEN}, from_s=3.0, to_s=20.0, stalls=stalls or [], came_by_s=by_s)


def test_a_line_took_from_its_writing_or_its_pods_coming_until_coder_had_it_first() -> None:
    assert measured(said("w0e0", 5.5)) == ([0.5 / FACTOR], 0)
    assert measured(said("w0e0", 3.5)) == ([2.0 / FACTOR], 0)


def test_a_line_that_never_came_took_for_ever() -> None:
    assert measured(said("w0e7", 5.0), by_s=float("inf")) == ([float("inf")], 0)


def test_a_line_that_was_under_way_when_the_one_began_to_hang_is_not_of_before() -> None:
    assert measured(said("w0e0", 5.5), by_s=6.0) == ([0.5 / FACTOR], 0)
    assert measured(said("w0e0", 5.5), by_s=5.9) == ([], 0)


@pytest.mark.parametrize(
    "other",
    [
        said("w1e0", 5.0, token=HANGING),
        said("w0e0", 5.0, count=2),  # it may be held back
        said("created p", 4.0),
        said("w0e7", 20.5),
    ],
)
def test_other_lines_are_not_measured(other: Said) -> None:
    assert measured(other) == ([], 0)


def test_what_the_machine_held_up_is_not_measured() -> None:
    def busy(from_s: float, to_s: float) -> list[Disturbance]:
        return [Disturbance("", "the machine was busy", from_s, to_s)]

    assert measured(said("w0e0", 5.0), stalls=busy(5.5, 5.6)) == ([], 1)
    assert measured(said("w0e0", 5.0), stalls=busy(4.0, 4.5)) == ([], 1)
    assert measured(said("w0e0", 5.0), stalls=busy(2.0, 3.0)) == ([1.0 / FACTOR], 0)
    assert measured(said("w0e0", 5.0), stalls=busy(6.5, 7.0)) == ([1.0 / FACTOR], 0)


def test_p99_is_the_slowest_but_one_of_a_hundred() -> None:
    assert p99([float(number) for number in range(1, 101)]) == 99.0
    assert p99([]) == 0.0


def outcome(beside_ms: list[int], before_ms: int = 50, left_out: int = 0) -> Outcome:
    before = [before_ms] * len(beside_ms)
    return Outcome(
        7, {}, [], 0, 0, 0, 0, 0, 0, 0, {}, before_ms=before, beside_ms=beside_ms, beside_left_out=left_out
    )  # fmt: skip


def test_a_run_fails_if_the_others_wait_for_the_one_that_hangs() -> None:
    assert failures([outcome([50] * 99 + [4_000])]) == []
    (found,) = failures([outcome([50] * 98), outcome([4_000] * 2)])
    assert found.startswith("not isolated: p99 of the others' lines is 4.00 s while one workspace hangs, 0.05 s before")
    assert failures([outcome([1_000] * 100)]) != []
    assert failures([outcome([999] * 100)]) == []


def test_a_run_says_nothing_of_isolation_that_is_due_to_the_machine() -> None:
    assert failures([outcome([4_000] * 20)]) == []  # too few
    assert failures([outcome([4_000] * 100, before_ms=2_000)]) != []
    assert failures([outcome([4_000] * 100, before_ms=2_001)]) == []  # it was slow before, too
    assert failures([outcome([4_000] * 100, left_out=200)]) != []
    assert failures([outcome([4_000] * 100, left_out=201)]) == []  # it stood still too often


@pytest.mark.parametrize(
    ("measured", "why"),
    [
        (outcome([50] * 100), ""),
        (outcome([50] * 20), "fewer than 40 lines were timed before or meanwhile"),
        (outcome([50] * 100, left_out=201), "the machine stood still too often"),
    ],
)
def test_a_campaign_that_does_not_judge_isolation_fails_and_the_table_says_why(measured: Outcome, why: str) -> None:
    assert f"| whether one that hangs delays the others | {why or 'judged'} |" in table([measured])
    assert failures([measured]) == []
    campaign = [measured, *[outcome([])] * (CAMPAIGN - 1)]
    expected = [f"whether one hanging workspace delays others was not judged: {why}"] if why else []
    assert failures(campaign) == expected


def test_a_run_fails_if_one_schedule_does() -> None:
    broken = Outcome(7, {}, ["lost: it"], 0, 0, 0, 0, 0, 0, 0, {})
    assert failures([broken]) == ["seed 7: lost: it"]
