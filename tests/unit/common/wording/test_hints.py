"""Each hint that ships comes with a real message that it is for (`messages.yaml`, with the place where it was seen)."""

from pathlib import Path

import msgspec
import pytest
import yaml

from common.record import Level
from common.wording.read import SHIPPED, read_sheet, shipped_wording
from common.wording.table import Ruling, Subject

WORDING = shipped_wording()


class Seen(msgspec.Struct, frozen=True):
    hint: str
    """What the user's hint must hold."""
    reason: str
    message: str
    source: str
    kind: str = ""
    component: str = ""


MESSAGES = msgspec.convert(yaml.safe_load(Path(__file__).with_name("messages.yaml").read_text()), list[Seen])
HINTS = [entry.hint for entry in read_sheet(SHIPPED).entries if entry.hint is not None]

# What no message tells: by reason and exit code (FACTS 2; recordings oomkilled, crashloop-exit1 for the form).
ENDINGS = [
    ("more memory than it may have", "OOMKilled", 137),
    ("may not be executed", "Error", 126),
    ("does not exist in the image", "Error", 127),
    ("ended by force", "Error", 137),
    ("memory that is not its own", "Error", 139),
    ("asked to stop", "Error", 143),
]


NORMAL = ("FailedBinding", "NotTriggerScaleUp", "ScaleDown")
"""Events that call themselves normal, but are not for who waits."""


def ruled(
    reason: str,
    message: str,
    exit_code: int | None = None,
    limit_bytes: int = 0,
    *,
    kind: str = "",
    component: str = "",
) -> Ruling:
    level = Level.DEBUG if reason in NORMAL or kind == "Node" else Level.WARN
    return WORDING.of(Subject(reason, message, level, kind, component, exit_code=exit_code, limit_bytes=limit_bytes))


@pytest.mark.parametrize("seen", MESSAGES, ids=lambda seen: seen.source)
def test_a_real_message_gets_the_hint_that_is_for_it(seen: Seen) -> None:
    ruling = ruled(seen.reason, seen.message, kind=seen.kind, component=seen.component)
    assert seen.hint in ruling.user_hint
    assert ruling.admin_hint


@pytest.mark.parametrize(("said", "reason", "exit_code"), ENDINGS)
def test_a_containers_end_gets_the_hint_of_its_exit_code(said: str, reason: str, exit_code: int) -> None:
    assert said in ruled(reason, "", exit_code).user_hint


@pytest.mark.parametrize(
    ("reason", "message"),
    [
        ("Failed", "Error: ErrImagePull"),  # recording pull-notfound: says nothing
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


def test_an_autoscaler_that_has_nothing_to_say_is_no_warning() -> None:
    """It says so while a node that it asked for is on its way."""
    assert ruled("NotTriggerScaleUp", "pod didn't trigger scale-up: ").level is Level.DEBUG


def test_a_scheduler_of_another_name_gets_no_advice_about_node_pools() -> None:
    ruling = ruled("FailedScheduling", "0/3 nodes are available: 3 Insufficient memory.", component="default-scheduler")
    assert "free memory" in ruling.user_hint


def test_an_end_without_a_fault_gets_none() -> None:
    assert ruled("Completed", "", 0).user_hint == ""
    assert ruled("Error", "", 1).user_hint == ""


def test_every_hint_is_one_sentence_for_each_reader() -> None:
    for hint in HINTS:
        for text in (hint.user, hint.admin):
            assert text is not None
            assert text.endswith(".")
            assert ". " not in text.removesuffix(".")
            assert len(text) <= 160


def test_every_hint_is_tried_with_a_message_or_an_exit_code() -> None:
    tried = {ruled(seen.reason, seen.message, kind=seen.kind, component=seen.component).user_hint for seen in MESSAGES}
    tried |= {ruled(reason, "", code).user_hint for _, reason, code in ENDINGS}
    assert [hint.user for hint in HINTS if hint.user not in tried] == []
