"""The record's wire form survives a round trip, a newer program and garbage."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.ids import Uid
from common.record import (
    RECORD_VERSION,
    STATUS_VERSION,
    Details,
    FutureRecord,
    Level,
    LogRecord,
    ObjectRef,
    Origin,
    UnreadableRecord,
    decode_record,
    encode_record,
)

# The wire form is UTF-8, so lone surrogates cannot be in it; the watcher's decoder never makes them.
texts = st.text(st.characters(exclude_categories=["Cs"]))
times = st.integers(min_value=0, max_value=2**53)
records = st.builds(
    LogRecord,
    v=st.just(RECORD_VERSION),
    origin=st.sampled_from(Origin),
    object=st.builds(ObjectRef, texts, texts, texts, texts.map(Uid)),
    identity=texts,
    version=st.integers(min_value=1, max_value=2**53),
    reason=texts,
    message=texts,
    level=st.sampled_from(Level),
    type=texts,
    count=st.integers(min_value=1, max_value=2**53),
    first_at_ms=times,
    last_at_ms=times,
    component=texts,
    container=texts,
    details=st.none() | st.builds(Details, aspect=texts, role=texts, image=texts, signal=times, started_at_ms=times),
)
RECORD = LogRecord(
    v=1,
    origin=Origin.EVENT,
    object=ObjectRef("Pod", "ns", "pod-1", Uid("u1")),
    identity="e1",
    version=1,
    reason="Pulled",
    message="m",
    level=Level.DEBUG,
)


@given(records)
def test_a_record_survives_the_wire(record: LogRecord) -> None:
    assert decode_record(encode_record(record)) == record


def test_items_that_a_newer_writer_appended_are_passed_over() -> None:
    items = msgspec.msgpack.decode(encode_record(RECORD))
    assert decode_record(msgspec.msgpack.encode([*items, "something new"])) == RECORD


def test_items_that_an_older_writer_did_not_know_take_their_defaults() -> None:
    items = msgspec.msgpack.decode(encode_record(RECORD))
    assert decode_record(msgspec.msgpack.encode(items[:8])) == RECORD


def test_a_version_from_the_future_is_said_not_guessed() -> None:
    assert decode_record(msgspec.msgpack.encode([3, {"all": "different"}])) == FutureRecord(3)


@given(st.binary(max_size=200))
def test_garbage_is_unreadable_and_raises_nothing(payload: bytes) -> None:
    assert isinstance(decode_record(payload), LogRecord | FutureRecord | UnreadableRecord)


def test_a_level_that_does_not_exist_is_unreadable() -> None:
    items = msgspec.msgpack.decode(encode_record(RECORD))
    items[7] = "shouting"
    assert isinstance(decode_record(msgspec.msgpack.encode(items)), UnreadableRecord)


@pytest.mark.parametrize(
    "payload",
    [
        pytest.param(msgspec.msgpack.encode([1, "event"]).replace(b"event", b"\xff" * 5), id="not UTF-8"),
        pytest.param(b"\x92\x01" + b"\x91" * 50_000, id="nested too deeply"),
    ],
)
def test_what_no_decoder_of_ours_wrote_is_unreadable(payload: bytes) -> None:
    assert isinstance(decode_record(payload), UnreadableRecord)


def test_what_a_status_says_is_kept_by_a_reader_that_knows_only_events() -> None:
    """It would take the origin for unreadable, and drop it: so the version must be one that it keeps in the stream."""
    assert STATUS_VERSION > RECORD_VERSION
    assert decode_record(encode_record(RECORD)) == RECORD


def test_a_detail_that_a_newer_watcher_knows_is_passed_over() -> None:
    record = msgspec.structs.replace(RECORD, v=STATUS_VERSION, origin=Origin.STATUS, details=Details("brand_new"))
    items = msgspec.msgpack.decode(encode_record(record))
    items[-1] = [*items[-1], "more"]
    assert decode_record(msgspec.msgpack.encode(items)) == record
