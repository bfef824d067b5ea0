"""Anything may come: from Kubernetes, from Coder, from Redis. Nothing of it may crash, stick, or get through unsaid.

20,000 examples in all files `test_fuzz*.py` together; `--hypothesis-profile=long` makes it a million.
"""

from __future__ import annotations

import contextlib
import math
from random import Random
from typing import Any, Final
from uuid import UUID

import pytest
from cryptography.fernet import Fernet
from hypothesis import given
from hypothesis import strategies as st

from common.crypto import TokenVault
from common.ids import StreamId, Uid
from common.record import (
    FutureRecord,
    LogRecord,
    UnreadableRecord,
    decode_record,
    encode_record,
)
from common.store.dispatcher import DELAY_MAX_S
from common.store.model import Card, Waiting, decode_card, encode_card
from common.wording.read import shipped_wording
from common.wording.table import subject_of
from shipper.batch import BATCH_BYTES_MAX, BATCH_LINES_MAX, Intake, compose
from shipper.budget import RESERVE_BYTES, Account
from shipper.hold import Windows
from shipper.outcome import Answer, Call, Circumstances, Delivered, NoAnswer, Reject, Retry, Sent, Split, decide
from shipper.pace import Pace, Share
from shipper.text import render
from tests.faults.fuzzing import LINE_MAX_CHARS, fuzzed, is_obeyed
from tests.faults.generated import (
    answers,
    bodies,
    encodable,
    likely,
    msgpacked,
    records,
    states,
    words,
)
from watcher.directory import Known
from watcher.mounts import Kind
from watcher.objects import (
    Bookmark,
    Delta,
    Event,
    Expired,
    Failure,
    Malformed,
    Pod,
    ReplicaSet,
    decode_failure,
    decode_list,
    decode_source,
    decode_uid,
    decode_watch,
)
from watcher.packed import Unpacked, pack, unpack
from watcher.records import event_record
from watcher.selectors import parse_labels
from watcher.sightings import sight
from watcher.sought import Key, NoToken, Sought, SourceData, read_token, token_of

VAULT: Final = TokenVault([Fernet(Fernet.generate_key())], b"k" * 32)
BUDGET_BYTES: Final = 256 * 1024
WORDING: Final = shipped_wording()

# -- from Kubernetes


@fuzzed
@given(
    st.sampled_from((Pod, ReplicaSet, Event)), st.sampled_from(("ADDED", "DELETED", "BOOKMARK", "ERROR", "?")), bodies
)
def test_no_watch_line_crashes(kind: Any, verb: str, body: bytes) -> None:
    for line in (body, b'{"type":"%b","object":%b}' % (verb.encode(), body)):
        match decode_watch(kind, line):
            case Delta(_, value):
                assert value.metadata.uid
                _use(value)
            case Bookmark() | Expired() | Failure() | Malformed():
                pass
            case other:
                pytest.fail(f"{other!r} is no line")


def _use(value: Pod | ReplicaSet | Event) -> None:
    """What intake does with it, as far as it is pure."""
    if isinstance(value, Event):
        known = Known("Pod", "ns", "pod", Uid("u"), 0, told=True)
        assert isinstance(value.at_ms, int)
        record = event_record(value, known)
        assert record.version >= 1
        assert isinstance(decode_record(encode_record(record)), LogRecord)
        _check_lines(record, 0)
    else:
        for found in sight(value, parse_labels("")).found:
            assert "11111111" not in repr(found.where)


@fuzzed
@given(st.sampled_from((Pod, ReplicaSet, Event)), bodies)
def test_no_list_or_answer_crashes(kind: Any, body: bytes) -> None:
    for page in (body, b'{"metadata":{"resourceVersion":"7"},"items":[%b,%b]}' % (body, body)):
        with contextlib.suppress(ValueError):
            assert all(item.metadata.uid for item in decode_list(kind, page).items)
    decode_failure(body)
    for decode in (decode_uid, decode_source):
        with contextlib.suppress(ValueError):
            decode(body)


@fuzzed
@given(st.dictionaries(words | st.just("token"), words | likely, max_size=3), words | likely)
def test_a_secrets_value_is_a_uuid_or_a_reason(data: dict[str, str], text: str) -> None:
    found = token_of(Sought(Key(Kind.SECRET, "s", "token")), lambda _: SourceData(data))
    assert isinstance(found, NoToken) or str(UUID(found)) == found
    token = read_token(text)
    assert token is None or str(UUID(token)) == token


