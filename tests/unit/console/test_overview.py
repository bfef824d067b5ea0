"""How a whole release stands, from what Redis tells."""

import msgspec

from common.bell import Worker
from common.ids import AgentId, Unit, WatcherId
from common.store.glance import AgentGlance, Tenure
from common.store.model import AgentState, Backlog, Card
from console.overview import TOP, overview, overview_text, size, span

NOW_MS = 1_800_000_000_000
BACKLOG = Backlog(
    waiting_records=7, due_agents=1, claimed_agents=1, scheduled_agents=3, oldest_due_s=4.0, drainers_awake=1,
    drainers_asleep=1,
)  # fmt: skip
TENURES = [
    Tenure(WatcherId("host/1/x"), tuple(Unit(f"*{number}") for number in range(64)), 4.0),
    Tenure(WatcherId("host/2/y"), (Unit("a"), Unit("b")), -20.0),
]
WORKERS = [Worker("host-a", "busy"), Worker("host-b", "idle")]


def agent(name: str, state: AgentState, *, waits_s: float | None = None, due_in_s: float = 5.0) -> AgentGlance:
    waits = waits_s is not None
    return AgentGlance(
        agent=AgentId(name), card=Card(b"", "coder", f"{name}-pod", name, "alice"), state=state,
        due_at_ms=NOW_MS + round(due_in_s * 1000) if waits else None, is_claimed=False, objects=1,
        waiting_bytes=100 if waits else 0, dropped=0, late=0, waiting_records=1 if waits else 0,
        waiting_since_ms=NOW_MS - round(waits_s * 1000) if waits_s is not None else None,
    )  # fmt: skip


def held(why: str, for_s: float) -> AgentState:
    return AgentState(held_since_ms=NOW_MS - round(for_s * 1000), held_why=why, tries=1)


AGENTS = [
    agent("quiet", AgentState()),
    agent("loud", AgentState(lines=90, spent_bytes=9_000)),
    agent("speaks", AgentState(lines=100, spent_bytes=2_000)),
    agent("new", held("unauthorized", 60), waits_s=60),
    agent("lost", held("unauthorized", 300), waits_s=300),
    agent("cut-off", held("unreachable", 600), waits_s=600),
]


def lines(**changes: object) -> list[str]:
    view = overview("logstream", NOW_MS, AGENTS, BACKLOG, TENURES, WORKERS, 2, ["not shown: something"])
    return overview_text(msgspec.structs.replace(view, **changes)).splitlines()


PAGE = """\
coder-logstream at 2027-01-15T08:00:00+00:00, prefix logstream
watchers   host/1/x reads 64 of 128 slots of the whole cluster
           host/2/y reads namespaces a, b — ⚠ silent, its lease ran out 20 s ago
shippers   2: host-a (busy), host-b (idle); 2 on shift, 2 bells unanswered
backlog    7 records of 3 agents: 1 due, the oldest for 4 s, 1 being served
agents     6: 3 held, 3 idle
401        ⚠ Coder has not known 1 agent for over two minutes, the longest for 5 min → does the build take so
noisy      alice/loud (coder/loud-pod): 90 lines, 8.8 KiB
           alice/speaks (coder/speaks-pod): 100 lines, 2.0 KiB
waiting    alice/cut-off (coder/cut-off-pod): 1 record, 100 B, for 10 min, held for 10 min: Coder cannot be reached
           alice/lost (coder/lost-pod): 1 record, 100 B, for 5 min, held for 5 min: Coder does not know this agent
           alice/new (coder/new-pod): 1 record, 100 B, for 60 s, held for 60 s: Coder does not know this agent
note       not shown: something
"""


def test_it_is_a_page_for_a_ticket() -> None:
    shown = [line.partition(" (401)")[0].partition(" long (wait_for")[0] for line in lines()]
    assert shown == PAGE.splitlines()


def test_nobody_at_work_is_said_with_what_to_do() -> None:
    shown = lines(watchers=(), shippers=(), drainers_awake=0, drainers_asleep=0)
    assert shown[1].startswith("watchers   ✗ none reads anything → ")
    assert shown[2].startswith("shippers   ✗ none answers bells, 2 bells unanswered → ")


def test_what_may_not_be_read_is_not_said_to_be_missing() -> None:
    shown = lines(watchers=None, shippers=None, bells_unanswered=None)
    assert shown[1] == "shippers   2 on shift"


def test_of_many_the_first_are_shown() -> None:
    many = [agent(f"a{number}", AgentState(lines=number + 1)) for number in range(20)]
    view = overview("p", NOW_MS, many, BACKLOG, TENURES, WORKERS, 0, [])
    assert len(view.noisy) == TOP
    assert view.waiting == ()


def test_spans_and_sizes_are_for_people() -> None:
    assert [span(each) for each in (-1, 0.44, 1, 119, 120, 7_199, 7_200, 172_800)] == [
        "0.0 s", "0.4 s", "1 s", "119 s", "2 min", "120 min", "2 h", "2 d",
    ]  # fmt: skip
    assert [size(each) for each in (0, 1_023, 1_536)] == ["0 B", "1023 B", "1.5 KiB"]
