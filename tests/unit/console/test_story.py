"""One workspace's story, from what Redis and Kubernetes tell."""

from collections.abc import Mapping

import msgspec
import pytest

from common.checkup import Mark
from common.ids import AgentId, Uid
from common.store.glance import AgentGlance
from common.store.model import AgentState, Card, EndReason, OtherEnd
from common.whereabouts import ObjectSeen, TokenPlace
from console.findings_text import finding_line
from console.reason_texts import WORDS
from console.story import Setting, is_called, stories
from shipper.hold import SEVERAL
from shipper.reasons import Reason

NOW_MS = 1_800_000_000_000
READERS: Mapping[str, tuple[str, float]] = {"coder": ("host/1", 4.0)}
AT = Setting(NOW_MS, "https://coder.example.com", 262_144, READERS, asked_kubernetes=True)
POD = ObjectSeen(
    "Pod", "coder", "web-1", "uid-1", NOW_MS - 600_000, "web", "alice", "coder",
    places=(TokenPlace("dev", "the value of CODER_AGENT_TOKEN"),),
)  # fmt: skip


def agent(state: AgentState | None = None, *, due_in_s: float | None = None, **more: object) -> AgentGlance:
    fields: dict[str, object] = {
        "agent": AgentId("a" * 32), "card": Card(b"sealed", "coder", "web-1", "web", "alice"),
        "state": state or AgentState(lines=12, spent_bytes=3_300), "is_claimed": False, "objects": 1,
        "due_at_ms": None if due_in_s is None else NOW_MS + round(due_in_s * 1000), "waiting_bytes": 0, "dropped": 0,
        "late": 0, "known_by": (Uid("uid-1"),),
    }  # fmt: skip
    return AgentGlance(**{**fields, **more})  # type: ignore[arg-type]


def told(*agents: AgentGlance, objects: tuple[ObjectSeen, ...] = (POD,), at: Setting = AT) -> list[str]:
    """All lines but those of what is well."""
    findings = [each for story in stories(objects, agents, at) for each in story.findings]
    return [finding_line(each) for each in findings if each.mark is not Mark.FINE]


def held(why: str, for_s: float) -> AgentGlance:
    state = AgentState(held_since_ms=NOW_MS - round(for_s * 1000), held_why=why, tries=7)
    return agent(state, due_in_s=30, waiting_records=3, waiting_bytes=900, waiting_since_ms=NOW_MS - 200_000)


def test_a_workspace_that_is_well_is_told_along_the_way_of_its_lines() -> None:
    (story,) = stories((POD,), (agent(),), AT)
    assert (story.title, story.phase) == ("alice/web (coder/web-1)", "idle")
    whence = "has its agent token from the value of CODER_AGENT_TOKEN (container dev)"
    assert [finding_line(each) for each in story.findings] == [
        f"✓ Kubernetes: Pod coder/web-1: {whence}, made 10 min ago",
        "✓ Kubernetes: namespace coder: read by watcher host/1",
        "✓ Redis: records: none waits",
        "✓ Coder: delivered: 12 lines, 3.2 KiB of 256.0 KiB",
    ]


def test_a_401_is_patience_at_first_and_after_two_minutes_it_is_not() -> None:
    (young,) = told(held("unauthorized", 60))
    assert young.startswith("⚠ Coder: held: for 60 s, tried 7 times: Coder does not know this agent (401) → wait")
    (old,) = told(held("unauthorized", 200))
    assert old.startswith("✗ Coder: held: for 3 min, tried 7 times: Coder does not know this agent (401) → does the")


def test_another_coder_is_named_only_where_ours_does_not_know_the_agent() -> None:
    other = msgspec.structs.replace(POD, agent_urls=("https://other.example.com",))
    (line,) = told(held("unauthorized", 200), objects=(other,))
    assert "; its container reports to https://other.example.com, lines go to https://coder.example.com" in line
    assert told(agent(), objects=(other,)) == []
    same = msgspec.structs.replace(POD, agent_urls=("https://coder.example.com",))
    assert "reports to" not in told(held("unauthorized", 200), objects=(same,))[0]


