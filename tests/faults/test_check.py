"""The judge of the fault schedules sees each kind of broken promise, and excuses only what it must."""

import msgspec
import pytest

from tests.faults.check import check, key_of
from tests.faults.coder import Request
from tests.faults.record import LAGGED, Disturbance, Findings, Flush, Listed, Pod, Record, Said

TOKEN = "11111111-2222-4333-8444-555555555555"
OTHER = "99999999-2222-4333-8444-555555555555"
CREATED = "🐳 Created pod: p"
SAID = [
    Said(TOKEN, "p", "created p", 1, 10),
    Said(TOKEN, "p", "w0e0", 1, 11),
    Said(TOKEN, "p", "w0e1", 1, 12),
    Said(TOKEN, "p", "w0e0", 2, 13),
]
LINES = (CREATED, "w0e0 happened (Because)", "w0e1 happened (Because)", "w0e0 happened (Because) ×2 over 3s")


def request(*lines: str, began_s: float = 10.0, owner: str = "s0.1", answered: bool = True) -> Request:
    return Request(owner, TOKEN, began_s, began_s + 1.0, answered, lines)


def judged(*requests: Request, disturbed: str = "", **changes: object) -> Findings:
    """What is found if these requests took effect one after another, `disturbed` at 11 s."""
    record = Record(
        said=SAID,
        pods={"p": Pod(TOKEN, 0.0)},
        logs={TOKEN: [line for each in requests for line in each.lines]},
        requests=requests,
        disturbances=[Disturbance(disturbed, "kill", 11.0, 11.0)] if disturbed else [],
        compacted_s=[],
        listed=[],
        drops={},
        refused={},
        late={},
        reasons={},
        verdicts={},
        watchers=frozenset({"w0.1"}),
    )
    return check(msgspec.structs.replace(record, **changes))


@pytest.mark.parametrize(
    ("line", "key"),
    [
        (CREATED, ("created p", 1)),
        ("🗑️ Deleted pod: w1-pod0 (at 10:00:00 UTC)", ("deleted w1-pod0", 1)),
        ("Because: w0e0 happened", ("w0e0", 1)),
        ("w0e0 happened (Because) ×12 over 3m", ("w0e0", 12)),
        ("The 256 KiB for Kubernetes messages in this log are used up", None),
    ],
)
def test_a_line_is_known_by_what_it_tells(line: str, key: tuple[str, int] | None) -> None:
    assert key_of(line) == key


def test_all_told_once_and_in_order_is_no_fault() -> None:
    found = judged(request(*LINES))
    assert (found.faults, found.lines, found.repeated, found.ambiguous) == ([], 4, 0, 0)


def test_a_line_that_never_came_is_lost() -> None:
    assert judged(request(*LINES[:2], LINES[3])).lost == ["w0e1 ×1 of p"]


def test_a_count_is_told_by_a_later_one_but_not_by_an_earlier_one() -> None:
    assert judged(request(CREATED, LINES[2], LINES[3])).lost == []
    assert judged(request(*LINES[:3])).lost == ["w0e0 ×2 of p"]


def test_a_loss_is_excused_by_a_drop_that_redis_counted_for_this_agent_only() -> None:
    few = request(*LINES[:2], LINES[3])
    assert judged(few, drops={TOKEN: 1}).lost == []
    assert judged(few, drops={OTHER: 1}).lost == ["w0e1 ×1 of p"]


@pytest.mark.parametrize(
    ("flush_s", "disturbed", "excused"), [(9.0, "w0.1", True), (9.0, "s0.1", False), (12.0, "w0.1", False)]
)
def test_disorder_is_excused_where_redis_was_emptied_and_a_watcher_came_anew(
    flush_s: float, disturbed: str, *, excused: bool
) -> None:
    late = request(CREATED, *reversed(LINES[1:3]), LINES[3])
    found = judged(late, disturbances=[Disturbance(disturbed, "kill", 8.0, 8.5)], flushes=[Flush(flush_s, {})])
    assert (len(found.after_flush), len(found.disordered)) == ((1, 0) if excused else (0, 1))


GONE = {"p": Pod(TOKEN, 8.0, 20.0)}
KILLED = [Disturbance("w0.1", "kill", 12.0, 13.0)]


