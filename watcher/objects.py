"""The parts of Kubernetes objects that this program reads, and their decoding. Pure: bytes in, structs out.

What a pod specification says of tokens is in `watcher/specs.py`.

Structs name only the fields used, so msgspec skips the rest of a pod without building it (13 µs for a 7 kB pod).
A watch line is decoded in one pass; only a line that does not fit is looked at a second time, to learn whether it
is an ERROR, a malformed object (`Malformed`, whose position may still be readable) or no JSON at all. Nothing
here raises on what the server sent. Source: FACTS 2, recorded streams.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Any, Final, Generic, TypeVar

import msgspec
from msgspec import Struct, field

from watcher.pod_status import PodStatus
from watcher.specs import PodSpec, PodTemplate
from watcher.versions import unix_ms
from watcher.whole import Whole

__all__ = [
    "Bookmark",
    "Delta",
    "Event",
    "Expired",
    "Failure",
    "Line",
    "ListPage",
    "Malformed",
    "Metadata",
    "Namespace",
    "Pod",
    "ReplicaSet",
    "Resource",
    "Status",
    "Verb",
    "decode_failure",
    "decode_list",
    "decode_pod",
    "decode_source",
    "decode_uid",
    "decode_watch",
    "decoded",
    "is_expired",
]


class Tags(Struct, frozen=True, gc=False):
    """What Coder's templates write into labels or annotations: whose workspace this is."""

    workspace: str | None = field(name="com.coder.workspace.name", default=None)
    owner: str | None = field(name="com.coder.user.username", default=None)


class OwnerReference(Struct, frozen=True, gc=False):
    kind: str = ""
    uid: str = ""
    controller: bool | None = None


class Metadata(Struct, frozen=True, gc=False, rename="camel"):
    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    creation_timestamp: str | None = None
    deletion_timestamp: str | None = None
    labels: Tags | None = None
    annotations: Tags | None = None
    owner_references: tuple[OwnerReference, ...] | None = None


_NO_METADATA = Metadata()


class Pod(Struct, frozen=True):
    metadata: Metadata = _NO_METADATA
    spec: PodSpec | None = None
    status: PodStatus | None = None


class ReplicaSetSpec(Struct, frozen=True):
    replicas: int | None = None
    template: PodTemplate | None = None


class ReplicaSetStatus(Struct, frozen=True, rename="camel"):
    ready_replicas: int | None = None


class ReplicaSet(Struct, frozen=True):
    metadata: Metadata = _NO_METADATA
    spec: ReplicaSetSpec | None = None
    status: ReplicaSetStatus | None = None


class Involved(Struct, frozen=True, gc=False, rename="camel"):
    kind: str = ""
    namespace: str = ""
    name: str = ""
    uid: str = ""
    field_path: str | None = None


class Series(Struct, frozen=True, gc=False, rename="camel"):
    count: Whole | None = None
    last_observed_time: str | None = None


class EventSource(Struct, frozen=True, gc=False):
    component: str | None = None


class Event(Struct, frozen=True, rename="camel"):
    metadata: Metadata = _NO_METADATA
    involved_object: Involved = Involved()
    reason: str | None = None
    message: str | None = None
    type: str | None = None
    count: Whole | None = None
    first_timestamp: str | None = None
    last_timestamp: str | None = None
    event_time: str | None = None
    series: Series | None = None
    source: EventSource | None = None
    reporting_component: str | None = None

    @property
    def about(self) -> str:
        """UID of the object concerned."""
        return self.involved_object.uid

    @property
    def component(self) -> str:
        """Who says so, "" if unknown."""
        return self.reporting_component or (self.source.component if self.source is not None else None) or ""

    @property
    def namespace(self) -> str:
        """That of the object concerned."""
        return self.involved_object.namespace

    @property
    def topic(self) -> str:
        """What repeats when this comes again."""
        return self.metadata.uid

    @property
    def times(self) -> int:
        """How often it has happened so far."""
        count = self.series.count if self.series is not None else self.count
        return max(1, count or 1)

    @property
    def version(self) -> int:
        """Which telling of its topic this is: later ones are higher."""
        return self.times

    @property
    def since_ms(self) -> int:
        """Unix time of the first occurrence, 0 if unknown."""
        return unix_ms(self.first_timestamp or self.event_time or self.metadata.creation_timestamp)

    @property
    def at_ms(self) -> int:
        """Unix time of the latest occurrence, 0 if unknown."""
        last = self.series.last_observed_time if self.series is not None else None
        return unix_ms(last or self.last_timestamp or self.event_time or self.metadata.creation_timestamp)


class Namespace(Struct, frozen=True):
    metadata: Metadata = _NO_METADATA


Resource = Pod | ReplicaSet | Event | Namespace
ResourceT = TypeVar("ResourceT", bound=Resource)
_Decoded = TypeVar("_Decoded")


class _SourceData(Struct, frozen=True):
    data: dict[str, str] | None = None


class Verb(StrEnum):
    """The word of a watch line that carries an object."""

    ADDED = "ADDED"
    MODIFIED = "MODIFIED"
    DELETED = "DELETED"


class Delta(Struct, Generic[ResourceT], frozen=True):
    """A watch line that carries an object; with DELETED it is the object's last state."""

    verb: Verb
    object: ResourceT


class Bookmark(Struct, frozen=True):
    """All up to this resource version has been sent."""

    resource_version: str


class Expired(Struct, frozen=True):
    """410 in the stream: history up to the asked position is gone."""


class Failure(Struct, frozen=True):
    """Another error in the stream; the server ends it after this line."""

    code: int
    message: str


class Malformed(Struct, frozen=True):
    """An object or a line that does not fit; `resource_version` is "" unless it could still be read."""

    why: str
    resource_version: str = ""


