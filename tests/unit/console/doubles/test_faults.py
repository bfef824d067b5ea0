"""Which request gets which fault."""

from __future__ import annotations

from console.doubles.faults import Answer, Drop, FaultPlan, Injection


def test_the_oldest_that_fits_is_used_up_first() -> None:
    plan = FaultPlan()
    plan.add(Injection(Answer(500), times=2, where={"endpoint": "logs"}))
    plan.add(Injection(Drop()))
    assert plan.take({"endpoint": "log_source"}) == Drop()
    assert [plan.take({"endpoint": "logs", "token": "t"}) for _ in range(3)] == [Answer(500), Answer(500), None]


def test_all_facts_must_fit() -> None:
    plan = FaultPlan()
    plan.add(Injection(Drop(), where={"endpoint": "logs", "token": "a"}))
    assert plan.take({"endpoint": "logs", "token": "b"}) is None
    assert plan.take({"endpoint": "logs"}) is None
    assert plan.take({"endpoint": "logs", "token": "a"}) == Drop()


def test_what_is_cleared_never_shows() -> None:
    plan = FaultPlan()
    plan.add(Injection(Drop(), times=5))
    plan.clear()
    assert plan.take({}) is None
