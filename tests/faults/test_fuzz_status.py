"""Anything may stand in a pod's status, or in Redis as something that it said: its lines are shown, with hints and all,
by the table that ships, and nothing of them is obeyed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from common.ids import Uid
from common.record import LogRecord, decode_record
from common.wording.read import shipped_wording
from shipper.telling import Hidden, Told, tell
from tests.faults.fuzzing import LINE_MAX_CHARS, fuzzed, is_obeyed, quickly
from tests.faults.generated import as_json
from tests.faults.generated_status import pods, pulls, starts, status_records
from watcher.directory import Known
from watcher.facts import Fact
from watcher.objects import Delta, Malformed, Pod, decode_watch
from watcher.pulls import Pull, merged
from watcher.records import fact_record, last_words
from watcher.status import facts_of
from watcher.timeline import Start, had_started, is_whole, start_fact, start_of

WORDING: Final = shipped_wording()
KNOWN: Final = Known("Pod", "ns", "pod", Uid("u"), 0, told=True)
NOW_MS: Final = 1_800_000_000_000


@fuzzed
@given(pods(), st.lists(pulls, max_size=3))
def test_whatever_a_status_says_is_shown_and_not_obeyed(pod: dict[str, Any], heard: list[Pull]) -> None:
    with quickly():
        match decode_watch(Pod, b'{"type":"MODIFIED","object":%b}' % as_json(pod)):
            case Delta(_, Pod() as value):
                assert isinstance(had_started(value), bool)
                facts = [*facts_of(value)]
                if (start := start_of(value)) is not None:
                    facts.append(start_fact(start, heard))
                for fact in facts:
                    check_fact(fact)
            case other:
                assert isinstance(other, Malformed)


@fuzzed
@given(starts, st.lists(pulls, max_size=4))
def test_whatever_is_heard_of_a_start_is_one_line_of_it(start: Start, heard: list[Pull]) -> None:
    known: Sequence[Pull] = ()
    for pull in heard:
        known = merged(known, pull)
    assert isinstance(is_whole(start, known), bool)
    fact = start_fact(start, known)
    timeline = fact.details.timeline
    assert timeline is not None
    spans_ms = msgspec.structs.astuple(timeline)[1:6]
    assert all(span is None or span >= 0 for span in spans_ms)
    check_fact(fact, lines=1)


@fuzzed
@given(status_records)
def test_whatever_redis_says_of_a_status_is_shown_and_not_obeyed(record: LogRecord) -> None:
    with quickly():
        check_told(record)


def check_fact(fact: Fact, *, lines: int = 0) -> None:
    """`fact` gets through Redis, and so do last words that go with it."""
    assert fact.version >= 1
    for record in (fact_record(fact, KNOWN), last_words(fact, fact.message.split("\n"), KNOWN)):
        stored = decode_record(encoded(record))
        assert isinstance(stored, LogRecord)
        shown = check_told(stored)
        assert record.reason == "LastWords" or lines in (0, shown)


def encoded(record: LogRecord) -> bytes:
    return msgspec.msgpack.encode(record)


def check_told(record: LogRecord) -> int:
    """All that is shown of `record`; how many lines that are."""
    match tell(record, NOW_MS, WORDING, ()):
        case Told(lines, _):
            for line in lines:
                assert 0 < len(line.text) <= LINE_MAX_CHARS
                line.text.encode()
                assert [char for char in line.text if is_obeyed(char)] == []
            return len(lines)
        case hidden:
            assert isinstance(hidden, Hidden)
            return 0
