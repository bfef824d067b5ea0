"""Which facts go on: the newest of each topic once; of a pod with none left to remember, nothing is."""

from __future__ import annotations

from common.ids import Uid
from common.record import Aspect, Details, Level
from watcher.facts import Fact
from watcher.reported import Reported

POD = Uid("pod")


def fact(topic: str, version: int = 1) -> Fact:
    return Fact(
        about=POD, namespace="ns", identity=f"pod/{topic}", version=version, topic=topic, times=1, reason="R",
        message="", level=Level.DEBUG, details=Details(Aspect.STARTED),
    )  # fmt: skip


def test_a_fact_goes_on_once_and_a_newer_one_again() -> None:
    reported = Reported()
    assert reported.take(POD, [fact("a"), fact("b")]) == [fact("a"), fact("b")]
    assert reported.take(POD, [fact("a"), fact("b", 2)]) == [fact("b", 2)]


def test_of_a_pod_without_facts_nothing_is_remembered() -> None:
    reported = Reported()
    reported.take(POD, [])
    assert len(reported) == 0


def test_what_is_settled_takes_no_room_and_leaves_the_rest() -> None:
    reported = Reported()
    reported.take(POD, [fact("start"), fact("crash")])
    reported.settle(POD, "start")
    assert reported.take(POD, [fact("crash")]) == []
    reported.settle(POD, "crash")
    reported.settle(POD, "never there")
    assert len(reported) == 0
