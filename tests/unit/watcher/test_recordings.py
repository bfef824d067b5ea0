"""What the watcher makes of real watch streams, line by line; compared with files that were read and found right."""

from pathlib import Path

import msgspec
import pytest

from common.ids import Uid
from common.record import Aspect, Details, LogRecord, Origin
from tests.unit.watcher.rig import Rig
from watcher.repeats import SPELLS_S

FOLDER = Path(__file__).parent / "recordings"
UNTIMED = (Aspect.BACK_OFF, Aspect.IMAGE, Aspect.WAITING, Aspect.POD_ENDED, Aspect.UNSCHEDULED)
SCENARIOS = sorted(path.stem for path in FOLDER.glob("*.jsonl"))


class Recorded(msgspec.Struct, frozen=True):
    resource: str
    line: msgspec.Raw


def _recorded(scenario: str) -> list[Recorded]:
    lines = (FOLDER / f"{scenario}.jsonl").read_bytes().splitlines()
    return [msgspec.json.decode(line, type=Recorded) for line in lines]


def _shown(record: LogRecord) -> str:
    container = f" [{record.container}]" if record.container else ""
    # What Kubernetes gives no time for has the watcher's.
    untimed = record.reason == "Deleted" or (record.details is not None and record.details.aspect in UNTIMED)
    times = "now" if untimed else f"{record.first_at_ms}..{record.last_at_ms}"
    message = record.message.replace("\n", "⏎")
    counted = f" ×{record.count}" if record.origin is Origin.EVENT and record.count != record.version else ""
    source = record.component if record.details is None else _details(record.details)
    return (
        f"{record.level.value:5} {record.object.kind}/{record.object.name}{container} {record.reason} "
        f"v{record.version}{counted} {times} {source}: {message}"
    ).rstrip(": ")


def _details(details: Details) -> str:
    said = msgspec.structs.asdict(details)
    return " ".join(f"{name}={value}" for name, value in said.items() if value not in ("", 0, None, False))


async def _played(recorded: list[Recorded], *, apart_s: float) -> Rig:
    rig = Rig()
    for each in recorded:
        rig.clock.now_s += apart_s
        await rig.deliver_line(each.resource, bytes(each.line))
    return rig


@pytest.mark.parametrize("scenario", SCENARIOS)
async def test_a_recorded_stream_becomes_these_records(scenario: str) -> None:
    """With so long a pause between any two lines that each count is told."""
    rig = await _played(_recorded(scenario), apart_s=2 * SPELLS_S[-1])

    shown = [_shown(record) for record in rig.outbox.records]
    assert shown == (FOLDER / f"{scenario}.golden").read_text().splitlines()
    assert len(rig.parking) == 0
    assert len({entry.agent for entry in rig.outbox.entries}) == 1


@pytest.mark.parametrize("scenario", SCENARIOS)
async def test_events_that_overtake_their_objects_lose_nothing(scenario: str) -> None:
    """All events first, then ReplicaSets, then pods: the worst order that three watches can have. What a later count
    covers needs no telling.
    """
    straight = await _played(_recorded(scenario), apart_s=2 * SPELLS_S[-1])
    order = ["events", "replicasets", "pods"]
    rig = await _played(sorted(_recorded(scenario), key=lambda each: order.index(each.resource)), apart_s=0)

    rig.pods.leave()
    newest = {record.identity: _shown(record) for record in straight.outbox.records}
    assert sorted({record.identity: _shown(record) for record in rig.outbox.records}.values()) == sorted(
        newest.values()
    )
    events = [record.identity for record in rig.outbox.records if record.type]
    assert len(events) == len(set(events))


@pytest.mark.parametrize("scenario", SCENARIOS)
async def test_what_repeats_without_a_pause_ends_with_the_same_counts_in_the_same_order(scenario: str) -> None:
    straight = await _played(_recorded(scenario), apart_s=2 * SPELLS_S[-1])
    rig = await _played(_recorded(scenario), apart_s=0)
    rig.pods.leave()
    rig.events.leave()
    for about in {record.object.uid for record in straight.outbox.records}:
        for origin in Origin:
            assert _ends(rig, about, origin) == _ends(straight, about, origin)


def _ends(rig: Rig, about: Uid, origin: Origin) -> list[str]:
    """The newest count of each event or fact of one object, in the order of their telling: at a stop what is held of
    events is told after what is held of a status.
    """
    newest: dict[str, str] = {}
    for record in rig.outbox.records:
        if record.object.uid == about and record.origin is origin:
            newest.pop(record.identity, None)
            newest[record.identity] = _shown(record)
    return list(newest.values())


def test_all_scenarios_of_the_product_page_are_there() -> None:
    assert {"normal", "pull-notfound", "quota-exceeded", "crashloop-exit1"} <= set(SCENARIOS)