@pytest.mark.parametrize(
    ("excused", "pods", "expired", "compacted_s", "disturbances"),
    [
        (True, GONE, {"w0e1"}, [], KILLED),
        (True, GONE, {"w0e1"}, [9.0], []),
        (False, {"p": Pod(TOKEN, 8.0)}, {"w0e1"}, [], KILLED),  # it is still there
        (False, GONE, {"w0e0"}, [], KILLED),  # another one expired
        (False, GONE, {"w0e1"}, [], []),  # nothing kept anybody from knowing the pod
        (False, {"p": Pod(TOKEN, 28.0, 30.0)}, {"w0e1"}, [7.0], [Disturbance("w0.1", "kill", 6.0, 7.0)]),  # long before
        (False, GONE, {"w0e1"}, [], [Disturbance("w0.1", "kill", 41.0, 42.0)]),  # long after its end
        (False, GONE, {"w0e1"}, [], [Disturbance("s0.1", "kill", 12.0, 13.0)]),
    ],
)
def test_an_event_that_expired_is_excused_if_its_pod_could_not_be_known(
    pods: dict[str, Pod], expired: set[str], compacted_s: list[float], disturbances: list[Disturbance], *, excused: bool
) -> None:
    found = judged(
        request(*LINES[:2], LINES[3]), pods=pods, expired=frozenset(expired), compacted_s=compacted_s,
        disturbances=disturbances, verdicts={"parked_expired": 1},
    )  # fmt: skip
    assert (found.lost, found.expired) == (([], 1) if excused else (["w0e1 ×1 of p"], 0))


def test_what_expired_and_was_not_counted_is_said() -> None:
    found = judged(request(*LINES), expired=frozenset({"w0e1"}))
    assert found.unreasoned == ["1 of 1 events without their pod"]


def at(at_s: float) -> list[Said]:
    return [msgspec.structs.replace(each, at_s=at_s if each.what == "w0e1" else 0.0) for each in SAID]


@pytest.mark.parametrize(
    ("excused", "at_s", "flush", "disturbed"),
    [
        (True, 5.0, Flush(10.0, {TOKEN: 1}), ""),  # it waited
        (False, 5.0, Flush(10.0, {TOKEN: 0}), ""),
        (False, 5.0, Flush(10.0, {OTHER: 1}), ""),
        (False, 11.0, Flush(10.0, {TOKEN: 1}), ""),  # it came later
        (True, 9.5, Flush(10.0, {TOKEN: 0}), ""),  # it was under way
        (True, 5.0, Flush(10.0, {TOKEN: 0}), "w0.1"),  # who had read it was no more
        (False, 5.0, Flush(10.0, {TOKEN: 0}), "s0.1"),
        (True, 12.0, Flush(10.0, {TOKEN: 0}, frozenset({"w0.1"})), "w0.1"),  # nobody was left who knew
        (False, 12.0, Flush(10.0, {TOKEN: 0}, frozenset({"w0.1", "w1.2"})), "w0.1"),
    ],
)
def test_what_was_lost_when_redis_was_emptied_is_counted_for_itself(
    at_s: float, flush: Flush, disturbed: str, *, excused: bool
) -> None:
    found = judged(request(*LINES[:2], LINES[3]), said=at(at_s), flushes=[flush], disturbed=disturbed)
    assert (found.lost, found.lost_to_flush) == (([], 1) if excused else (["w0e1 ×1 of p"], 0))


@pytest.mark.parametrize(
    ("flush_s", "disturbed", "compacted_s", "excused"),
    [
        (15.0, "w0.1", [], True),
        (15.0, "", [14.0], True),
        (15.0, "", [24.0], False),
        (15.0, "", [], False),
        (5.0, "w0.1", [], False),
    ],
)
def test_a_repeat_after_redis_was_emptied_needs_a_watcher_that_knew_nothing_or_listed(
    flush_s: float, disturbed: str, compacted_s: list[float], *, excused: bool
) -> None:
    again = request(LINES[3], began_s=20.0, owner="s1.1")
    flushes = [Flush(flush_s, {})]
    found = judged(request(*LINES), again, disturbed=disturbed, flushes=flushes, compacted_s=compacted_s)
    assert (len(found.unexplained_repeats), found.repeated_by_flush) == ((0, 1) if excused else (1, 0))


def test_a_repeat_needs_a_reason() -> None:
    again = request(LINES[3], began_s=20.0, owner="s1.1")
    assert len(judged(request(*LINES), again).unexplained_repeats) == 1
    assert judged(request(*LINES, answered=False), again).unexplained_repeats == []
    assert judged(request(*LINES), again, disturbed="s0.1").unexplained_repeats == []
    assert len(judged(request(*LINES), again, disturbed="s1.1").unexplained_repeats) == 1


def test_first_tellings_must_keep_their_order() -> None:
    swapped = judged(request(CREATED, LINES[2], LINES[1], LINES[3]))
    assert swapped.disordered == ["w0e0 ×1 after w0e1 ×1 (p)"]
    again = judged(request(*LINES, answered=False), request(*LINES, began_s=20.0))
    assert again.disordered == []


