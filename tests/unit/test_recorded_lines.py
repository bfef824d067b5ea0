"""The whole text that a workspace's owner reads, from real watch streams: watcher and shipper as one pure function.

The `.lines` files beside the recordings were read and found right.
"""

import msgspec
import pytest

from common.record import LogRecord
from common.wording.read import shipped_wording
from common.wording.table import Wording
from shipper.telling import Told, tell
from tests.unit.shipper.records import worded
from tests.unit.watcher.rig import Rig
from tests.unit.watcher.test_recordings import FOLDER, SCENARIOS, Recorded

WORDING = shipped_wording()
SECONDS_APART = 20.0
"""So that a count which is held is told before the next line comes, as it would be in most of a real hour."""


def recorded(scenario: str) -> list[Recorded]:
    return [
        msgspec.json.decode(line, type=Recorded) for line in (FOLDER / f"{scenario}.jsonl").read_bytes().splitlines()
    ]


async def played(*lives: list[Recorded], apart_s: float = SECONDS_APART) -> list[LogRecord]:
    """The records that Redis would accept, in order. Each life is one of a program that remembers nothing before it."""
    newest: dict[str, int] = {}
    accepted = []
    for deliveries in lives:
        rig = Rig()
        for each in deliveries:
            rig.clock.now_s += apart_s
            rig.router.tick()
            await rig.deliver_line(each.resource, bytes(each.line))
        rig.pods.leave()
        rig.events.leave()
        for record in rig.outbox.records:
            if record.version > newest.get(record.identity, 0):
                newest[record.identity] = record.version
                accepted.append(record)
    return accepted


def lines(records: list[LogRecord]) -> list[str]:
    return [f"{line.level.value:5} {line.text}" for record in records for line in worded(record, record.last_at_ms)]


def read_by_the_owner(records: list[LogRecord], wording: Wording = WORDING) -> list[str]:
    """The lines of `records` by `wording`, with its hints, nothing that it hides."""
    shown: list[str] = []
    hinted: set[str] = set()
    for record in records:
        told = tell(record, record.last_at_ms, wording, hinted)
        if isinstance(told, Told):
            hinted.add(told.hint)
            shown += [f"{line.level.value:5} {line.text}" for line in told.lines]
    return shown


@pytest.mark.parametrize("scenario", SCENARIOS)
async def test_a_recorded_start_is_read_as_these_lines(scenario: str) -> None:
    expected = (FOLDER / f"{scenario}.lines").read_text().splitlines()
    assert read_by_the_owner(await played(recorded(scenario))) == expected


def is_start(record: LogRecord) -> bool:
    """Whether it sums a start up."""
    return record.details is not None and record.details.timeline is not None


@pytest.mark.parametrize("scenario", SCENARIOS)
async def test_a_program_that_remembers_nothing_repeats_nothing(scenario: str) -> None:
    """Whatever it reads again, and wherever it begins, Redis knows it by identity and version."""
    story = recorded(scenario)
    once = told_once(await played(story))
    for begins in range(0, len(story), 5):
        assert told_once(await played(story, story[begins:])) == once


def told_once(records: list[LogRecord]) -> list[str]:
    return lines([record for record in records if record.details is not None])
