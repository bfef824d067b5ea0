"""What Kubernetes said, as the record that is appended. Pure; wording is the shipper's.

An Event is known by its UID and told anew when its count grows; a fact of an object by `<uid>/<fact>`, once, or when
what it counts grows. A delete is `debug` unless the pod had failed: a plain stop must not look like an error. Times:
FACTS 2.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

import msgspec

from common.ids import Uid
from common.record import RECORD_VERSION, STATUS_VERSION, Aspect, Level, LogRecord, ObjectRef, Origin
from watcher.directory import Known
from watcher.facts import Fact
from watcher.objects import Event
from watcher.versions import order_key

__all__ = [
    "MESSAGE_MAX_BYTES",
    "deleted",
    "event_order",
    "event_record",
    "fact_record",
    "first_fact",
    "last_words",
    "neighbour_record",
    "unfollowed",
    "unkept",
]

MESSAGE_MAX_BYTES: Final = 64 * 1024
"""What Kubernetes documents as the most; four such fill an agent's default budget. A server lets more pass."""

_CONTAINER: Final = re.compile(r"spec\.(?:init|ephemeral)?[cC]ontainers\{([^{}]*)\}")


def event_record(event: Event, known: Known) -> LogRecord:
    """The record of `event`, which is about `known`."""
    return _event_record(event, _reference(known))


def neighbour_record(event: Event) -> LogRecord:
    """The record of `event`, which is about something that stands beside those who are told."""
    about = event.involved_object
    return _event_record(event, ObjectRef(about.kind, about.namespace, about.name, Uid(about.uid)))


def _event_record(event: Event, about: ObjectRef) -> LogRecord:
    container = _CONTAINER.fullmatch(event.involved_object.field_path or "")
    return LogRecord(
        v=RECORD_VERSION,
        origin=Origin.EVENT,
        object=about,
        identity=event.topic,
        version=event.version,
        reason=event.reason or "",
        message=_capped(event.message or ""),
        level=Level.WARN if event.type == "Warning" else Level.DEBUG,
        type=event.type or "",
        count=event.times,
        first_at_ms=event.since_ms,
        last_at_ms=event.at_ms,
        component=event.component,
        container=container[1] if container else "",
    )


def event_order(event: Event) -> tuple[int, int]:
    """By what missed Events are told: time, then resource version.

    The time by the second: most Events tell no more of it, and next to them the few that do would come late.
    """
    return event.at_ms // 1_000, order_key(event.metadata.resource_version)


def fact_record(fact: Fact, known: Known) -> LogRecord:
    """The record of `fact`, which is about `known`."""
    return LogRecord(
        v=STATUS_VERSION,
        origin=Origin.STATUS,
        object=_reference(known),
        identity=fact.identity,
        version=fact.version,
        reason=fact.reason,
        message=_capped(fact.message),
        level=fact.level,
        first_at_ms=fact.at_ms,
        last_at_ms=fact.at_ms,
        container=fact.container,
        details=fact.details,
    )


def last_words(fact: Fact, rows: Sequence[str], known: Known) -> LogRecord:
    """The record of `rows`, the last lines of the container whose ending `fact` is.

    Numbered as the endings are, so that a loop of weeks costs one field of the agent's facts (ADR 29).
    """
    return LogRecord(
        v=STATUS_VERSION,
        origin=Origin.STATUS,
        object=_reference(known),
        identity=f"{known.uid}/last_words/{fact.container}",
        version=fact.version,
        reason="LastWords",
        message="\n".join(rows),
        level=fact.level,
        first_at_ms=fact.at_ms,
        last_at_ms=fact.at_ms,
        container=fact.container,
        details=msgspec.structs.replace(fact.details, aspect=Aspect.LAST_WORDS),
    )


def first_fact(known: Known) -> LogRecord:
    """`known` came into being: a pod was created, a ReplicaSet queues its pods."""
    return _fact(known, "Created" if known.kind == "Pod" else "Queued", Level.DEBUG, known.created_at_ms)


def deleted(known: Known, at_ms: int) -> LogRecord:
    """`known` is gone since `at_ms` (Unix, 0 if unknown)."""
    return _fact(known, "Deleted", Level.ERROR if known.failed else Level.DEBUG, at_ms)


def unkept(known: Known, missing: int) -> LogRecord:
    """`missing` Events (>= 1) about `known` were not kept until it was known."""
    return msgspec.structs.replace(_fact(known, "NotKept", Level.WARN, 0), count=missing)


def unfollowed(known: Known) -> LogRecord:
    """`known` is not followed: there is no room for it."""
    return _fact(known, "NotFollowed", Level.WARN, 0)


def _fact(known: Known, reason: str, level: Level, at_ms: int) -> LogRecord:
    return LogRecord(
        v=RECORD_VERSION,
        origin=Origin.OBJECT,
        object=_reference(known),
        identity=f"{known.uid}/{reason.lower()}",
        version=1,
        reason=reason,
        message="",
        level=level,
        first_at_ms=at_ms,
        last_at_ms=at_ms,
    )


def _reference(known: Known) -> ObjectRef:
    return ObjectRef(known.kind, known.namespace, known.name, known.uid)


def _capped(message: str) -> str:
    """`message` within `MESSAGE_MAX_BYTES` of UTF-8; a marker says how much is missing."""
    if len(message) * 4 <= MESSAGE_MAX_BYTES:
        return message
    encoded = message.encode("utf-8", "surrogatepass")
    if len(encoded) <= MESSAGE_MAX_BYTES:
        return message
    kept = encoded[: MESSAGE_MAX_BYTES - 64].decode("utf-8", "ignore")
    return f"{kept} … [{len(encoded) - len(kept.encode())} more bytes not shown]"
