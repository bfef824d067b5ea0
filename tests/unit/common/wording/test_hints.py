"""Each hint that ships comes with what it is for, as a real cluster says it: an Event that is told (`messages.yaml`),
or what a pod's status says (`statuses.yaml`), with the place where it was seen. Each goes the whole way, from what
Kubernetes says through watcher and table to the line that the user reads.
"""

from itertools import chain
from pathlib import Path
from typing import Any, Literal

import msgspec
import pytest
import yaml

from common.ids import Uid
from common.record import Level, LogRecord
from common.wording.read import HINTS, read_sheet, shipped_wording
from common.wording.table import Entry, Ruling, Subject, subject_of
from shipper.telling import Told, tell
from watcher.directory import Known
from watcher.facts import Fact
from watcher.neighbours import NODE
from watcher.nodes import REASONS
from watcher.objects import Event, Pod
from watcher.records import fact_record, last_words, neighbour_record
from watcher.router import ROUTED
from watcher.status import facts_of
from watcher.superseded import told_by_status

WORDING = shipped_wording()
STARTED, LATER = "2026-11-22T15:49:12Z", "2026-11-22T15:49:24Z"
POD = Known("Pod", "dev", "web-1", Uid("u"), 0, told=True)


class Seen(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An Event."""

    hint: str
    """What the user's hint must hold."""
    reason: str
    kind: str
    component: str
    message: str
    source: str
    normal: bool = False
    count: int = 1

    @property
    def event(self) -> Event:
        value = {
            "metadata": {"uid": "e", "namespace": "dev", "resourceVersion": "1"},
            "involvedObject": {"kind": self.kind, "namespace": "dev", "name": "web-1", "uid": "u"},
            "type": "Normal" if self.normal else "Warning",
            "reason": self.reason,
            "message": self.message,
            "source": {"component": self.component},
            "firstTimestamp": STARTED,
            "lastTimestamp": STARTED,
            "count": self.count,
        }
        return msgspec.convert(value, Event)


class Status(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    hint: str
    told_by: Literal["waiting", "terminated", "pod", "PodScheduled", "DisruptionTarget", "Ready", "log"]
    source: str
    reason: str = ""
    message: str = ""
    exit_code: int = 0

    @property
    def fact(self) -> Fact:
        """The one thing that a pod with this status tells."""
        said = {"reason": self.reason or None, "message": self.message or None}
        state: dict[str, Any] = {"running": {"startedAt": STARTED}}
        status: dict[str, Any] = {"phase": "Running"}
        match self.told_by:
            case "waiting":
                state = {"waiting": said}
            case "terminated" | "log":
                said = said if self.told_by == "terminated" else {"reason": self.reason}
                state = {"terminated": {**said, "exitCode": self.exit_code, "startedAt": STARTED, "finishedAt": LATER}}
            case "pod":
                status = {"phase": "Failed", **said}
            case condition:
                value = "True" if condition == "DisruptionTarget" else "False"
                status["conditions"] = [{"type": condition, "status": value, "lastTransitionTime": LATER, **said}]
        status["containerStatuses"] = [{"name": "web", "image": "app:1", "state": state}]
        (fact,) = facts_of(msgspec.convert({"metadata": {"uid": "u", "namespace": "dev"}, "status": status}, Pod))
        return fact

    @property
    def record(self) -> LogRecord:
        if self.told_by == "log":
            return last_words(self.fact, self.message.splitlines(), POD)
        return fact_record(self.fact, POD)


def listed(name: str) -> Any:
    return yaml.safe_load(Path(__file__).with_name(name).read_text())


EVENTS = msgspec.convert(listed("messages.yaml"), list[Seen])
STATUSES = msgspec.convert(listed("statuses.yaml"), list[Status])
ENTRIES = [entry for entry in read_sheet(HINTS).entries if entry.hint is not None]


def records() -> list[LogRecord]:
    return [
        *(neighbour_record(seen.event) for seen in EVENTS),
        *(status.record for status in STATUSES),
    ]


def advice(record: LogRecord) -> tuple[str, str]:
    """What the log shows after the lines of `record`: to the user, and to the administrator."""
    told = tell(record, record.last_at_ms, WORDING, ())
    assert isinstance(told, Told)
    *_, user, admin = (line.text for line in told.lines)
    assert (user[0], admin[0]) == ("💡", "🔧")
    return user, admin


@pytest.mark.parametrize("seen", EVENTS, ids=lambda seen: f"{seen.reason}-{seen.source}")
def test_a_real_event_gets_the_hint_that_is_for_it(seen: Seen) -> None:
    assert seen.hint in advice(neighbour_record(seen.event))[0]


@pytest.mark.parametrize("seen", EVENTS, ids=lambda seen: f"{seen.reason}-{seen.source}")
def test_each_of_these_events_is_told(seen: Seen) -> None:
    """What the status says instead stands in the other list, in the status' words."""
    assert seen.kind in ROUTED or (seen.kind == NODE and seen.reason in REASONS)
    assert not (seen.kind == "Pod" and told_by_status(seen.event))


@pytest.mark.parametrize("status", STATUSES, ids=lambda status: f"{status.told_by}-{status.reason}-{status.source}")
def test_a_real_status_gets_the_hint_that_is_for_it(status: Status) -> None:
    assert status.hint in advice(status.record)[0]


def named(entry: Entry) -> list[str]:
    return [entry.reason] if isinstance(entry.reason, str) else list(entry.reason)


@pytest.mark.parametrize(
    ("reason", "entry"),
    [(reason, entry) for entry in ENTRIES for reason in named(entry) or [""]],
    ids=lambda value: value if isinstance(value, str) else value.hint.user[:30],
)
def test_every_reason_of_every_hint_is_tried(reason: str, entry: Entry) -> None:
    """So each that is left out of the table by mistake is missed here."""
    assert entry.hint is not None
    met = [subject for subject in map(subject_of, records()) if reason in ("", subject.reason)]
    assert entry.hint.user in [WORDING.of(subject).user_hint for subject in met]


def ruled(reason: str, message: str, exit_code: int | None = None, **more: Any) -> Ruling:
    return WORDING.of(Subject(reason, message, more.pop("level", Level.WARN), exit_code=exit_code, **more))


@pytest.mark.parametrize(
    ("reason", "message"),
    [
        # recording oomkilled: passes by itself
        ("FailedMount", 'MountVolume.SetUp failed for volume "kube" : failed to sync configmap cache: timed out …'),
        ("FailedCreate", "Error creating: "),  # kubernetes/kubernetes/issues/55924
    ],
)  # fmt: skip
def test_what_says_nothing_or_passes_by_itself_gets_none(reason: str, message: str) -> None:
    ruling = ruled(reason, message)
    assert (ruling.user_hint, ruling.admin_hint) == ("", "")


@pytest.mark.parametrize(
    ("reason", "message", "words"),
    [  # sources: kubernetes/autoscaler/issues/5938, kubernetes-sigs/karpenter's events, kubernetes' PV controller
        ("TriggeredScaleUp", "pod triggered scale-up: [{pool 1->2 (max: 8)}]", "a node is being added"),
        ("Nominated", "Pod should schedule on: nodeclaim/default-tn8fg", "a node is chosen"),
        ("WaitForFirstConsumer", "waiting for first consumer to be created before binding", "once a node is found"),
    ],
)
def test_what_goes_as_it_should_is_worded_and_gets_no_hint(reason: str, message: str, words: str) -> None:
    kind = "PersistentVolumeClaim" if reason == "WaitForFirstConsumer" else "Pod"
    component = {"TriggeredScaleUp": "cluster-autoscaler", "Nominated": "karpenter"}.get(reason, "")
    ruling = WORDING.of(Subject(reason, message, Level.DEBUG, kind, component))
    assert words in ruling.words
    assert (ruling.level, ruling.user_hint) == (Level.DEBUG, "")


@pytest.mark.parametrize("count", [1, 7])
def test_a_disk_that_is_being_made_is_worded_and_gets_no_hint_until_it_takes_unusually_long(count: int) -> None:
    """The PV controller says so at once and every 15 s, for each disk that a provisioner makes."""
    seen = next(seen for seen in EVENTS if seen.reason == "ExternalProvisioning")
    told = tell(neighbour_record(msgspec.structs.replace(seen, count=count).event), 0, WORDING, ())
    assert isinstance(told, Told)
    (line,) = told.lines
    assert (line.level, told.hint) == (Level.DEBUG, "")
    assert "the disk is being made" in line.text


def test_an_autoscaler_that_has_nothing_to_say_is_no_warning() -> None:
    """It says so while a node that it asked for is on its way."""
    assert ruled("NotTriggerScaleUp", "pod didn't trigger scale-up: ", level=Level.DEBUG).level is Level.DEBUG


def test_a_scheduler_of_another_name_gets_no_advice_about_node_pools() -> None:
    message = "0/3 nodes are available: 3 Insufficient memory."
    assert ruled("FailedScheduling", message, component="my-scheduler").user_hint == ""


def test_an_end_without_a_fault_gets_none() -> None:
    assert ruled("Completed", "", 0).user_hint == ""
    assert ruled("Error", "", 1).user_hint == ""


def test_every_hint_is_one_sentence_for_each_reader() -> None:
    for text in chain.from_iterable((entry.hint.user, entry.hint.admin) for entry in ENTRIES if entry.hint is not None):
        assert text is not None
        assert text.endswith(".")
        assert ". " not in text.removesuffix(".")
        assert len(text) <= 160
