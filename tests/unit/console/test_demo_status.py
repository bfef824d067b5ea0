"""What the demo's judge reads in the statuses of the recordings: the words expected are written here, not computed."""

import re
from typing import Any

import pytest

from console.demo_status import endings, is_in_status, status_facts
from console.demo_story import stories
from console.doubles.kube_control import Put

STORIES = {story.workspace: story for story in stories(1_800_000_000.0)}


def written(workspace: str, resource: str) -> list[dict[str, Any]]:
    writes = (step.write for step in STORIES[workspace].steps)
    return [write.object for write in writes if isinstance(write, Put) and write.resource == resource]


def facts(workspace: str) -> list[str]:
    """In order of their first coming; of a start without its seconds, which come from the shortened pauses."""
    told = (fact for pod in written(workspace, "pods") for fact in status_facts(pod))
    return list(dict.fromkeys(re.sub(r"^(⏱️ Pod started in) .*", r"\1", text) for _, text, _ in told))


STARTED = "⏱️ Pod started in"
PAUSED = "⏳ Container c ended too soon and is started again after a pause of {} s"
OOM = "was killed: out of memory (OOMKilled, limit 32 MiB, exit code 137"


@pytest.mark.parametrize(
    ("workspace", "expected"),
    [
        ("alice/web", [STARTED]),
        ("erin/sim", ["⏳ No node for the pod yet: 0/1 nodes: 1 insufficient cpu"]),
        ("bob/api", ["📦 Image registry.example.com/team/nope:1 of container c cannot be pulled"]),
        ("carol/ml", [STARTED]),
        (
            "frank/train",
            [
                f"💥 Container c {OOM}",
                f"💥 Restart 1 of container c {OOM}",
                PAUSED.format(10),
                STARTED,
                f"💥 Restart 2 of container c {OOM}",
                PAUSED.format(20),
                f"💥 Restart 3 of container c {OOM}",
            ],
        ),
        (
            "grace/etl",
            [
                STARTED,
                '🚫 The pod was evicted: Usage of EmptyDir volume "v" exceeds the limit "5Mi".',
                "🏁 Container c ended with the pod (exit code 137",
            ],
        ),
    ],
)
def test_what_a_recorded_status_says(workspace: str, expected: list[str]) -> None:
    assert facts(workspace) == expected


@pytest.mark.parametrize(
    ("workspace", "reasons"),
    [
        ("alice/web", set()),
        ("erin/sim", {"FailedScheduling"}),
        ("bob/api", {"Failed", "BackOff"}),
        ("frank/train", {"BackOff"}),
        ("grace/etl", {"Evicted"}),
    ],
)
def test_which_recorded_events_only_repeat_a_status(workspace: str, reasons: set[str]) -> None:
    assert {event["reason"] for event in written(workspace, "events") if is_in_status(event)} == reasons


def test_each_ending_of_a_container_is_one() -> None:
    ends = {end for pod in written("dan/db", "pods") for end in endings(pod)}
    assert sorted((name, restarts) for _, name, restarts in ends) == [("c", number) for number in range(4)]
