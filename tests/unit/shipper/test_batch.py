"""Requests stay within Coder's limits and the agent's budget, and are made of whole records."""

from hypothesis import given
from hypothesis import strategies as st

from common.ids import StreamId
from common.record import FutureRecord, Level, encode_record
from common.store.model import Waiting
from common.wording.read import shipped_wording
from shipper.batch import (
    BATCH_BYTES_MAX,
    BATCH_LINES_MAX,
    Batch,
    Intake,
    Note,
    Piece,
    closing_batch,
    compose,
)
from shipper.budget import RESERVE_BYTES, Account
from shipper.telling import Hidden
from shipper.text import Line, budget_line, gap_line
from tests.unit.shipper.records import NOON_MS, event

BUDGET = 256 * 1024
WORDING = shipped_wording()


def piece(number: int, *texts: str) -> Piece:
    lines = tuple(Line(text, Level.DEBUG) for text in texts)
    return Piece(StreamId(f"{number}-0"), 10, lines, sum(len(text.encode()) for text in texts), NOON_MS)


def pieces_of(sizes: list[list[int]]) -> list[Piece]:
    return [piece(number, *("é" * size for size in record)) for number, record in enumerate(sizes)]


NOTE = Note(gap_line(3, "unreachable"), 3)
NOTE_BYTES = len(NOTE.line.text.encode())
SIZES = st.lists(st.lists(st.integers(0, 1_024), max_size=40), max_size=60)


def taken_in(waiting: list[Waiting]) -> Intake:
    return Intake.of(waiting, 0, WORDING, ())


def compose_all(
    pieces: list[Piece], budget: int = BUDGET, spent: int = 0, refused: int = 0, note: Note | None = None
) -> Batch:
    return compose(pieces, Account(budget, spent, refused), note)


@given(SIZES, st.integers(0, BUDGET), st.integers(0, 9), st.sampled_from([None, NOTE]))
def test_no_batch_passes_the_budget_and_its_last_line_fits(
    sizes: list[list[int]], spent: int, refused: int, note: Note | None
) -> None:
    batch = compose_all(pieces_of(sizes), spent=min(spent, BUDGET - RESERVE_BYTES), refused=refused, note=note)
    assert batch.output_bytes == sum(len(line.text.encode()) for line in batch.lines)
    assert min(spent, BUDGET - RESERVE_BYTES) + batch.output_bytes <= BUDGET


@given(SIZES)
def test_a_batch_is_the_beginning_of_the_stream_in_whole_records(sizes: list[list[int]]) -> None:
    pieces = pieces_of(sizes)
    batch = compose_all(pieces)
    assert list(batch.finished) == pieces[: len(batch.finished)]
    assert batch.finished or not pieces
    lines = batch.lines[:-1] if batch.closes else batch.lines
    assert lines == tuple(line for taken in batch.pieces for line in taken.lines)


@given(SIZES)
def test_only_a_single_record_may_pass_the_limits_of_a_request(sizes: list[list[int]]) -> None:
    batch = compose_all(pieces_of(sizes), budget=1 << 30)
    if len(batch.pieces) > 1:
        assert len(batch.lines) <= BATCH_LINES_MAX
        assert batch.output_bytes <= BATCH_BYTES_MAX


