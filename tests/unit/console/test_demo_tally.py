"""What a demo claims is counted, not asserted."""

from typing import Any

import pytest

from common.wording.read import shipped_wording
from common.wording.table import Entry, Sheet, Wording
from console.demo_tally import Fact, Tally, played_facts, tally
from console.doubles.coder_state import StoredLog
from console.doubles.kube_control import Delete, Put, Step, Write

MS = 1_000_000
WORDING = shipped_wording()


def event(name: str, message: str, count: int = 1, kind: str = "Pod") -> dict[str, Any]:
    return {
        "metadata": {"name": name, "namespace": "ns", "uid": f"uid-{name}"},
        "involvedObject": {"kind": kind},
        "message": message,
        "count": count,
    }


def pod(name: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": "ns", "uid": f"uid-{name}"}}


def written(resource: str, name: str, at_ms: int, kind: str = "ADDED") -> Write:
    return Write(at_ms * MS, kind, resource, "ns", name, f"uid-{name}", 1)


def line(output: str, at_ms: int = 0) -> StoredLog:
    return StoredLog(1, "", "debug", output, "", at_ms * MS)


SCRIPT = [
    Step(0.0, Put("pods", pod("web"))),
    Step(0.1, Put("events", event("e1", "Created pod: web"))),
    Step(0.2, Put("pods", pod("web"))),  # a new state of it: nothing to tell
    Step(0.3, Put("events", event("e1", "Created pod: web", count=2))),
    Step(0.4, Put("events", event("e2", "Saw a missed schedule", kind="CronJob"))),  # of no concern to an agent
    Step(0.5, Delete("pods", "web", "ns")),
]
WRITES = [
    written("pods", "web", 0),
    written("events", "e1", 100),
    written("pods", "web", 200, "MODIFIED"),
    written("events", "e1", 300, "MODIFIED"),
    written("events", "e2", 400),
    written("pods", "web", 500, "DELETED"),
]
LINES = [
    line("🐳 Created pod: web", 20),
    line("Created pod: web (SuccessfulCreate)", 130),
    line("Created pod: web (SuccessfulCreate) ×2", 340),
    line("🗑️ Deleted pod: web", 550),
]


def test_each_telling_birth_and_end_is_one_fact() -> None:
    facts = played_facts(SCRIPT, WRITES, WORDING)
    assert [(fact.text, fact.at_unix_ns // MS) for fact in facts] == [
        ("🐳 Created pod: web", 0),
        ("Created pod: web", 100),
        ("Created pod: web", 300),
        ("🗑️ Deleted pod: web", 500),
    ]


def crashing(restarts: int, state: dict[str, Any]) -> dict[str, Any]:
    return {**pod("web"), "status": {"containerStatuses": [{"name": "c", "restartCount": restarts, "state": state}]}}


ENDED = {"terminated": {"exitCode": 1}}
PAUSED = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s restarting failed container=c"}}
CRASH = [
    Step(0.0, Put("pods", crashing(0, ENDED))),
    Step(0.1, Put("pods", crashing(0, ENDED))),
    Step(0.2, Put("pods", crashing(1, ENDED))),
    Step(0.3, Put("pods", crashing(1, PAUSED))),
    Step(0.4, Put("events", {**event("e", "Back-off restarting failed container c"), "reason": "BackOff"})),
]


def test_what_a_status_says_is_a_fact_and_an_event_that_says_no_more_is_none() -> None:
    writes = [written("pods", "web", at_ms) for at_ms in (0, 100, 200, 300)] + [written("events", "e", 400)]
    facts = played_facts(CRASH, writes, WORDING)
    assert [fact.text for fact in facts] == [
        "🐳 Created pod: web",
        "💥 Container c ended with exit code 1",
        "💥 Restart 1 of container c ended with exit code 1",
        "⏳ Container c ended too soon and is started again after a pause of 10 s",
    ]
    told = [line("🐳 Created pod: web"), *(line(fact.text + " after 1 s") for fact in facts[2:])]
    assert (tally([(facts, told)]).folded, tally([(facts, told)]).lost) == (1, 0)
    assert tally([(facts, told[:-2])]).lost == 3


def test_the_first_time_that_a_pod_is_ready_is_a_fact() -> None:
    def ready(at: str) -> dict[str, Any]:
        condition = {"type": "Ready", "status": "True", "lastTransitionTime": f"2026-11-22T15:49:{at}Z"}
        made = {**pod("web"), "status": {"conditions": [condition]}}
        made["metadata"]["creationTimestamp"] = "2026-11-22T15:49:07Z"
        return made

    script = [Step(0.0, Put("pods", ready("09"))), Step(0.1, Put("pods", ready("30")))]
    facts = played_facts(script, [written("pods", "web", at_ms) for at_ms in (0, 100)], WORDING)
    assert [fact.text for fact in facts] == ["🐳 Created pod: web", "⏱️ Pod started in 2 s"]
    at_once = played_facts([Step(0.0, Put("pods", ready("07")))], [written("pods", "web", 0)], WORDING)
    assert at_once[-1].text == "⏱️ Pod started in less than a second"


def test_what_is_not_yet_written_is_not_yet_a_fact() -> None:
    assert len(played_facts(SCRIPT, WRITES[:2], WORDING)) == 2


def test_all_told_is_nothing_lost() -> None:
    assert tally([(played_facts(SCRIPT, WRITES, WORDING), LINES)]) == Tally(4, 4, 0, 0, 0, 0, 0, 35.0)


@pytest.mark.parametrize("missing", [0, 2, 3])
def test_a_missing_line_that_no_later_count_covers_is_a_loss(missing: int) -> None:
    got = tally([(played_facts(SCRIPT, WRITES, WORDING), [*LINES[:missing], *LINES[missing + 1 :]])])
    assert (got.folded, got.lost) == (0, 1)
    assert got.complaints == (f"lost: {played_facts(SCRIPT, WRITES, WORDING)[missing].text}",)


def repeated(*counts: int, name: str = "e") -> list[Fact]:
    return [Fact("Back-off", count * MS, name, count) for count in counts]


def test_a_count_without_a_line_is_folded_into_the_line_of_a_later_count() -> None:
    assert tally([(repeated(1, 2, 3), [line("Back-off", 11), line("Back-off ×3 over 1m", 23)])]) == Tally(
        3, 2, 0, 1, 0, 0, 0, 15.0
    )


@pytest.mark.parametrize("end", ["", " over 12m", " (at 09:30:12 UTC)", " over 2h (on 2026-11-22 at 09:30:12 UTC)"])
def test_a_count_is_read_from_the_end_of_its_line(end: str) -> None:
    got = tally([(repeated(1, 7), [line(f"Back-off (c) ×7{end}")])])
    assert (got.folded, got.lost) == (1, 0)


def test_a_count_within_the_message_is_none() -> None:
    got = tally([([Fact("size ×7 is wrong", 0, "e", 1)], [line("size ×7 is wrong (Sized)")])])
    assert (got.folded, got.lost) == (0, 0)


def test_the_newest_count_is_never_folded() -> None:
    assert tally([(repeated(1, 2, 3), [line("Back-off"), line("Back-off ×2")])]).lost == 1


def test_another_event_with_the_same_words_covers_nothing() -> None:
    facts = [*repeated(1), *repeated(1, 2, name="other")]
    got = tally([(facts, [line("Back-off"), line("Back-off ×2")])])
    assert (got.folded, got.lost) == (1, 0)
    assert tally([(facts, [line("Back-off ×2")])]).lost == 1


def test_a_line_said_twice_is_a_repeat_whichever_it_is() -> None:
    facts = played_facts(SCRIPT, WRITES, WORDING)
    for twice in LINES:
        got = tally([(facts, [*LINES, line(twice.output)])])
        assert (got.lines, got.lost, got.repeated) == (5, 0, 1)


@pytest.mark.parametrize("late", [" (at 09:30:12 UTC)", " (on 2026-11-22 at 09:30:12 UTC)"])
def test_a_line_said_again_late_is_a_repeat_though_it_ends_with_its_own_time(late: str) -> None:
    facts = played_facts(SCRIPT, WRITES, WORDING)
    for twice in LINES:
        got = tally([(facts, [*LINES, line(twice.output + late)])])
        assert (got.lost, got.repeated, got.kept) == (0, 1, False)
        assert got.complaints == (f"repeated: {twice.output}",)


def test_a_line_in_another_workspace_counts_for_nothing() -> None:
    facts = played_facts(SCRIPT, WRITES, WORDING)
    assert tally([(facts, []), ([], LINES)]).lost == 4


def test_the_sum_is_one_line() -> None:
    assert str(Tally(4, 3, 0, 0, 0, 1, 0, 35.4)) == "4 facts in, 3 lines out, latency p50 35 ms: lost 1 · repeated 0"
    folded = "9 facts in, 7 lines out (2 folded into a later ×count), latency p50 35 ms: lost 0 · repeated 0"
    assert str(Tally(9, 7, 0, 2, 0, 0, 0, 35.4)) == folded
    assert "latency p50 unknown" in str(Tally(4, 0, 0, 0, 0, 4, 0, None))
    hidden = (
        "9 facts in, 4 lines out and 4 of hints (3 hidden, 2 folded into a later ×count), latency p50 35 ms: "
        "lost 0 · repeated 0"
    )
    assert str(Tally(9, 8, 4, 2, 3, 0, 0, 35.4)) == hidden


def test_only_what_the_table_hides_may_be_without_a_line() -> None:
    here = event("e3", 'Container image "a" already present on machine') | {"reason": "Pulled", "type": "Normal"}
    script, writes = [Step(0.0, Put("events", here))], [written("events", "e3", 0)]
    by_kubelet = [Step(0.0, Put("events", here | {"source": {"component": "kubelet"}}))]
    got = tally([(played_facts(by_kubelet, writes, WORDING), [])])
    assert (got.facts, got.hidden, got.lost) == (1, 1, 0)
    assert tally([(played_facts(script, writes, WORDING), [])]).lost == 1
    shown = Wording([Sheet(entries=(Entry(reason="Pulled", show=True),))])
    assert tally([(played_facts(by_kubelet, writes, shown), [])]).lost == 1


def test_a_hint_is_no_fact_and_said_twice_it_is_a_repeat() -> None:
    facts = [*repeated(1)]
    hint = line("💡 Back-off means: wait.")
    assert tally([(facts, [hint, line("Back-off", 11)])]) == Tally(1, 2, 1, 0, 0, 0, 0, 10.0)
    assert tally([(facts, [line("Back-off", 11), hint, line(hint.output)])]).repeated == 1


def a_try(name: str, pod: str, count: int = 1, *, combined: bool = False) -> Step:
    value = event(name, f'{"(combined from similar events): " * combined}pods "{pod}" is forbidden', count)
    value["involvedObject"] = {"kind": "ReplicaSet", "name": "rs", "uid": "uid-rs"}
    return Step(0.0, Put("events", {**value, "reason": "FailedCreate"}))


def test_tries_to_make_a_pod_are_counts_of_one_fact() -> None:
    script = [
        a_try("e1", "rs-abcde"),
        a_try("e2", "rs-fghij"),
        a_try("e3", "rs-klmno", 2, combined=True),
        a_try("e3", "rs-pqrst", 3, combined=True),
    ]
    facts = played_facts(script, [written("events", name, 0) for name in ("e1", "e2", "e3", "e3")], WORDING)
    assert [(fact.text, fact.count) for fact in facts] == [
        ('pods "rs-abcde" is forbidden', 1),
        ('pods "rs-fghij" is forbidden', 2),
        ('pods "rs-klmno" is forbidden', 4),
        ('pods "rs-pqrst" is forbidden', 5),
    ]
    first, newest = line(f"FailedCreate: {facts[0].text}"), line(f"FailedCreate: {facts[3].text} ×5 over 2s")
    kept = tally([(facts, [first, newest])])
    assert (kept.lost, kept.repeated, kept.folded) == (0, 0, 2)
    assert tally([(facts, [first])]).complaints == tuple(f"lost: {fact.text}" for fact in facts[1:])
