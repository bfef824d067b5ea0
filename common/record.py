"""The record that a watcher appends and a shipper renders: its fields and its wire form. Pure.

Records carry what Kubernetes said, not text: wording is the shipper's job and can change without a watcher.

Wire form: one msgpack array, the first item the version. Within a version fields are only ever appended, each
with a default: a reader ignores items it does not know and fills in those that are missing, so N and N-1 can
run beside each other. A change that an older reader would misread takes the next version; an older reader
keeps such a record in its stream and reports it (`FutureRecord`) instead of guessing.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import msgspec

from common.ids import Uid

__all__ = [
    "RECORD_VERSION",
    "STATUS_VERSION",
    "Aspect",
    "Details",
    "FutureRecord",
    "Level",
    "LogRecord",
    "ObjectRef",
    "Origin",
    "Timeline",
    "UnreadableRecord",
    "decode_record",
    "encode_record",
]

RECORD_VERSION: Final = 1
"""Of Events and of the lives of objects."""
STATUS_VERSION: Final = 2
"""Of what a status says, which a reader of version 1 would take for unreadable and drop."""


class Level(StrEnum):
    """Level of a line, in the words of Coder's API (FACTS 1)."""

    TRACE = "trace"
    DEBUG = "debug"
    INFO = "info"
    WARN = "warn"
    ERROR = "error"


class Origin(StrEnum):
    """Where a record's knowledge comes from."""

    EVENT = "event"
    """A Kubernetes Event (core/v1)."""
    OBJECT = "object"
    """The life of the object itself: it was created, queued or deleted; `reason` says which."""
    STATUS = "status"
    """What the object's status says; `details.aspect` tells of which kind. Only since version 2."""


class Aspect(StrEnum):
    """What a status tells of, in words that stay the same over releases."""

    ENDED = "ended"
    """A container ended; `reason` is Kubernetes' word for how (OOMKilled, Error, Completed, StartError ...)."""
    BACK_OFF = "back_off"
    """A container that ended is started again only after a pause."""
    IMAGE = "image"
    """A container's image cannot be had."""
    WAITING = "waiting"
    """A container cannot be made or started for another reason."""
    POD_ENDED = "pod_ended"
    """The pod itself was ended: evicted, refused by its node, over its deadline ..."""
    DISRUPTED = "disrupted"
    """Somebody is about to end the pod: an eviction, a preemption, a taint."""
    UNSCHEDULED = "unscheduled"
    """No node has been found for the pod."""
    UNREADY = "unready"
    """A pod that was ready is not any more, though its containers run."""
    SANDBOX = "sandbox"
    """A pod that had started has lost what its containers share."""
    STARTED = "started"
    """A pod became ready for the first time; `details.timeline` says what the time went on."""
    NOT_STARTED = "not_started"
    """A pod failed without ever having been ready; likewise."""
    LAST_WORDS = "last_words"
    """What a container wrote last before it ended badly: the message, a line of its log in each line."""


class ObjectRef(msgspec.Struct, frozen=True, array_like=True):
    """The Kubernetes object that a record is about."""

    kind: str
    namespace: str
    name: str
    uid: Uid


class Timeline(msgspec.Struct, frozen=True, array_like=True):
    """What a pod's start went on, in milliseconds, though most is known by the second only. None: nobody can say.

    Of a pod that failed the last phase is the one that it failed in. Fields are only appended, as a record's are.
    """

    total_ms: int = 0
    """From the pod's creation until it was ready, or failed."""
    scheduled_ms: int | None = None
    """Until it had a node."""
    volumes_ms: int | None = None
    """Until the first image was asked for: volumes were attached and mounted, the network was set up."""
    images_ms: int | None = None
    """All pulls together, with waiting and failed tries; 0 if every image was on the node."""
    inits_ms: int | None = None
    """Init containers, without their images; None, too, if there are none."""
    containers_ms: int | None = None
    """The rest: containers were made and started, and became ready."""
    pulled: int = 0
    """Images that were pulled."""
    cached: int = 0
    """Images that were on the node already."""
    pulled_bytes: int = 0
    """Size of the images that were pulled, 0 if Kubernetes does not say it of all."""


class Details(msgspec.Struct, frozen=True, array_like=True):
    """What a status tells beside reason and message. Fields are only appended, as a record's are."""

    aspect: str
    """One of `Aspect`, or a word that only a newer program knows."""
    role: str = ""
    """The container's: `init`, `sidecar`, `ephemeral`, or empty for an ordinary one."""
    image: str = ""
    exit_code: int | None = None
    signal: int = 0
    """The number that the runtime gave; mostly 0, and the signal is in the exit code (128 and more)."""
    restarts: int = 0
    """How often the container had been started again before this happened."""
    started_at_ms: int = 0
    """Unix time of the start of the container that ended, 0 if unknown; `last_at_ms` is its end."""
    limit_bytes: int = 0
    """The container's memory limit, 0 if it has none."""
    pause_s: int = 0
    """How long Kubernetes waits until it starts the container again, 0 if unknown."""
    expected: bool = False
    """The pod is going anyway: it was asked to, or its end is told by itself."""
    timeline: Timeline | None = None
    """Of the start of a pod."""


class LogRecord(msgspec.Struct, frozen=True, array_like=True):
    """One thing that Kubernetes told about one object.

    `identity` names the fact and `version` (>= 1) its newest telling: an Event's UID and its count,
    `<object uid>/<fact>` and 1, or for a status a number that grows with what it counts. A stream accepts a
    record only if its version is newer than the last accepted for that identity (guarantee 3).
    """

    v: int
    origin: Origin
    object: ObjectRef
    identity: str
    version: int
    reason: str
    message: str
    level: Level
    type: str = ""
    """Kubernetes' event type, `Normal` or `Warning`; empty for what is not an Event."""
    count: int = 1
    """How often it has happened so far, this time included."""
    first_at_ms: int = 0
    """Unix time of the first occurrence, 0 if unknown."""
    last_at_ms: int = 0
    """Unix time of the latest occurrence, 0 if unknown. Kubernetes gives most Events whole seconds."""
    component: str = ""
    """Who says so: `kubelet`, `default-scheduler`, ... Empty if unknown."""
    container: str = ""
    """Name of the container concerned, empty for the whole object."""
    details: Details | None = None
    """Of a status; None for everything else."""


class FutureRecord(msgspec.Struct, frozen=True):
    """A record of a version that this program does not know. It stays where it is until a newer one reads it."""

    version: int


class UnreadableRecord(msgspec.Struct, frozen=True):
    """Bytes that are no record of a known version. Dropped by the reader, counted, with this reason."""

    why: str


class _Versioned(msgspec.Struct, frozen=True, array_like=True):
    v: int


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(LogRecord)
_version_decoder = msgspec.msgpack.Decoder(_Versioned)


def encode_record(record: LogRecord) -> bytes:
    """The wire form of `record`."""
    return _encoder.encode(record)


def decode_record(payload: bytes) -> LogRecord | FutureRecord | UnreadableRecord:
    """The record in `payload`, or what it is instead. Never raises: a stream must not be stopped by one entry."""
    try:
        version = _version_decoder.decode(payload).v
        if version > STATUS_VERSION:
            return FutureRecord(version)
        return _decoder.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return UnreadableRecord(str(error))