Line = Delta[ResourceT] | Bookmark | Expired | Failure | Malformed


class ListPage(Struct, Generic[ResourceT], frozen=True):
    """One page of a list; `continue_token` is "" on the last."""

    resource_version: str
    continue_token: str
    items: list[ResourceT]
    malformed: int = 0


class StatusMetadata(Struct, frozen=True):
    resource_version: str = field(name="resourceVersion", default="")
    continue_token: str = field(name="continue", default="")


class StatusDetails(Struct, frozen=True):
    retry_after_s: float | None = field(name="retryAfterSeconds", default=None)


class Status(Struct, frozen=True):
    """The API server's error object."""

    reason: str = ""
    message: str = ""
    code: int = 0
    details: StatusDetails | None = None


class _Headed(Struct, frozen=True):
    metadata: Metadata = _NO_METADATA


class _Envelope(Struct, frozen=True):
    type: str
    object: msgspec.Raw


class _TypedLine(Struct, Generic[ResourceT], frozen=True):
    type: str
    object: ResourceT


class _TypedList(Struct, Generic[ResourceT], frozen=True):
    metadata: StatusMetadata
    items: list[ResourceT] | None = None


class _RawList(Struct, frozen=True):
    metadata: StatusMetadata
    items: list[msgspec.Raw] | None = None


_GONE: Final = 410
_envelope = msgspec.json.Decoder(_Envelope)
_headed = msgspec.json.Decoder(_Headed)
_status = msgspec.json.Decoder(Status)
_raw_list = msgspec.json.Decoder(_RawList)
_source = msgspec.json.Decoder(_SourceData)
# By the type of the resource; what a decoder yields follows from its key, which the type checker cannot express.
_KINDS: Final[tuple[Any, ...]] = (Pod, ReplicaSet, Event, Namespace)
_lines: Final[dict[Any, Any]] = {kind: msgspec.json.Decoder(_TypedLine[kind]) for kind in _KINDS}  # type: ignore[valid-type]
_lists: Final[dict[Any, Any]] = {kind: msgspec.json.Decoder(_TypedList[kind]) for kind in _KINDS}  # type: ignore[valid-type]
_objects: Final[dict[Any, Any]] = {kind: msgspec.json.Decoder(kind) for kind in _KINDS}
_VERBS: Final = {verb.value: verb for verb in Verb}


def decode_watch(kind: type[ResourceT], line: bytes) -> Line[ResourceT]:
    """What one line of a watch of `kind` says."""
    try:
        typed: _TypedLine[ResourceT] = _lines[kind].decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        return _second_look(line, error)
    verb = _VERBS.get(typed.type)
    if verb is not None:
        if typed.object.metadata.uid:
            return Delta(verb, typed.object)
        return Malformed("an object without a uid", typed.object.metadata.resource_version)
    if typed.type == "BOOKMARK":
        return Bookmark(typed.object.metadata.resource_version)
    return _second_look(line, f"unknown type {typed.type[:32]!r}")


def _second_look(line: bytes, why: object) -> Expired | Failure | Malformed:
    try:
        envelope = _envelope.decode(line)
        if envelope.type == "ERROR":
            status = _status.decode(envelope.object)
            return Expired() if is_expired(status) else Failure(status.code, status.message[:500])
        return Malformed(str(why), _headed.decode(envelope.object).metadata.resource_version)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return Malformed(str(why))


def is_expired(status: Status) -> bool:
    """Whether `status` is any spelling of «410 Gone»."""
    return status.code == _GONE or status.reason in ("Expired", "Gone")


def decode_list(kind: type[ResourceT], body: bytes) -> ListPage[ResourceT]:
    """The page in `body`. Raises `ValueError` if it is no list at all; unfit items are left out and counted."""
    try:
        page: _TypedList[ResourceT] = _lists[kind].decode(body)
        items: Sequence[ResourceT] = page.items or ()
        good = [item for item in items if item.metadata.uid]
        head, bad = page.metadata, len(items) - len(good)
    except (msgspec.ValidationError, UnicodeDecodeError):
        good, head, bad = _list_one_by_one(kind, body)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise ValueError(f"not a list: {error}") from error
    return ListPage(head.resource_version, head.continue_token, good, bad)


def _list_one_by_one(kind: type[ResourceT], body: bytes) -> tuple[list[ResourceT], StatusMetadata, int]:
    try:
        page = _raw_list.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"not a list: {error}") from error
    good: list[ResourceT] = []
    bad = 0
    for raw in page.items or ():
        try:
            item: ResourceT = _objects[kind].decode(raw)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            bad += 1
            continue
        if item.metadata.uid:
            good.append(item)
        else:
            bad += 1
    return good, page.metadata, bad


def decoded(decoder: msgspec.json.Decoder[_Decoded], body: bytes) -> _Decoded:
    """What `body` holds. Raises `ValueError` if it does not fit, however deeply it is nested."""
    try:
        return decoder.decode(body)
    except RecursionError as error:
        raise ValueError(str(error)) from error


def decode_uid(body: bytes) -> str:
    """`metadata.uid` of the object in `body`, "" if it has none. Raises `ValueError` if it is no object."""
    return decoded(_headed, body).metadata.uid


def decode_pod(body: bytes) -> Pod:
    """The pod in `body`. Raises `ValueError` if it is none."""
    pod: Pod = decoded(_objects[Pod], body)
    return pod


def decode_source(body: bytes) -> dict[str, str]:
    """`data` of the Secret (its values still base64) or ConfigMap in `body`. Raises `ValueError` if it is neither."""
    return decoded(_source, body).data or {}


def decode_failure(body: bytes) -> Status:
    """The Status in an error's body, or an empty one: proxies answer in HTML."""
    try:
        return _status.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return Status()