def test_a_request_is_full_at_its_lines_and_at_its_bytes() -> None:
    half = [piece(number, "x" * (BATCH_BYTES_MAX // 2)) for number in range(3)]
    assert list(compose_all(half, budget=1 << 30).pieces) == half[:2]
    short = [piece(number, "x") for number in range(BATCH_LINES_MAX + 1)]
    assert list(compose_all(short, budget=1 << 30).pieces) == short[:-1]


def test_what_is_over_budget_is_finished_too_and_counted_in_the_last_line() -> None:
    pieces = [piece(1, "a" * 600), piece(2, "b" * 600), piece(3, "c")]
    batch = compose_all(pieces, budget=RESERVE_BYTES + 700, refused=4)
    assert batch.closes
    assert batch.pieces == (pieces[0],)
    assert batch.over_budget == (pieces[1], pieces[2])  # never c before b
    assert batch.lines[-1] == budget_line(RESERVE_BYTES + 700, 6)


def test_the_reserve_is_kept_for_the_last_line() -> None:
    room = BUDGET - RESERVE_BYTES
    filled = compose_all([piece(1, "a" * 1_000), piece(2, "b")], spent=room - 1_000)
    assert filled.pieces == (piece(1, "a" * 1_000),)
    assert filled.closes
    assert not compose_all([piece(1, "a" * 1_000)], spent=room - 1_000).closes


def test_the_reserve_holds_the_longest_last_line() -> None:
    assert len(budget_line(1 << 40, 1 << 40).text.encode()) <= RESERVE_BYTES


def test_a_closing_batch_is_only_the_last_line() -> None:
    batch = closing_batch(Account(BUDGET, refused=2))
    assert batch.lines == (budget_line(BUDGET, 2),)
    assert batch.finished == ()


def test_what_was_dropped_before_is_said_ahead_of_what_follows() -> None:
    batch = compose_all([piece(1, "a")], note=NOTE)
    assert [line.text for line in batch.lines] == [NOTE.line.text, "a"]
    assert batch.tells_missing
    assert batch.output_bytes == NOTE_BYTES + 1


def test_what_was_dropped_before_is_not_said_without_anything_to_follow() -> None:
    batch = compose_all([piece(1)], note=NOTE)
    assert (batch.lines, batch.tells_missing) == ((), False)


def test_what_was_dropped_before_is_counted_in_the_last_line_if_there_is_no_room_for_more() -> None:
    room = BUDGET - RESERVE_BYTES
    full = compose_all([piece(1, "a" * 200)], spent=room - 50, refused=2, note=NOTE)
    assert full.lines == (budget_line(BUDGET, 2 + 1 + 3),)
    assert full.tells_missing
    assert compose_all([piece(1, "a" * 200)], spent=room - 150, note=NOTE).lines == (budget_line(BUDGET, 1 + 3),)
    small = compose_all([piece(1, "a")], spent=room - 50, note=NOTE)
    assert (small.lines, small.tells_missing) == ((Line("a", Level.DEBUG),), False)
    assert closing_batch(Account(BUDGET, refused=2), NOTE).lines == (budget_line(BUDGET, 5),)


def test_intake_stops_before_a_record_of_a_newer_version() -> None:
    old, new = encode_record(event("old")), b"\x91\x63"  # [99]
    intake = taken_in([Waiting(StreamId("1-0"), old), Waiting(StreamId("2-0"), new), Waiting(StreamId("3-0"), old)])
    assert [taken.id for taken in intake.pieces] == ["1-0"]
    assert intake.future == FutureRecord(99)


def test_unreadable_records_take_no_line_but_are_finished() -> None:
    intake = taken_in([Waiting(StreamId("1-0"), b"junk"), Waiting(StreamId("2-0"), encode_record(event("x")))])
    batch = compose_all(list(intake.pieces))
    assert [line.text for line in batch.lines] == ["x"]
    assert batch.unreadable == 1
    assert len(batch.finished) == 2


def waiting(number: int, message: str, level: Level = Level.DEBUG) -> Waiting:
    record = event(message, reason="Pulled", level=level, component="kubelet")
    return Waiting(StreamId(f"{number}-0"), encode_record(record))


def test_hidden_records_take_no_line_and_no_budget_and_are_neither_unreadable_nor_dropped() -> None:
    here = "Container image already present on machine"
    batch = compose_all(list(taken_in([waiting(1, here), waiting(2, "Pulled it"), waiting(3, here)]).pieces))
    assert [line.text for line in batch.lines] == ["Pulled it"]
    assert [piece.id for piece in batch.finished] == ["1-0", "2-0", "3-0"]
    assert (batch.unreadable, batch.dropped) == (0, 0)
    assert batch.hidden == [Hidden.ENTRY, Hidden.ENTRY]
    assert batch.output_bytes == len("Pulled it")


def test_hidden_records_behind_the_end_of_the_budget_are_not_said_to_be_missing() -> None:
    here = "Container image already present on machine"
    pieces = taken_in([waiting(1, "x" * 600, Level.ERROR), waiting(2, here), waiting(3, "y")]).pieces
    batch = compose_all(list(pieces), budget=RESERVE_BYTES + 500)
    assert batch.closes
    assert len(batch.over_budget) == 3
    assert batch.dropped == 2
    assert batch.lines == (budget_line(RESERVE_BYTES + 500, 2),)
    assert batch.hidden == [Hidden.ENTRY]
