"""Records of events and of objects' lives."""

from typing import Any

import msgspec
import pytest

from common.ids import Uid
from common.record import Level, Origin
from tests.unit.watcher.rig import event
from watcher.directory import Known
from watcher.objects import Event
from watcher.records import MESSAGE_MAX_BYTES, deleted, event_record, first_fact

POD = Known("Pod", "ns", "p", Uid("u"), 5_000, told=True)
T1, T2, T3, T4 = (f"2026-11-22T15:49:0{n}Z" for n in (1, 2, 3, 4))
MS = 1795362540000


def _event(**fields: Any) -> Event:
    return msgspec.convert({**event(), **fields}, Event)


@pytest.mark.parametrize(
    ("fields", "ms"),
    [
        ({"series": {"count": 3, "lastObservedTime": T1}, "lastTimestamp": T2, "eventTime": T3}, MS + 1000),
        ({"lastTimestamp": T2, "eventTime": T3}, MS + 2000),
        ({"lastTimestamp": None, "eventTime": T3}, MS + 3000),
        ({"lastTimestamp": None, "metadata": {"uid": "e", "creationTimestamp": T4}}, MS + 4000),
        ({"lastTimestamp": "rubbish"}, 0),
    ],
)
def test_the_time_of_an_event_is_the_first_that_kubernetes_gives(fields: dict[str, Any], ms: int) -> None:
    assert _event(**fields).at_ms == ms


@pytest.mark.parametrize(
    ("fields", "version"),
    [
        ({"count": 9}, 9),
        ({"count": 9, "series": {"count": 4}}, 4),
        ({"count": None}, 1),
        ({"count": 0}, 1),
        ({"count": -3}, 1),
    ],
)
def test_an_event_is_told_anew_when_its_count_grows(fields: dict[str, Any], version: int) -> None:
    record = event_record(_event(**fields), POD)
    assert (record.identity, record.version, record.count) == ("ev-1", version, version)


@pytest.mark.parametrize(("kind", "level"), [("Warning", Level.WARN), ("Normal", Level.DEBUG), (None, Level.DEBUG)])
def test_warnings_are_warnings_and_the_rest_is_debug(kind: str | None, level: Level) -> None:
    assert event_record(_event(type=kind), POD).level is level


@pytest.mark.parametrize(
    ("path", "container"),
    [
        ("spec.containers{c}", "c"),
        ("spec.initContainers{i}", "i"),
        ("spec.ephemeralContainers{e}", "e"),
        ("spec", ""),
        (None, ""),
    ],
)
def test_the_container_is_read_from_the_field_path(path: str | None, container: str) -> None:
    value = event()
    value["involvedObject"]["fieldPath"] = path
    assert event_record(msgspec.convert(value, Event), POD).container == container


@pytest.mark.parametrize("character", ["x", "é", "🐳"])
def test_a_message_of_64_kb_is_whole_and_one_more_character_is_cut_with_a_marker(character: str) -> None:
    most = character * (65_536 // len(character.encode()))
    assert event_record(_event(message=most), POD).message == most
    record = event_record(_event(message=most + character), POD)
    assert len(record.message.encode()) <= MESSAGE_MAX_BYTES
    assert record.message.endswith(" more bytes not shown]")
    assert record.message.startswith(character * 16_000)


def test_a_message_within_bounds_is_kept_as_it_is() -> None:
    message = "🐳\x00\x1b[31m" + "x" * (MESSAGE_MAX_BYTES - 20)
    assert event_record(_event(message=message), POD).message == message


def test_the_facts_of_a_pod() -> None:
    created, gone = first_fact(POD), deleted(POD, 9_000)
    assert (created.identity, created.reason, created.last_at_ms) == ("u/created", "Created", 5_000)
    assert (gone.identity, gone.reason, gone.last_at_ms, gone.level) == ("u/deleted", "Deleted", 9_000, Level.DEBUG)
    assert {created.origin, gone.origin} == {Origin.OBJECT}


def test_a_replica_set_queues() -> None:
    assert first_fact(msgspec.structs.replace(POD, kind="ReplicaSet")).reason == "Queued"


def test_only_the_delete_of_a_failed_pod_is_an_error() -> None:
    assert deleted(msgspec.structs.replace(POD, failed=True), 0).level is Level.ERROR