def test_what_is_due_and_served_by_nobody_is_said() -> None:
    assert told(agent(due_in_s=-2, waiting_records=1)) == []
    (line,) = told(agent(due_in_s=-60, waiting_records=1, waiting_bytes=100))
    assert line.startswith("✗ Redis: records: 1 wait (100 B): due for 60 s → does a shipper run?")


@pytest.mark.parametrize("why", EndReason)
def test_an_agent_that_takes_no_more_says_why(why: EndReason) -> None:
    (line,) = told(agent(AgentState(ended=why)))
    assert line.startswith("✗ Coder: ended: takes no more lines: ")
    assert " → " in line


def test_an_end_that_only_another_release_knows_is_told_as_unknown() -> None:
    (line,) = told(agent(AgentState(ended=OtherEnd("weather"))))
    assert line.startswith("✗ Coder: ended: takes no more lines: unknown, of another release (weather) → ")


def test_what_will_never_be_shown_is_counted() -> None:
    (line,) = told(agent(AgentState(unsaid=2, unsaid_why="unreachable"), dropped=2, late=1))
    assert line.startswith("⚠ Coder: missing: 3 records will never be shown, the last of them because Coder cannot")


def test_a_namespace_that_nobody_reads_and_a_watcher_that_is_silent_are_said() -> None:
    nobody = msgspec.structs.replace(AT, readers={})
    assert told(agent(), at=nobody)[0].startswith("✗ Kubernetes: namespace coder: no watcher reads it → start one")
    silent = msgspec.structs.replace(AT, readers={"coder": ("host/1", -30.0)})
    assert "its watcher host/1 is silent; its lease ran out 30 s ago" in told(agent(), at=silent)[0]
    unseen = msgspec.structs.replace(AT, readers=None)
    assert told(agent(), at=unseen) == []


def test_an_object_without_an_agent_says_why() -> None:
    left_out = msgspec.structs.replace(POD, left_out="namespace coder is not watched", remedy="add it")
    assert told(objects=(left_out,)) == [
        "✗ Kubernetes: Pod coder/web-1: not followed: namespace coder is not watched → add it"
    ]
    bare = msgspec.structs.replace(POD, places=())
    assert told(objects=(bare,))[0].startswith(
        "⚠ Kubernetes: Pod coder/web-1: no token: no container has CODER_AGENT_T"
    )
    place = TokenPlace("dev", "Secret s, key t", "there is no such Secret", "make it")
    (line,) = told(objects=(msgspec.structs.replace(POD, places=(place,)),))
    assert line == (
        "✗ Kubernetes: Pod coder/web-1: no token for container dev from Secret s, key t: there is no such Secret → "
        "make it"
    )
    assert "its agent is not known there" in told()[0]  # it has a token, and Redis knows nothing


def test_an_object_belongs_to_its_agents_by_uid_and_not_by_name() -> None:
    namesake = msgspec.structs.replace(POD, uid="another")
    titles = [story.title for story in stories((namesake,), (agent(),), AT)]
    assert titles == ["alice/web (coder/web-1)", "alice/web (Pod coder/web-1)"]


def test_an_agent_whose_objects_are_gone_says_so_if_kubernetes_was_asked() -> None:
    (story,) = stories((), (agent(),), AT)
    assert story.findings[0].said == "none of its objects is there any more; 1 of its objects are followed"
    (unasked,) = stories((), (agent(),), msgspec.structs.replace(AT, asked_kubernetes=False))
    assert unasked.findings[0].about == "records"


def test_by_which_names_an_agent_is_called() -> None:
    for name in ("a" * 32, "web-1", "coder/web-1", "web", "alice", "alice/web"):
        assert is_called(agent(), name), name
    for name in ("", "web-", "we", "bob", "a" * 31, "bob/web"):
        assert not is_called(agent(), name), name
    assert not is_called(agent(card=None), "web")


def test_every_word_that_shippers_leave_is_explained() -> None:
    assert WORDS.keys() == {*Reason, SEVERAL}
