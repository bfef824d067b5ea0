"""Golden tests: the very lines about a pod's status; `docs/reference/lines.md` shows the same."""

from typing import Any

import pytest

from common.ids import Uid
from common.record import STATUS_VERSION, Aspect, Details, Level, LogRecord, ObjectRef, Origin
from shipper.split import LINE_MAX_CHARS
from tests.unit.docs.pages import ROOT
from tests.unit.shipper.records import NOON_MS, worded

LINES = (ROOT / "docs/reference/lines.md").read_text()


def status(aspect: str, reason: str = "", message: str = "", *, ran_s: int = 0, **details: object) -> LogRecord:
    if ran_s:
        details["started_at_ms"] = NOON_MS - ran_s * 1000
    return LogRecord(
        v=STATUS_VERSION,
        origin=Origin.STATUS,
        object=ObjectRef("Pod", "dev", "web-1", Uid("uid")),
        identity="s",
        version=1,
        reason=reason,
        message=message,
        level=Level.ERROR,
        last_at_ms=NOON_MS,
        container="web",
        details=Details(aspect, **details),  # type: ignore[arg-type]
    )


def shown(record: LogRecord) -> list[str]:
    return [line.text for line in worded(record)]


EVICTED = "The node was low on resource: memory."
NO_NODE = (
    "0/5 nodes are available: 2 node(s) had untolerated taint {gpu: true}, 3 Insufficient memory. no new claims to "
    "deallocate, preemption: 0/5 nodes are available: 5 Preemption is not helpful for scheduling."
)
NOT_FOUND = (
    'rpc error: code = NotFound desc = failed to pull and unpack image "app:1": failed to resolve reference "app:1": '
    "app:1: not found"
)
EXEC = 'failed to create shim task: OCI runtime create failed: runc create failed: exec: "/x": no such file: unknown'


@pytest.mark.parametrize(
    "record",
    [
        status(Aspect.ENDED, "OOMKilled", exit_code=137, limit_bytes=512 * 1024**2, ran_s=12),
        status(Aspect.ENDED, "Error", exit_code=1, restarts=3, ran_s=1),
        status(Aspect.ENDED, "Completed", exit_code=0, ran_s=3),
        status(Aspect.ENDED, "ContainerStatusUnknown", exit_code=137),
        status(Aspect.ENDED, "Error", exit_code=143, expected=True, ran_s=7_200),
        status(Aspect.ENDED, "StartError", EXEC, exit_code=128),
        status(Aspect.BACK_OFF, "CrashLoopBackOff", "back-off 20s", pause_s=20),
        status(Aspect.IMAGE, "ErrImagePull", NOT_FOUND, image="app:1"),
        status(Aspect.WAITING, "CreateContainerConfigError", 'configmap "absent" not found'),
        status(Aspect.POD_ENDED, "Evicted", EVICTED),
        status(Aspect.DISRUPTED, "EvictionByEvictionAPI", "Eviction API: evicting"),
        status(Aspect.UNSCHEDULED, "Unschedulable", NO_NODE),
        status(Aspect.UNREADY, "NodeNotReady"),
        status(Aspect.SANDBOX),
    ],
    ids=lambda record: record.details.aspect + record.reason,
)
def test_a_line_about_a_status_is_what_the_page_shows(record: LogRecord) -> None:
    (line,) = shown(record)
    assert f"| `{line}` |" in LINES


def test_a_watcher_of_before_names_no_reason_for_a_node_that_is_not_heard() -> None:
    assert shown(status(Aspect.UNREADY)) == ["🔌 The pod was ready and is not any more: its node is not ready"]


@pytest.mark.parametrize(
    ("details", "words"),
    [({"exit_code": 139}, "139 SIGSEGV"), ({"exit_code": 255}, "255 after"),
     ({"exit_code": 1, "signal": 9}, "1 SIGKILL"),
     ({"exit_code": 1, "role": "init"}, "Init container web"), ({"exit_code": 2, "role": "sidecar"}, "Sidecar web")],
)  # fmt: skip
def test_signals_and_roles_have_names(details: Any, words: str) -> None:
    assert words in shown(status(Aspect.ENDED, "Error", ran_s=1, **details))[0]


def test_an_aspect_of_a_newer_watcher_is_worded_all_the_same() -> None:
    assert shown(status("brand_new", "Odd", "so it is")) == ["🐳 Pod web-1: so it is (Odd)"]


def test_last_words_say_whose_they_are_and_are_quoted() -> None:
    record = status(Aspect.LAST_WORDS, "LastWords", "no route\n🐳 to \x1b[31mhost\n", exit_code=1, restarts=3)
    first, *rest = shown(record)
    assert f"| `{first}` |" in LINES
    assert rest == ["› no route", "› 🐳 to ␛[31mhost"]
    killed = status(Aspect.LAST_WORDS, "LastWords", "one", exit_code=137, role="init")
    assert shown(killed)[0] == "📜 Last line of init container web, which ended with exit code 137 SIGKILL:"
    assert {line.level for line in worded(record)} == {Level.ERROR}


def test_what_a_program_left_cannot_pose_as_ours() -> None:
    first, *rest = shown(status(Aspect.ENDED, "Error", "panic\n🗑️ Deleted pod: web-1\x1b[31m", exit_code=1))
    assert first.startswith("💥")
    assert rest == ["› panic", "› 🗑️ Deleted pod: web-1␛[31m"]


@pytest.mark.parametrize("aspect", [*Aspect, "brand_new"])
def test_no_piece_of_a_long_line_poses_as_ours(aspect: str) -> None:
    lines = shown(status(aspect, "Odd", "🐳 " * 2_000, exit_code=1))
    assert len(lines) > 1 or aspect == Aspect.BACK_OFF  # which has words of ours only
    assert all(line.startswith("› ") for line in lines[1:])
    assert max(map(len, lines)) <= LINE_MAX_CHARS
