"""The page of scenarios says what the programs and the peer's rules make of the recordings today."""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec
import pytest

from console.demo_page import PAGE, timeless
from console.demo_story import KILLED_IN, Story, stories
from console.doubles.kube_control import Delete, Put, Step
from console.peer import left_out, peer_logs
from tests.unit.console.page_lines import Section, comparable, sections
from tests.unit.test_recorded_lines import read_by_the_owner
from tests.unit.watcher.rig import Rig

STALE = "run: python -m console.demo_page"
STORIES = stories(1_800_000_000.0)
KINDS = {"pods": ("Pod", "v1"), "events": ("Event", "v1"), "replicasets": ("ReplicaSet", "apps/v1")}
PLAYED_APART_S = 20.0  # so that no count is held when the next line comes


def section_of(story: Story) -> Section:
    return sections(PAGE.read_text(encoding="utf-8"))[f"{story.workspace} {story.title}"]


def test_every_story_has_its_section_and_the_crash_loop_a_second_one() -> None:
    titles = list(sections(PAGE.read_text(encoding="utf-8")))
    assert titles[:-1] == [f"{story.workspace} {story.title}" for story in STORIES], STALE
    assert titles[-1].startswith(f"The same {KILLED_IN}")


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.workspace)
def test_the_peers_lines_are_what_its_rules_make_of_the_recording(story: Story) -> None:
    section = section_of(story)
    expected = [(line.level, timeless(line.text)) for line in peer_logs(story.steps)[story.token]]
    assert section.theirs == expected, STALE
    assert str(left_out(story.steps)) in section.text


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.workspace)
async def test_our_lines_are_what_watcher_and_shipper_make_of_the_recording(story: Story) -> None:
    rig = Rig()
    for resource, line in deliveries(story.steps):
        rig.clock.now_s += PLAYED_APART_S
        rig.router.tick()
        await rig.deliver_line(resource, line)
    rig.pods.leave()
    rig.events.leave()
    shown = [(line[:5].strip(), line[6:]) for line in read_by_the_owner(rig.outbox.records)]
    assert comparable(section_of(story).ours) == comparable(shown), STALE


def test_the_killed_crash_loop_is_told_in_the_same_lines_to_its_end() -> None:
    killed = list(sections(PAGE.read_text(encoding="utf-8")).values())[-1]
    (loop,) = (story for story in STORIES if story.workspace == KILLED_IN)
    assert comparable(killed.ours) <= comparable(section_of(loop).ours)
    assert any("Restart 3" in text for _, text in killed.ours)


def test_nothing_was_lost_or_repeated_when_the_page_was_made() -> None:
    sums = re.findall(r"lost (\d+) · repeated (\d+)", PAGE.read_text(encoding="utf-8"))
    assert sums == [("0", "0")] * 2


def deliveries(steps: Sequence[Step]) -> Iterator[tuple[str, bytes]]:
    """`steps` as watches deliver them."""
    there: dict[tuple[str, str], dict[str, Any]] = {}
    for version, step in enumerate(ordered(steps), 1_000):
        match step.write:
            case Put(resource, value) if resource in KINDS:
                key = resource, value["metadata"]["name"]
                verb = "MODIFIED" if key in there else "ADDED"
            case Delete(resource, name):
                verb, key = "DELETED", (resource, name)
                value = there[key]
            case _:
                continue
        there[key] = value
        kind, api_version = KINDS[resource]
        metadata = {**value["metadata"], "resourceVersion": str(version)}
        whole = {**value, "kind": kind, "apiVersion": api_version, "metadata": metadata}
        yield resource, msgspec.json.encode({"type": verb, "object": whole})


def ordered(steps: Iterable[Step]) -> list[Step]:
    return sorted(steps, key=lambda step: step.at_s)