# -- from Redis


@fuzzed
@given(msgpacked)
def test_no_stored_value_crashes(raw: bytes) -> None:
    assert isinstance(decode_record(raw), LogRecord | FutureRecord | UnreadableRecord)
    assert isinstance(unpack(raw, VAULT), Unpacked | None)
    with contextlib.suppress(ValueError, RecursionError):
        assert isinstance(decode_card(raw), Card)


@fuzzed
@given(encodable, st.builds(Card, st.binary(max_size=90), words, words, words, words))
def test_what_is_stored_comes_back(record: LogRecord, card: Card) -> None:
    assert decode_record(encode_record(record)) == record
    assert decode_card(encode_card(card)) == card
    known = Known(record.object.kind, record.object.namespace, record.object.name, record.object.uid, 1, told=True)
    assert unpack(pack(known, VAULT), VAULT) == Unpacked(known)


# -- to Coder


@fuzzed
@given(records, st.integers(0, 10**14))
def test_nothing_that_is_shown_can_be_obeyed(record: LogRecord, now_ms: int) -> None:
    _check_lines(record, now_ms)


def _check_lines(record: LogRecord, now_ms: int) -> None:
    ruling = WORDING.of(subject_of(record))
    lines = render(record, ruling, now_ms)
    assert lines
    for line in lines:
        assert 0 < len(line.text) <= LINE_MAX_CHARS
        assert line.level is ruling.level
        line.text.encode()
        assert [char for char in line.text if is_obeyed(char)] == []


@fuzzed
@given(
    st.lists(st.one_of(encodable.map(encode_record), msgpacked), min_size=1, max_size=12),
    st.integers(RESERVE_BYTES + 1, BUDGET_BYTES),
    st.integers(0, BUDGET_BYTES),
)
def test_no_batch_passes_a_limit_and_each_gets_on(payloads: list[bytes], budget_bytes: int, spent_bytes: int) -> None:
    spent_bytes = min(spent_bytes, budget_bytes - RESERVE_BYTES)
    waiting = [Waiting(StreamId(f"{number}-0"), payload) for number, payload in enumerate(payloads)]
    intake = Intake.of(waiting, 10**12, WORDING, ())
    pieces = list(intake.pieces)
    assert len(pieces) == len(waiting) or intake.future is not None
    while pieces:
        batch = compose(pieces, Account(budget_bytes, spent_bytes))
        assert batch.finished or batch.closes
        alone = len(batch.pieces) == 1
        assert len(batch.lines) - batch.closes <= BATCH_LINES_MAX or alone
        assert batch.output_bytes <= BATCH_BYTES_MAX + RESERVE_BYTES or alone
        spent_bytes += batch.output_bytes
        assert spent_bytes <= budget_bytes
        if batch.closes:
            return
        pieces = pieces[len(batch.finished) :]


# -- from Coder


@fuzzed
@given(
    st.one_of(answers, st.builds(NoAnswer, st.sampled_from(Sent), words)),
    st.sampled_from(Call),
    st.builds(Circumstances, states, st.integers(0, 2**50), st.just(Windows()), st.floats(0, 1, exclude_max=True)),
)
def test_every_answer_is_decided(reply: Answer | NoAnswer, call: Call, at: Circumstances) -> None:
    match decide(reply, call, at):
        case Retry(after_s):
            assert 0.0 <= after_s <= DELAY_MAX_S
        case Delivered():
            assert isinstance(reply, Answer)
            assert 200 <= reply.status < 300
        case Reject():
            pass
        case Split():
            assert call is Call.LOGS
        case other:
            pytest.fail(f"{other!r} is no outcome")


@fuzzed
@given(st.lists(st.tuples(answers, st.none() | st.floats(0, 300), st.floats(0, 30)), max_size=6), st.integers(1, 4))
def test_no_header_stops_the_pace_for_long(heard: list[tuple[Answer, float | None, float]], processes: int) -> None:
    pace, now_s = Pace(Random(1), processes), 0.0
    for answer, rest_s, later_s in heard:
        now_s += later_s
        for call in Call:
            pace.observe(call, answer, rest_s, now_s)
            wait_s = pace.take(call, Share.ALL, now_s)
            assert math.isfinite(wait_s)
            assert 0.0 <= wait_s <= 600.0
        assert pace.places(now_s) >= 0
    now_s += 1_000.0
    assert all(pace.take(call, Share.ALL, now_s) == 0.0 for call in Call)