@pytest.mark.parametrize(
    ("disturbances", "excused"),
    [
        ([], False),
        ([Disturbance("", LAGGED, 8.0, 9.5)], False),  # its watcher remembers what was lost, and writes it again
        ([Disturbance("", LAGGED, 8.0, 9.5), Disturbance("w0.1", "kill", 7.0, 7.0)], True),
        ([Disturbance("", LAGGED, 8.0, 9.5), Disturbance("s0.1", "kill", 7.0, 7.0)], False),
        ([Disturbance("", LAGGED, 8.0, 9.5), Disturbance("w0.1", "kill", 10.0, 10.0)], False),
        ([Disturbance("", LAGGED, 28.0, 29.5), Disturbance("w0.1", "kill", 7.0, 7.0)], False),
        ([Disturbance("", LAGGED, 10.5, 12.0), Disturbance("w0.1", "kill", 7.0, 7.0)], False),  # told before that
        ([Disturbance("", LAGGED, 8.0, 9.5), Disturbance("", "the machine was busy", 7.0, 7.9)], False),
        ([Disturbance("", LAGGED, 8.0, 9.5), Disturbance("", "the machine was busy", 1.0, 7.9)], True),
    ],
)
def test_disorder_is_excused_where_redis_lost_what_a_watcher_told_while_another_took_its_place(
    disturbances: list[Disturbance], *, excused: bool
) -> None:
    found = judged(request(CREATED, *reversed(LINES[1:3]), LINES[3]), disturbances=disturbances)
    assert (len(found.after_lag), len(found.disordered)) == ((1, 0) if excused else (0, 1))


@pytest.mark.parametrize(
    ("lag", "drops", "excused"),
    [
        (Disturbance("", LAGGED, 8.0, 9.5), {}, True),
        (Disturbance("", LAGGED, 8.0, 9.5), {TOKEN: 1}, False),
        (Disturbance("", LAGGED, 28.0, 29.5), {}, False),
        (Disturbance("s0.1", "kill", 8.0, 9.5), {}, False),
    ],
    ids=["forgotten", "known", "told before that", "no lag"],
)
def test_disorder_is_excused_where_redis_lost_that_the_record_had_been_dropped(
    lag: Disturbance, drops: dict[str, int], *, excused: bool
) -> None:
    late = request(CREATED, *reversed(LINES[1:3]), LINES[3])
    found = judged(late, disturbances=[lag], drops=drops, reasons={"body_too_large": 1})
    assert (len(found.after_drop), len(found.disordered)) == ((1, 0) if excused else (0, 1))
    twice = judged(request(LINES[2], LINES[1], CREATED), disturbances=[lag], reasons={"body_too_large": 1})
    assert len(twice.disordered) >= 1, "one drop explains one late line"


@pytest.mark.parametrize(
    ("lag", "explained"),
    [(None, False), ((10.5, 12.0), True), ((11.5, 12.0), False), ((1.0, 2.0), False)],
    ids=["none", "while it was told", "later", "long before"],
)
def test_an_older_count_is_a_repeat_of_a_later_one_which_only_a_redis_explains_that_lost_that(
    lag: tuple[float, float] | None, *, explained: bool
) -> None:
    first = request(CREATED, LINES[3], LINES[2])
    found = judged(
        first,
        request(LINES[1], LINES[3], LINES[2], began_s=20.0),
        disturbances=[Disturbance("s0.1", "kill", 11.0, 11.0), *([Disturbance("", LAGGED, *lag)] if lag else [])],
        said=[*SAID[:2], msgspec.structs.replace(SAID[3], version=12), msgspec.structs.replace(SAID[2], version=13)],
    )
    assert found.disordered == []
    assert (found.repeated, len(found.unexplained_repeats)) == (3, 0 if explained else 1)


def test_the_coming_of_a_pod_is_told_first() -> None:
    assert judged(request(LINES[1], CREATED, *LINES[2:])).disordered == ["created p ×1 after w0e0 ×1 (p)"]


def test_a_line_for_somebody_else_is_foreign() -> None:
    assert judged(request(*LINES), logs={TOKEN: LINES, OTHER: LINES[:1]}).foreign == [CREATED]
    assert judged(request(*LINES), logs={TOKEN: [*LINES, "w9e9 happened"]}).foreign == ["w9e9 happened"]


def test_two_requests_at_once_need_a_sender_that_lost_its_lease() -> None:
    second = request(began_s=10.5, owner="s1.1")
    assert len(judged(request(*LINES), second).in_flight) == 1
    assert judged(request(*LINES, began_s=9.0), request(began_s=10.0)).in_flight == []
    late = request(began_s=11.5, owner="s1.1")
    slow = Request("s0.1", TOKEN, 10.0, 12.0, True, LINES)
    assert judged(slow, late, disturbed="s0.1").in_flight == []
    assert len(judged(slow, request(began_s=11.5), disturbed="s0.1").in_flight) == 1


