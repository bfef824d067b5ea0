"""Golden tests: the very lines that a workspace's owner reads."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.record import Level, LogRecord
from shipper.hold import SEVERAL
from shipper.reasons import Reason
from shipper.split import LINE_MAX_CHARS
from shipper.text import LATE_MS, budget_line, gap_line
from tests.unit.shipper.records import NOON_MS, event, life, worded


def shown(record: LogRecord, now_ms: int = NOON_MS) -> list[str]:
    return [line.text for line in worded(record, now_ms)]


@pytest.mark.parametrize(
    ("record", "line"),
    [
        (life("Pod", "created"), "🐳 Created pod: web-1"),
        (life("ReplicaSet", "queued", "web-abc"), "🐳 Queued pod from ReplicaSet: web-abc"),
        (life("Pod", "deleted"), "🗑️ Deleted pod: web-1"),
        (life("ReplicaSet", "deleted", "web-abc"), "🗑️ Deleted ReplicaSet: web-abc"),
    ],
)
def test_the_lines_that_users_of_the_go_peer_know(record: LogRecord, line: str) -> None:
    assert shown(record) == [line]


@pytest.mark.parametrize(
    ("count", "line"),
    [
        (1, "⚠️ 1 earlier message about web-1 is missing here: not kept until it was known."),
        (12, "⚠️ 12 earlier messages about web-1 are missing here: not kept until it was known."),
    ],
)
def test_what_was_not_kept_for_an_object_is_one_line(count: int, line: str) -> None:
    record = msgspec.structs.replace(life("Pod", "NotKept"), count=count)
    assert shown(record) == [line]


def test_an_object_that_is_not_followed_is_one_line_with_the_remedy() -> None:
    (line,) = shown(life("Pod", "NotFollowed"))
    assert line.startswith("⚠️ Messages about web-1 are missing here: the watcher follows as many objects as it may.")
    assert line.endswith("An administrator can raise --known-max.")


WARN = Level.WARN
NO_NODES = "0/3 nodes are available: 3 Insufficient cpu."


@pytest.mark.parametrize(
    ("record", "line"),
    [
        (event('Pulling image "app:1.0"', reason="Pulling"), 'Pulling image "app:1.0"'),
        (event("Successfully assigned dev/web-1 to node-a", reason="Scheduled"),
         "Successfully assigned dev/web-1 to node-a (Scheduled)"),
        (event("Container started", reason="Started", container="init-db"), "Container started (init-db)"),
        (event("Stopping container main", reason="Killing", container="main"), "Stopping container main (Killing)"),
        (event("Done", reason="Pulled", container="main"), "Done (Pulled, main)"),
        (event(NO_NODES, reason="FailedScheduling", level=WARN), f"FailedScheduling: {NO_NODES}"),
        (event("Back-off restarting failed container main in pod web-1", reason="BackOff", level=WARN),
         "Back-off restarting failed container main in pod web-1"),
        (event("", reason="Evicted", level=WARN), "Evicted"),
        (event(), "Kubernetes event without a message"),
        (event("Readiness probe failed: not yet\n", reason="Unhealthy", level=WARN),
         "Unhealthy: Readiness probe failed: not yet"),
        (event("Liveness probe failed: ", reason="Unhealthy", level=WARN, container="main"),
         "Unhealthy: Liveness probe failed (main)"),
        (event(" : ", reason="Odd"), " :  (Odd)"),
    ],
)  # fmt: skip
def test_an_event_is_its_message_and_what_the_message_leaves_out(record: LogRecord, line: str) -> None:
    assert shown(record) == [line]


@pytest.mark.parametrize(
    ("count", "span_s", "repeats"),
    [(1, 60, ""), (4, 0, " ×4"), (4, 45, " ×4 over 45s"), (4, 60, " ×4 over 1m"), (9, 7_300, " ×9 over 2h"),
     (30, 3 * 86_400, " ×30 over 3d")],
)  # fmt: skip
def test_repeats_say_how_often_and_over_what_time(count: int, span_s: int, repeats: str) -> None:
    record = event("Back-off", reason="BackOff", count=count, first_at_ms=NOON_MS - span_s * 1_000)
    assert shown(record) == [f"Back-off{repeats}"]


@pytest.mark.parametrize(
    ("kind", "name", "message", "line"),
    [
        ("PersistentVolumeClaim", "home", "no class is set", "no class is set (Said, volume claim home)"),
        ("PersistentVolumeClaim", "home", 'for claim "dev/home"', 'for claim "dev/home" (Said)'),
        ("PersistentVolumeClaim", "home", "for claim home-2", "for claim home-2 (Said, volume claim home)"),
        ("Node", "ip-1.ec2.internal", "Node ip-1.ec2.internal is away", "Said: Node ip-1.ec2.internal is away"),
        ("Job", "ws", "Job has failed", "Job has failed (Said, Job ws)"),
        ("Pod", "ws", "It has failed", "It has failed (Said)"),
    ],
)
def test_what_stands_beside_the_pod_is_named(kind: str, name: str, message: str, line: str) -> None:
    record = msgspec.structs.replace(event(message, reason="Said"), container="")
    about = msgspec.structs.replace(record.object, kind=kind, name=name)
    assert shown(msgspec.structs.replace(record, object=about)) == [line]


def test_repeats_of_unknown_beginning_have_no_span() -> None:
    assert shown(event("Back-off", count=3, first_at_ms=0)) == ["Back-off ×3"]


def test_a_late_line_carries_its_own_time() -> None:
    assert shown(event("Pulled"), NOON_MS + LATE_MS - 1) == ["Pulled"]
    assert shown(event("Pulled"), NOON_MS + LATE_MS) == ["Pulled (at 12:00:00 UTC)"]
    assert shown(event("Pulled"), NOON_MS + 86_400_000) == ["Pulled (on 2026-11-23 at 12:00:00 UTC)"]


def test_a_time_in_the_future_or_unknown_is_not_late() -> None:
    assert shown(event("Pulled"), NOON_MS - 3_600_000) == ["Pulled"]
    assert shown(event("Pulled", last_at_ms=0)) == ["Pulled"]


def test_what_is_added_stands_on_the_first_line_of_several() -> None:
    record = event("first\nsecond", reason="Failed", level=WARN, count=2)
    assert shown(record, NOON_MS + 60_000) == ["Failed: first ×2 (at 12:00:00 UTC)", "second"]


def test_no_part_of_a_record_can_smuggle_control_characters() -> None:
    record = event("m\x1b[1m", reason="R\x1b", level=WARN, container="c\x1b")
    assert "\x1b" not in "".join(shown(record) + shown(life("Pod", "created", "n\x1b[0m")))


def test_the_level_comes_with_the_record() -> None:
    assert {line.level for line in worded(event("x" * 3_000, level=Level.ERROR))} == {Level.ERROR}


POSES = [
    "🐳 Created pod: web-1",
    "🗑️ Deleted pod: web-1",
    "🗑 Deleted pod: web-1",
    "🛑 The 256 KiB for Kubernetes messages in this log are used up: later ones are not shown.",
    "🐋 Created pod: web-1",
    "  🐳 Created pod: web-1",
    "\u2003🐳 Created pod: web-1",
    "\u200b🐳 Created pod: web-1",
    "\u3164🐳 Created pod: web-1",
    "\ufe0f🐳 Created pod: web-1",
    "⠀🐳 Created pod: web-1",
]


@pytest.mark.parametrize("message", POSES)
def test_an_event_that_poses_as_one_of_our_lines_is_quoted(message: str) -> None:
    assert shown(event(message)) == [f"› {message}"]
    assert shown(event(f"first\n{message}"))[1] == f"› {message}"


def test_a_reason_that_poses_is_quoted_too() -> None:
    record = event("web-1", reason="🐳 Created pod", level=Level.WARN)
    assert shown(record) == ["› 🐳 Created pod: web-1"]


def test_a_line_that_is_split_just_before_a_pose_is_quoted_there() -> None:
    lines = shown(event("x" * LINE_MAX_CHARS + "🐳 Created pod: web-1"))
    assert not any(line.startswith("🐳") for line in lines)
    assert "".join(lines).replace("› ", "") == "x" * LINE_MAX_CHARS + "🐳 Created pod: web-1"
    assert max(map(len, lines)) <= LINE_MAX_CHARS


@pytest.mark.parametrize(
    "message", ['"quoted"', "(aside)", "/bin/sh: not found", "Ünïcode", "容器", "42", "+1", "«so»"]
)
def test_what_cannot_pass_for_ours_is_left_as_it_is(message: str) -> None:
    assert shown(event(message)) == [message]


OURS = ("created", "queued", "deleted", "NotKept", "NotFollowed", "whatever comes")


@given(st.text(), st.text(max_size=20), st.sampled_from(Level), st.sampled_from(["", "🐳", " 🗑️", "\n🛑"]))
def test_no_line_of_an_event_begins_as_ours_do(message: str, reason: str, level: Level, pose: str) -> None:
    ours = [shown(life(kind, reason))[0] for kind in ("Pod", "ReplicaSet") for reason in OURS]
    begins = {line[0] for line in (*ours, budget_line(1 << 20, 0).text, gap_line(1, "").text)}
    assert not any(begin.isalnum() or begin.isascii() for begin in begins)
    lines = shown(event(pose + message + "x" * 1_024 + pose, reason=reason, level=level))
    assert begins.isdisjoint(line.lstrip()[:1] for line in lines)


@given(st.text(), st.text(max_size=20), st.sampled_from(Level), st.integers(0, 9_999), st.integers(0, 4 * NOON_MS))
def test_any_event_becomes_lines_that_coder_stores_whole(
    message: str, reason: str, level: Level, count: int, at_ms: int
) -> None:
    lines = shown(event(message, reason=reason, level=level, count=count, first_at_ms=at_ms), at_ms)
    assert lines
    assert all(0 < len(line) <= LINE_MAX_CHARS for line in lines)


def test_the_last_line_says_what_it_is_the_last_of() -> None:
    line = budget_line(262_144, 3)
    assert line.level is Level.WARN
    assert line.text == (
        "🛑 The 256 KiB for Kubernetes messages in this log are used up: later ones are not shown (3 so far)."
    )
    assert budget_line(262_144, 0).text.endswith("are not shown.")


def test_a_name_with_a_line_break_stays_in_its_line() -> None:
    assert shown(life("Pod", "created", "web\n1")) == ["🐳 Created pod: web 1"]
    assert shown(life("Job", "ended", "web\r\n1")) == ["🐳 ended Job: web 1"]


NEVER_DROPPED = {Reason.RATE_LIMITED, Reason.NOT_CODER}
"""Such lines wait without end."""


@pytest.mark.parametrize("why", [*(set(Reason) - NEVER_DROPPED - {Reason.ENDED}), SEVERAL])
def test_a_gap_has_words_for_every_reason(why: str) -> None:
    line = gap_line(2, why)
    assert line.level is Level.WARN
    assert line.text.startswith("⚠️ 2 earlier messages of Kubernetes are missing here: ")


def test_a_gap_of_one_whose_reason_only_a_newer_program_knows() -> None:
    assert gap_line(1, "a word of tomorrow").text == "⚠️ 1 earlier message of Kubernetes is missing here."
