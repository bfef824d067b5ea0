"""The fleet's audit sees what it is there for. No cluster needed."""

from typing import Any

import msgspec

from tests.cluster.audit import Received, Telling, compare, tellings_of
from tests.cluster.recorder import Row

MS = 1_000_000


def telling(message: str, *, order: int = 1, count: int = 1, event: str = "e", token: str = "a") -> Telling:
    return Telling(token, "pod", event, order, count, "debug", message, at_ns=0)


def line(text: str, at_ms: int = 30, level: str = "debug") -> Received:
    return Received(level, text, at_ms * MS)


def test_a_told_event_is_neither_lost_nor_repeated() -> None:
    found = compare([telling("Stopping a")], {"a": [line("Stopping a (Killing) ×1 (at 10:00:00 UTC)")]})
    assert (found.lost, found.repeated, found.unexplained, found.latencies_ms) == ([], [], [], [30.0])


def test_an_event_without_a_line_is_lost() -> None:
    assert compare([telling("Stopping a")], {}).lost == [telling("Stopping a")]


def test_a_count_is_told_by_a_later_one_only() -> None:
    counts = [telling("Back-off", order=count, count=count) for count in (1, 2, 3)]
    found = compare(counts, {"a": [line("Back-off"), line("Back-off ×3 over 2s")]})
    assert (found.lost, found.folded) == ([], 1)
    assert compare(counts, {"a": [line("Back-off"), line("Back-off ×2")]}).lost == counts[2:]


def test_a_line_more_than_there_were_events_is_repeated() -> None:
    found = compare([telling("Pulled"), telling("Pulled", order=2, event="f")], {"a": [line("Pulled", 1)] * 2})
    assert found.repeated == []
    found = compare([telling("Pulled")], {"a": [line("Pulled", 1), line("Pulled", 9)]})
    assert [(each.line.at_ns, each.taken_at_ns) for each in found.repeated] == [(9 * MS, (1 * MS,))]


def test_a_repeat_of_what_two_pods_share_may_be_of_either() -> None:
    both = [telling("Pulling"), telling("Pulling", order=2, event="f")]
    found = compare(both, {"a": [line("Pulling", 1), line("Pulling", 9), line("Pulling", 9)]})
    assert [each.taken_at_ns for each in found.repeated] == [(1 * MS, 9 * MS)]


def test_another_agents_line_a_wrong_level_and_an_unheard_count_are_unexplained() -> None:
    other = telling("Pulled b", token="b", event="f")
    strange = [line("Pulled b"), line("Pulled a", level="warn"), line("Pulled a ×2")]
    found = compare([telling("Pulled a"), other], {"a": [line("Pulled a"), *strange], "b": [line("Pulled b")]})
    assert found.unexplained == strange


def test_events_of_one_object_in_a_wrong_order_are_seen() -> None:
    first, second = telling("Pulling", order=1), telling("Pulled", order=2, event="f")
    assert compare([first, second], {"a": [line("Pulled"), line("Pulling")]}).disordered == [first]
    elsewhere = msgspec.structs.replace(first, object_uid="other pod")
    assert compare([elsewhere, second], {"a": [line("Pulled"), line("Pulling")]}).disordered == []


def test_the_order_of_a_line_that_may_be_of_either_pod_is_not_judged() -> None:
    ours = [telling("Pulling", order=2), telling("Created", order=3, event="f")]
    theirs = telling("Pulling", order=1, event="g")
    both = [*ours, msgspec.structs.replace(theirs, object_uid="other pod")]
    lines = {"a": [line("Pulling"), line("Created"), line("Pulling")]}
    assert (compare(both, lines).disordered, compare(ours, lines).disordered) == ([], [])
    assert compare(both, lines).lost == []


def test_an_event_that_the_table_hides_is_none_to_tell() -> None:
    replica_set: dict[str, Any] = {"kind": "ReplicaSet", "metadata": {"uid": "rs", "name": "web-1"}, "status": {}}
    hidden: dict[str, Any] = {
        "kind": "Event", "metadata": {"uid": "e", "resourceVersion": "2"}, "type": "Normal",
        "involvedObject": {"kind": "ReplicaSet", "name": "web-1", "uid": "rs"}, "reason": "SuccessfulCreate",
        "message": "Created pod: web-1-abcde",
    }  # fmt: skip
    told = hidden | {
        "metadata": {"uid": "f", "resourceVersion": "3"}, "type": "Warning", "reason": "FailedCreate",
        "message": "Error creating: no reason given",
    }  # fmt: skip
    rows = [Row(0, "ADDED", value) for value in (replica_set, hidden, told)]
    assert [each.event_uid for each in tellings_of(rows, lambda _: "a")] == ["", "f"]


def test_tries_to_make_a_pod_are_counts_of_what_they_have_in_common() -> None:
    replica_set: dict[str, Any] = {"kind": "ReplicaSet", "metadata": {"uid": "rs", "name": "web-1"}, "status": {}}

    def failed(uid: str, version: int, message: str, count: int = 1) -> dict[str, Any]:
        return {
            "kind": "Event", "metadata": {"uid": uid, "resourceVersion": str(version)}, "type": "Warning",
            "involvedObject": {"kind": "ReplicaSet", "name": "web-1", "uid": "rs"}, "reason": "FailedCreate",
            "message": f"{message} is forbidden", "count": count,
        }  # fmt: skip

    events = [
        failed("e", 2, 'pods "web-1-abcde"'),
        failed("f", 3, 'pods "web-1-fghij"'),
        failed("g", 4, "all"),
        failed("h", 5, '(combined from similar events): pods "web-1-klmno"', 3),
        failed("h", 6, '(combined from similar events): pods "web-1-pqrst"', 4),
    ]
    told = tellings_of([Row(0, "ADDED", value) for value in (replica_set, *events)], lambda _: "a")[1:]
    assert [(each.count, each.message.partition(" is")[0][-6:-1]) for each in told] == [
        (1, "abcde"), (2, "fghij"), (1, "al"), (5, "klmno"), (6, "pqrst"),
    ]  # fmt: skip
    assert len({each.event_uid for each in told}) == 2
    found = compare(told, {"a": [line('FailedCreate: pods "web-1-pqrst" is forbidden ×6 over 9s', level="warn")]})
    assert ([each.message for each in found.lost], found.folded) == (["all is forbidden"], 3)