def test_of_a_pod_that_went_before_its_secret_was_read_nothing_need_be_told_and_else_all() -> None:
    gone = {"p": Pod(TOKEN, 0.0, 9.0, by_secret=True)}
    assert judged(pods=gone).lost == []
    assert judged(pods=gone).unread == 3
    assert len(judged(request(CREATED), pods=gone).lost) == 2
    assert len(judged(pods={"p": Pod(TOKEN, 0.0, by_secret=True)}).lost) == 3


def test_a_pod_that_came_and_went_while_kubernetes_forgot_is_excused_but_not_its_end_alone() -> None:
    said = [SAID[0], Said(TOKEN, "p", "deleted p", 1, 14)]
    gone = {"p": Pod(TOKEN, 5.0, 9.0)}
    shown = [Listed(4.5, "")]
    assert judged(said=said, pods=gone, compacted_s=[8.0], listed=shown).unseen == 2
    assert len(judged(said=said, pods=gone, compacted_s=[4.0], listed=shown).lost) == 2
    assert judged(request(CREATED), said=said, pods=gone, compacted_s=[8.0]).lost == ["deleted p ×1 of p"]


@pytest.mark.parametrize(
    ("shown", "disturbed", "lost"),
    [
        ([], "", 0),
        ([Listed(3.5, "")], "", 0),  # before the history was forgotten
        ([Listed(9.5, "")], "", 0),  # after the pod had gone
        ([Listed(6.0, "elsewhere")], "", 0),
        ([Listed(6.0, "")], "w0.1", 0),  # to a watcher that was killed
        ([Listed(6.0, "")], "s0.1", 2),
        ([Listed(6.0, "home")], "", 2),
        ([Listed(4.5, "home")], "", 2),  # a watch from then on shows the pod
    ],
)
def test_a_pod_that_came_after_history_was_forgotten_is_excused_unless_a_list_led_to_it(
    shown: list[Listed], disturbed: str, lost: int
) -> None:
    said = [SAID[0], Said(TOKEN, "p", "deleted p", 1, 14)]
    short = {"p": Pod(TOKEN, 5.0, 9.0, namespace="home")}
    killed = [Disturbance(disturbed, "kill", 7.0, 7.0)] if disturbed else []
    found = judged(said=said, pods=short, compacted_s=[4.0], listed=shown, disturbances=killed)
    assert (len(found.lost), found.unseen) == (lost, 2 - lost)


def test_a_drop_in_redis_needs_a_reason_in_a_metric() -> None:
    dropped = {TOKEN: 2, OTHER: 1}
    assert judged(request(*LINES), drops=dropped, reasons={"quota": 2, "upload_failed": 1}).unreasoned == []
    assert judged(request(*LINES), drops=dropped, reasons={"quota": 2}).faults == [
        "dropped without a reason: 1 of 3 records"
    ]


def test_what_redis_refused_excuses_a_loss_and_needs_no_reason_of_a_shipper() -> None:
    few = judged(request(*LINES[:2], LINES[3]), refused={TOKEN: 1})
    assert (few.lost, few.unreasoned, few.dropped) == ([], [], 1)


def test_what_came_too_late_excuses_a_loss_and_needs_a_verdict_of_a_watcher() -> None:
    def found(verdicts: dict[str, int]) -> list[str]:
        return judged(request(*LINES[:2], LINES[3]), late={TOKEN: 1}, verdicts=verdicts).faults

    assert found({"ended": 1}) == []
    assert found({"duplicate": 1}) == []  # the answer had got lost, and the append was made again
    assert found({"accepted": 9}) == ["dropped without a reason: 1 of 1 records of agents that had ended"]


def test_every_finding_is_a_fault() -> None:
    found = Findings(
        lost=["a"],
        unexplained_repeats=["b"],
        disordered=["c"],
        unreasoned=["d"],
        foreign=["e"],
        in_flight=["f"],
    )
    assert [each[-1] for each in found.faults] == ["a", "b", "c", "d", "e", "f"]


def test_a_shipper_that_was_paused_may_not_send_after_its_successor() -> None:
    paused = [Disturbance("s1.2", "pause a shipper past its leases", 7.0, 12.9)]
    twice = request(LINES[1], began_s=8.0), request(LINES[1], began_s=13.0, owner="s1.2")
    assert judged(request(CREATED, began_s=7.5), *twice, disturbances=paused).unexplained_repeats
