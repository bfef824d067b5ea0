"""Strategies for what may come from Kubernetes, Redis and Coder: mostly right, wrong in places, or nothing at all."""

from __future__ import annotations

import json
from typing import Any, Final

import msgspec
from hypothesis import strategies as st

from common.ids import Uid
from common.record import RECORD_VERSION, Level, LogRecord, ObjectRef, Origin, encode_record
from common.store.model import AgentState, EndReason
from shipper.outcome import Answer
from shipper.reasons import Reason

# -- what may come

words: Final = st.text(max_size=40)
nasty: Final = st.text(
    st.sampled_from("a \t\n\r\0\x07\x1b\x7f\x85\x9b\u2028\u202e\u2066\ufeff\U0001f433\u0301\u200d\ud800é")
)
messages: Final = st.one_of(words, nasty, st.builds(lambda text, times: text * times, nasty, st.integers(1, 400)))
json_values: Final = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | words,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(words, inner, max_size=4),
    max_leaves=12,
)
KEYS: Final = (
    "metadata", "name", "namespace", "uid", "resourceVersion", "creationTimestamp", "deletionTimestamp", "labels",
    "spec", "status", "containers", "initContainers", "env", "value", "valueFrom", "secretKeyRef", "key", "template",
    "replicas", "conditions", "type", "containerStatuses", "state", "running", "involvedObject", "kind", "reason",
    "message", "count", "series", "lastTimestamp", "firstTimestamp", "eventTime", "source", "component", "items",
    "continue", "data", "code",
)  # fmt: skip
likely: Final = st.sampled_from(
    ("", "CODER_AGENT_TOKEN", "Pod", "Ready", "True", "2026-11-22T15:49:08Z", "2026-13-45T99:99:99Z", "12", "abc",
     "11111111-2222-4333-8444-555555555555", "Failed", "Warning")
)  # fmt: skip
objects: Final = st.recursive(
    json_values | likely | st.integers(-5, 10**18),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=6),
    max_leaves=25,
)


@st.composite
def resources(draw: st.DrawFn) -> dict[str, Any]:
    """Something like a pod, a ReplicaSet, an Event: right in the main, wrong in places."""
    container = {"name": draw(words), "env": [{"name": draw(likely), "value": draw(likely | words)}]}
    value: dict[str, Any] = {
        "metadata": {
            "name": draw(words),
            "namespace": draw(words),
            "uid": draw(likely),
            "resourceVersion": draw(likely),
        },
        "spec": {"containers": [container], "template": {"spec": {"containers": [container]}}},
        "status": {"phase": draw(likely), "conditions": [{"type": draw(likely), "status": draw(likely)}]},
        "involvedObject": {
            "kind": draw(likely),
            "namespace": draw(words),
            "uid": draw(likely),
            "fieldPath": draw(words),
        },
        "reason": draw(st.none() | messages),
        "message": draw(st.none() | messages),
        "type": draw(likely),
        "count": draw(st.none() | st.integers(-(2**62), 2**62)),
        "lastTimestamp": draw(st.none() | likely | words),
        "firstTimestamp": draw(st.none() | likely),
        "series": draw(st.none() | st.fixed_dictionaries({"count": st.none() | st.integers(-9, 9)})),
    }
    for key in draw(st.lists(st.sampled_from(sorted(value)), max_size=2)):
        value[key] = draw(objects)
    return value


def as_json(value: object) -> bytes:
    return json.dumps(value).encode("utf-8", "replace")


bodies: Final = st.one_of(
    st.binary(max_size=60),
    st.sampled_from((3, 3_000)).map(lambda depth: b'{"a":' + b"[" * depth),
    objects.map(as_json),
    resources().map(as_json),
    st.builds(lambda body, cut: body[:cut], resources().map(as_json), st.integers(0, 300)),
)
msgpacked: Final = st.one_of(
    st.binary(max_size=60),
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-(2**63), 2**64 - 1)
        | st.floats()
        | st.text(max_size=9)
        | st.binary(max_size=9),
        lambda inner: st.lists(inner, max_size=16),
        max_leaves=30,
    ).map(msgspec.msgpack.encode),
    st.sampled_from((3, 3_000)).map(lambda depth: b"\x92\x01" + b"\x91" * depth),
    st.builds(lambda head, tail: b"\x9e\x01\xa5event\x94\xa3P\xffd" + head + tail, st.binary(max_size=9), st.binary()),
)
records: Final = st.builds(
    LogRecord,
    v=st.just(RECORD_VERSION),
    origin=st.sampled_from(Origin),
    object=st.builds(ObjectRef, likely, words, messages.map(lambda text: text[:300]), words.map(Uid)),
    identity=words,
    version=st.integers(1, 10**9),
    reason=messages,
    message=messages,
    level=st.sampled_from(Level),
    type=likely,
    count=st.integers(-5, 2**62),
    first_at_ms=st.integers(-(10**15), 10**15),
    last_at_ms=st.integers(-(10**15), 10**15),
    component=words,
    container=messages,
)
encodable: Final = records.filter(lambda record: _encodes(record))


def _encodes(record: LogRecord) -> bool:
    try:
        encode_record(record)
    except UnicodeEncodeError:
        return False  # msgspec's decoders let no surrogate in, so no record has one
    return True


# -- from Coder

header_values: Final = st.one_of(
    words,
    st.sampled_from(("nan", "inf", "-inf", "-1", "0", "1e400", "60", "512", "99999999999999999999", "１２", "")),
    st.sampled_from(
        ("Tue, 24 Nov 2026 08:37:33 GMT", "Tue, 24 Nov 0001 00:00:00 GMT", "Tue, 24 Nov 9999 99:99:99 GMT")
    ),
    st.floats().map(str),
    st.integers().map(str),
)
headers: Final = st.dictionaries(
    st.sampled_from(("x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset", "date", "retry-after")),
    header_values,
)
CODERS_WORDS: Final = (
    "Workspace agent not authorized.", "Workspace agent token invalid.", "Logs limit exceeded", "Failed to upload logs",
)  # fmt: skip
coder_bodies: Final = st.one_of(
    st.binary(max_size=40),
    st.sampled_from(
        (
            "Workspace agent not authorized.",
            "Workspace agent token invalid.",
            "Logs limit exceeded",
            "Failed to upload logs",
        )
    ).map(lambda message: as_json({"message": message})),
    json_values.map(as_json),
    st.binary(max_size=9).map(lambda raw: b'{"message":"%b"}' % raw),
    st.sampled_from((3, 3_000)).map(lambda depth: b'{"a":' + b"[" * depth),
)
quotas: Final = st.fixed_dictionaries(
    {
        "x-ratelimit-limit": st.just("512") | header_values,
        "x-ratelimit-remaining": st.just("0") | header_values,
        "x-ratelimit-reset": header_values,
        "date": st.just("Tue, 24 Nov 2026 08:37:33 GMT") | header_values,
    }
)
answers: Final = st.builds(
    Answer, st.sampled_from((200, 201, 204, 302, 400, 401, 404, 413, 429, 500, 502)) | st.integers(100, 999),
    headers | quotas, coder_bodies,
)  # fmt: skip
states: Final = st.builds(
    AgentState,
    spent_bytes=st.integers(0, 2**40),
    held_since_ms=st.integers(0, 2**50),
    held_why=st.sampled_from(["", "of a newer version", *map(str, Reason)]),
    tries=st.integers(0, 2**40),
    ended=st.none() | st.sampled_from(EndReason),
)
