"""What the judge of the chaos run excuses, and what it does not. No cluster needed."""

import msgspec
import pytest

from tests.cluster.audit import Findings, Received, Repeat, Telling
from tests.cluster.journal import Request
from tests.cluster.judge import AWAY_NS, LEASE_NS, UNSETTLED_NS, Hit, Kind, Verdict, judge

S = 1_000_000_000
HERS, HIS = 4001, 4002
"""Doors."""


def request(door: int, came_s: float, ended_s: float | None, token: str = "a") -> Request:
    """Its lines take effect right before its end."""
    ended_ns = None if ended_s is None else round(ended_s * S)
    return Request(
        door, token, round(came_s * S), ended_ns, ended_ns is not None, took_ns=ended_ns or round(came_s * S)
    )


def hit(door: int, from_s: float, to_s: float | None = None, kind: Kind = Kind.KILLED) -> Hit:
    role = "shipper" if door else "watcher"
    return Hit(role, kind, door, round(from_s * S), None if to_s is None else round(to_s * S))


def again(*taken_s: float, at_s: float = 99.0, count: int = 1) -> Repeat:
    line = Received("debug", "Pulled", round(at_s * S))
    return Repeat("a", line, ("debug", "Pulled", count), tuple(round(each * S) for each in taken_s))


def judged(requests: list[Request], hits: list[Hit], *repeated: Repeat, passed: tuple[Telling, ...] = ()) -> Verdict:
    found = Findings(
        tellings=0, lines=0, folded=0, lost=[], repeated=list(repeated), unexplained=[], disordered=[],
        passed=list(passed), latencies_ms=[],
    )  # fmt: skip
    return judge(found, requests, hits)


def is_excused(blow: Hit) -> bool:
    """Whether `blow` excuses that a line of her request, from the 10th to the 11th second, came again."""
    verdict = judged([request(HERS, 10, 11), request(HIS, 30, 31)], [blow], again(11))
    assert len(verdict.excused) + len(verdict.unexcused) == 1
    return verdict.unexcused == []


UNSETTLED_S = UNSETTLED_NS / S


@pytest.mark.parametrize(
    ("from_s", "excused"),
    [(9.0, True), (10.5, True), (11 + UNSETTLED_S, True), (11.1 + UNSETTLED_S, False), (30.0, False)],
)
def test_a_kill_excuses_what_was_under_way_or_came_after_it_or_cannot_have_been_settled(
    from_s: float, excused: bool
) -> None:
    assert is_excused(hit(HERS, from_s)) is excused


@pytest.mark.parametrize(
    ("from_s", "to_s", "excused"),
    [(8.0, 9.9, False), (8.0, 10.1, True), (10.5, 20.0, True), (11.1, 20.0, True), (11.9, 20.0, False)],
)
def test_a_pause_excuses_what_was_under_way_or_not_settled_while_it_lasted(
    from_s: float, to_s: float, excused: bool
) -> None:
    assert is_excused(hit(HERS, from_s, to_s, Kind.PAUSED)) is excused


def test_neither_a_hit_of_another_shipper_nor_of_a_watcher_nor_a_stop_excuses_anything() -> None:
    assert not is_excused(hit(HIS, 10.5))
    assert not is_excused(hit(0, 10.5))
    assert not is_excused(hit(HERS, 10.5, kind=Kind.STOPPED))


def test_no_answer_is_no_excuse_if_its_shipper_was_left_alone() -> None:
    hers = msgspec.structs.replace(request(HERS, 10, 11), answered=False)
    assert judged([hers], [], again(11)).unexcused == [again(11)]


def test_a_line_that_came_by_no_known_request_is_not_excused() -> None:
    assert judged([request(HERS, 10, 11)], [hit(HERS, 10.5)], again(12)).unexcused == [again(12)]


def test_each_ambiguous_request_excuses_each_of_its_lines_once() -> None:
    hers, his = request(HERS, 10, 11), request(HIS, 30, 31)
    once, twice = again(11, at_s=31), again(11, 31, at_s=51)
    verdict = judged([hers, his, request(HIS, 50, 51)], [hit(HERS, 10.5)], once, twice, again(11, count=2))
    assert (verdict.unexcused, len(verdict.excused)) == ([twice], 2)
    assert (verdict.requests, verdict.ambiguous) == (3, 1)
    both = [hit(HERS, 10.5), hit(HIS, 30.5, 40, Kind.PAUSED)]
    assert judged([hers, his, request(HIS, 50, 51)], both, once, twice).unexcused == []


def test_what_two_pods_share_may_be_the_repeat_of_either() -> None:
    requests = [request(HERS, 10, 11), request(HIS, 20, 21), request(HIS, 30, 31)]
    assert judged(requests, [hit(HERS, 10.5)], again(11, 21)).unexcused == []
    assert judged(requests, [hit(HIS, 20.5)], again(11, 21)).unexcused == []


def test_two_requests_of_one_agent_at_once_need_that_the_first_ones_shipper_lost_its_lease() -> None:
    both = [request(HERS, 10, 40), request(HIS, 30, 31)]
    assert len(judged(both, []).at_once) == 1
    assert judged(both, [hit(HERS, 11, 25, Kind.PAUSED)]).at_once == []
    assert len(judged(both, [hit(HIS, 11, 25, Kind.PAUSED)]).at_once) == 1
    assert len(judged(both, [hit(HERS, 0, 9 - LEASE_NS / S, Kind.PAUSED)]).at_once) == 1
    assert judged([request(HERS, 10, 40), request(HIS, 30, 31, token="b")], []).at_once == []
    assert len(judged([request(HERS, 10, None), request(HERS, 30, 31)], [hit(HERS, 20)]).at_once) == 1


def test_a_status_that_was_over_before_it_was_told_needs_a_watcher_that_was_away() -> None:
    passed = Telling("a", "pod", "", -1, 1, "warn", "⏳ No node for the pod yet", at_ns=100 * S, passed_ns=101 * S)
    away_s = AWAY_NS / S
    for excuse in (hit(0, 100.5), hit(0, 101 - away_s), hit(0, 40, 101 - away_s, Kind.PAUSED), hit(0, 99, None)):
        assert judged([], [excuse], passed=(passed,)).unread == []
    for none in (hit(HERS, 100.5), hit(0, 102), hit(0, 99 - away_s)):
        assert judged([], [none], passed=(passed,)).unread == [passed]
