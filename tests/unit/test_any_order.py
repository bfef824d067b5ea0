"""Watches deliver in any order among each other, some of it again, old lines and whole lists too: the text is the same.

Each watch keeps its own order, which Kubernetes promises; nothing holds the watches together. What Redis does about
records is done here: of each identity only a newer version is accepted.
"""

from collections.abc import Sequence
from random import Random
from typing import Any, Final

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from common.ids import Uid
from common.record import LogRecord
from tests.unit.test_recorded_lines import is_start, lines, recorded
from tests.unit.watcher.rig import Rig
from tests.unit.watcher.test_recordings import SCENARIOS, Recorded
from watcher.objects import Event, Pod, ReplicaSet
from watcher.reflection import Began, Completed, Found
from watcher.repeats import SPELLS_S

RESOURCES: Final = {"replicasets": ReplicaSet, "pods": Pod, "events": Event}
APART_S: Final = 0.001
"""Nothing is waited for in vain: `test_starts.py` and `test_evictions.py` of the watcher have what is late."""
LATER_S: Final = 2 * SPELLS_S[-1]
"""All that is held is told."""
SPELLS: Final = {"each count is told": (0.0,), "repeats are folded": SPELLS_S}
GO_ON: Final = "go on"
REPETITIONS: Final = ["an old line", "all from an old line", "a list"]


class Line(msgspec.Struct, frozen=True):
    type: str
    object: msgspec.Raw


class Headed(msgspec.Struct, frozen=True):
    metadata: dict[str, msgspec.Raw]


class Server:
    """The watches of one scenario, each at a place of its own."""

    def __init__(self, story: Sequence[Recorded], spells_s: Sequence[float]) -> None:
        self._lines = {name: [each for each in story if each.resource == name] for name in RESOURCES}
        self.sent = dict.fromkeys(RESOURCES, 0)
        self.rig = Rig(floor="1", spells_s=spells_s)

    def begun(self) -> list[str]:
        """The watches that sent something."""
        return [name for name, sent in self.sent.items() if sent]

    def open(self) -> list[str]:
        """The watches that have something left."""
        return [name for name, all_lines in self._lines.items() if self.sent[name] < len(all_lines)]

    async def send(self, resource: str) -> None:
        """The next line of a watch."""
        self.sent[resource] += 1
        await self.again(resource, self.sent[resource] - 1)

    async def again(self, resource: str, number: int) -> None:
        self.rig.clock.now_s += APART_S
        self.rig.router.tick()
        await self.rig.deliver_line(resource, bytes(self._lines[resource][number].line))

    async def relist(self, resource: str) -> None:
        """What there is, by all that was sent."""
        there: dict[str, msgspec.Raw] = {}
        for each in self._lines[resource][: self.sent[resource]]:
            line = msgspec.json.decode(each.line, type=Line)
            if line.type == "BOOKMARK":
                continue
            uid = msgspec.json.decode(msgspec.json.decode(line.object, type=Headed).metadata["uid"], type=str)
            there.pop(uid, None)
            if line.type != "DELETED":
                there[uid] = line.object
        listed = [msgspec.json.decode(each, type=RESOURCES[resource]) for each in there.values()]
        sink: Any = {"replicasets": self.rig.owners, "pods": self.rig.pods, "events": self.rig.events}[resource]
        self.rig.clock.now_s += APART_S
        self.rig.router.tick()
        position = sink.position or "1"
        for change in (Began(position), Found(listed), Completed(position, frozenset(map(Uid, there)))):
            await sink.take(change)

    def accepted(self) -> list[LogRecord]:
        """What Redis takes, when all is told."""
        for _ in range(3):
            self.rig.clock.now_s += LATER_S
            self.rig.router.tick()
        self.rig.pods.leave()
        self.rig.events.leave()
        newest: dict[str, int] = {}
        accepted = []
        for record in self.rig.outbox.records:
            if record.version > newest.get(record.identity, 0):
                newest[record.identity] = record.version
                accepted.append(record)
        return accepted


async def in_order(scenario: str, spells_s: Sequence[float]) -> list[LogRecord]:
    """As it was recorded, each line once."""
    server = Server(recorded(scenario), spells_s)
    for each in recorded(scenario):
        await server.send(each.resource)
    return server.accepted()


async def in_disorder(scenario: str, spells_s: Sequence[float], random: Random) -> list[LogRecord]:
    """In any order of the watches, with old lines and lists in between."""
    server = Server(recorded(scenario), spells_s)
    while server.open():
        await server.send(random.choice(server.open()))
        match random.choice([GO_ON] * 6 + REPETITIONS):
            case "an old line":
                again = random.choice(server.begun())
                await server.again(again, random.choice(range(server.sent[again])))
            case "all from an old line":
                again = random.choice(server.begun())
                for number in range(random.choice(range(server.sent[again])), server.sent[again]):
                    await server.again(again, number)
            case "a list":
                await server.relist(random.choice(list(RESOURCES)))
            case _:
                pass
    return server.accepted()


@pytest.mark.parametrize("spells", list(SPELLS))
@pytest.mark.parametrize("scenario", SCENARIOS)
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(random=st.randoms(use_true_random=False))
async def test_any_order_and_any_repetition_gives_the_same_lines(scenario: str, spells: str, random: Random) -> None:
    expected = await in_order(scenario, SPELLS[spells])
    got = await in_disorder(scenario, SPELLS[spells], random)
    # What is told once is told once: of what repeats, too, nothing is told that would not be if each count were.
    assert set(map(shown, got)) <= set(map(shown, await in_order(scenario, (0.0,))))
    assert newest_of_each(got) == newest_of_each(expected)
    # Each object's status is told in the order in which it was seen, and never goes back.
    for about in {each.object.uid for each in expected}:
        assert ends(got, about) == ends(expected, about)


def shown(record: LogRecord) -> str:
    """A start waits for Events about its images, but not longer than its pod lives: without them it says less."""
    (text,) = lines([record])
    return f"{record.identity} {record.version} {text.split(' — ')[0] if is_start(record) else text}"


def newest_of_each(records: list[LogRecord]) -> list[str]:
    return sorted(map(shown, {each.identity: each for each in records}.values()))


def ends(records: list[LogRecord], about: Uid) -> list[str]:
    """The newest telling of each fact of a status, in the order of their telling."""
    newest: dict[str, str] = {}
    for each in records:
        if each.object.uid == about and each.details is not None and not waits_for_events(each):
            newest.pop(each.identity, None)
            newest[each.identity] = shown(each)
    return list(newest.values())


def waits_for_events(record: LogRecord) -> bool:
    """Whether it may be told with an Event, whenever that comes: the status does not have all of it."""
    return is_start(record) or record.reason == "Evicted"
