"""The shipped recordings, played as if they happened now to somebody else."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import msgspec
import pytest

from console.doubles.kube_control import Delete, Put, Step
from console.doubles.recording import SCENARIOS, Recording, load_recording
from console.doubles.replay import PAUSE_MAX_S, Cast, replay

START_S = 1_900_000_000.25
TOKEN = "11111111-2222-3333-4444-555555555555"
CAST = Cast("somewhere", TOKEN, name="dev", workspace="ws", owner="alice", texts={"127.0.0.1:5055": "registry.example"})


@pytest.fixture(params=SCENARIOS)
def recording(request: pytest.FixtureRequest) -> Recording:
    return load_recording(request.param)


@pytest.fixture
def script(recording: Recording) -> list[Step]:
    return replay(recording, CAST, start_at_s=START_S)


def test_it_is_played_in_the_recorded_order_with_short_pauses(recording: Recording, script: list[Step]) -> None:
    assert [step.write.resource for step in script] == [entry.resource for entry in recording.entries]
    assert script[0].at_s == 0
    pauses_s = [after.at_s - before.at_s for before, after in itertools.pairwise(script)]
    recorded = [after.at_s - before.at_s for before, after in itertools.pairwise(recording.entries)]
    assert pauses_s == pytest.approx([min(pause_s, PAUSE_MAX_S) for pause_s in recorded])
    assert script[-1].at_s < 15


def test_nothing_of_the_recorded_remains(recording: Recording, script: list[Step]) -> None:
    text = msgspec.json.encode(script).decode()
    header = recording.header
    assert header.token not in text
    assert header.namespace not in text
    assert "2026-11-22" not in text
    assert "127.0.0.1" not in text
    assert not re.search(r'"app(?:-[^"]*)?"(?!:)', text)
    assert not set(re.findall(r'"uid":"([^"]+)"', _recorded_text(recording))) & set(_words(text))


def test_references_still_find_their_objects(script: list[Step]) -> None:
    uids = {(value["kind"], value["metadata"]["name"]): value["metadata"]["uid"] for value in _objects(script)}
    for value in _objects(script):
        for owner in value["metadata"].get("ownerReferences", []):
            assert uids[owner["kind"], owner["name"]] == owner["uid"]
        if about := value.get("involvedObject"):
            assert uids[about["kind"], about["name"]] == about["uid"]
            assert about["namespace"] == value["metadata"]["namespace"] == CAST.namespace


def test_messages_agree_with_the_objects() -> None:
    script = replay(load_recording("crashloop-exit1"), CAST, start_at_s=START_S)
    [pod] = {(v["metadata"]["name"], v["metadata"]["uid"]) for v in _objects(script) if v["kind"] == "Pod"}
    told = next(v["message"] for v in _objects(script) if v.get("reason") == "BackOff")
    assert told.startswith(f"Back-off restarting failed container c in pod {pod[0]}_{CAST.namespace}({pod[1]})")


def test_pods_and_their_owners_carry_the_token_and_coders_labels(script: list[Step]) -> None:
    labels = {"com.coder.workspace.name": "ws", "com.coder.user.username": "alice"}
    kinds = set()
    for value in _objects(script):
        if value["kind"] == "Event":
            continue
        kinds.add(value["kind"])
        template = value if value["kind"] == "Pod" else value["spec"]["template"]
        assert labels.items() <= value["metadata"]["labels"].items()
        assert labels.items() <= template["metadata"]["labels"].items()
        assert template["spec"]["containers"][0]["env"] == [{"name": "CODER_AGENT_TOKEN", "value": TOKEN}]
    assert kinds == {"Deployment", "ReplicaSet", "Pod"}


def test_times_in_objects_are_the_times_of_their_steps(recording: Recording, script: list[Step]) -> None:
    for entry, step in zip(recording.entries, script, strict=True):
        if entry.resource == "events" and isinstance(step.write, Put):
            told_s = datetime.fromisoformat(step.write.object["lastTimestamp"]).timestamp()
            # Whole seconds, taken before the write: at most what a shortened pause leaves in between.
            assert -PAUSE_MAX_S - 1 <= told_s - (START_S + step.at_s) <= 0


def test_first_never_comes_after_last(script: list[Step]) -> None:
    for value in _objects(script):
        if value["kind"] == "Event":
            assert value["metadata"]["creationTimestamp"] <= value["firstTimestamp"] <= value["lastTimestamp"]


def test_counts_grow_by_one() -> None:
    script = replay(load_recording("pull-notfound"), CAST, start_at_s=START_S)
    counts: dict[str, list[int]] = {}
    for value in _objects(script):
        if value["kind"] == "Event":
            counts.setdefault(value["metadata"]["uid"], []).append(value["count"])
    assert all(each == list(range(1, len(each) + 1)) for each in counts.values())
    assert max(map(len, counts.values())) == 4


def test_two_performances_share_no_uid() -> None:
    recording = load_recording("normal")
    uids = [
        {value["metadata"]["uid"] for value in _objects(replay(recording, CAST, start_at_s=START_S))} for _ in range(2)
    ]
    assert not uids[0] & uids[1]


def test_a_pod_that_is_taken_away_is_deleted() -> None:
    script = replay(load_recording("normal"), CAST, start_at_s=START_S)
    [gone] = [step.write for step in script if isinstance(step.write, Delete)]
    assert (gone.resource, gone.namespace) == ("pods", CAST.namespace)
    assert gone.name.startswith("dev-")


def _objects(script: list[Step]) -> Iterator[dict[str, Any]]:
    return (step.write.object for step in script if isinstance(step.write, Put))


def _recorded_text(recording: Recording) -> str:
    return "".join(bytes(entry.object).decode() for entry in recording.entries)


def _words(text: str) -> list[str]:
    return re.findall(r"[0-9a-f-]{36}", text)
