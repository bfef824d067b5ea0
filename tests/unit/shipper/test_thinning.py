"""As the budget shrinks, what matters less goes first, and the log says how much; what matters most always has room."""

import re
from collections.abc import Sequence
from itertools import accumulate

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from common.ids import StreamId
from common.rank import Rank, shown_within_bytes
from common.record import Level, encode_record
from common.store.model import Waiting, owes_notice
from common.wording.read import shipped_wording
from shipper.batch import BATCH_LINES_MAX, Batch, Intake, Note, Piece, compose
from shipper.budget import RESERVE_BYTES, Account
from shipper.text import Line, budget_line, gap_line, thinned_line
from tests.unit.shipper.records import NOON_MS, event

BUDGET = 4 * 1024
"""Small, so that what is generated gets to its end."""
NOTE = Note(gap_line(3, "unreachable"), 3)
NUMBER = re.compile(r"\((\d+) so far\)|(\d+) lesser")


def piece(number: int, rank: Rank, size_bytes: int, lines: int = 1) -> Piece:
    text = f"{number}:".ljust(size_bytes, "x")
    each = max(1, len(text) // lines)
    split = tuple(Line(text[at : at + each], Level.DEBUG) for at in range(0, len(text), each))
    return Piece(StreamId(f"{number}-0"), 10, split, len(text), NOON_MS, rank=rank)


def flood(rank: Rank, count: int, size_bytes: int = 100, first: int = 0) -> list[Piece]:
    return [piece(first + number, rank, size_bytes) for number in range(count)]


logs = st.lists(
    st.tuples(st.sampled_from(Rank), st.integers(5, 300) | st.integers(5, 1_500), st.integers(1, 5)), max_size=80
).map(lambda each: [piece(number, *words) for number, words in enumerate(each)])
cuts = st.lists(st.integers(1, 30), max_size=40)
spent_before = st.integers(0, BUDGET - RESERVE_BYTES)


class Log:
    """What becomes of an agent's records in the hands of a shipper: as many at a time as `cuts` says, after
    `spent_before` bytes of others."""

    def __init__(self, pieces: Sequence[Piece], cuts: Sequence[int], spent_before: int) -> None:
        self.account = Account(BUDGET, spent_before)
        self.lines: list[Line] = []
        self.batches: list[tuple[Account, Batch]] = []
        left, sizes = list(pieces), iter([*cuts, *(len(pieces) or 1 for _ in range(len(pieces) + 1))])
        while left and not self.closed:
            self._send(left[: next(sizes)])
            left = left[len(self.batches[-1][1].finished) :]
        if not self.closed and owes_notice(self.account.left_out, self.account.left_out_said):
            self._send([])
        self.never_read = left

    @property
    def closed(self) -> bool:
        return bool(self.batches) and self.batches[-1][1].closes

    def _send(self, pieces: Sequence[Piece]) -> None:
        batch = compose(pieces, self.account)
        self.batches.append((self.account, batch))
        self.lines += batch.lines
        self.account = msgspec.structs.replace(
            self.account,
            spent_bytes=self.account.spent_bytes + batch.output_bytes,
            left_out=self.account.left_out + batch.left_out,
            left_out_said=batch.left_out_said,
        )

    @property
    def shown(self) -> list[Piece]:
        return [piece for _, batch in self.batches for piece in batch.shown]

    @property
    def said(self) -> list[int]:
        """The numbers of records not shown that the log was told of, in order."""
        found = [NUMBER.search(line.text) for line in self.lines if line.text.startswith(("✂️", "🛑"))]
        return [int(match[1] or match[2]) for match in found if match]


@given(logs, cuts, spent_before)
def test_the_log_never_passes_the_budget_and_keeps_the_order(pieces: list[Piece], cuts: list[int], spent: int) -> None:
    log = Log(pieces, cuts, spent)
    assert spent + sum(len(line.text.encode()) for line in log.lines) == log.account.spent_bytes <= BUDGET
    told = [line for line in log.lines if not line.text.startswith(("✂️", "🛑"))]
    assert told == [line for piece in log.shown for line in piece.lines]
    numbers = [int(piece.id.partition("-")[0]) for piece in log.shown]
    assert numbers == sorted(set(numbers))


@given(logs, cuts, spent_before)
def test_what_is_left_out_is_counted_once_and_told_once(pieces: list[Piece], cuts: list[int], spent: int) -> None:
    log = Log(pieces, cuts, spent)
    finished = [piece for _, batch in log.batches for piece in batch.finished]
    assert finished + log.never_read == pieces
    unseen = len(finished) - len(log.shown)
    assert sum(batch.dropped for _, batch in log.batches) == unseen
    assert log.said == sorted(set(log.said)), "each number is said once"
    if log.closed:
        assert log.said[-1] == unseen
    elif unseen:
        assert unseen // 2 < log.said[-1] <= unseen
    assert len(log.said) <= unseen.bit_length() + 1, "a number is said when it has doubled"


@given(logs, cuts, spent_before)
def test_nothing_grave_is_left_out_while_there_is_room(pieces: list[Piece], cuts: list[int], spent: int) -> None:
    log = Log(pieces, cuts, spent)
    for account, batch in log.batches:
        missing = [piece for piece in batch.pieces if piece not in batch.shown]
        assert all(piece.rank is not Rank.GRAVE for piece in missing)
        if batch.over_budget:
            first = batch.over_budget[0]
            text_bytes = sum(len(line.text.encode()) for line in batch.lines[:-1])
            assert first.rank is Rank.GRAVE
            assert account.spent_bytes + text_bytes + first.output_bytes > BUDGET - RESERVE_BYTES


@given(logs, cuts, spent_before)
def test_a_rank_is_shown_up_to_its_share_and_left_out_only_above_it(
    pieces: list[Piece], cuts: list[int], spent: int
) -> None:
    log = Log(pieces, cuts, spent)
    for account, batch in log.batches:
        sizes = iter(accumulate((len(line.text) for line in batch.lines if line.text[0].isascii()), initial=0))
        shown_bytes = next(sizes)
        ours_bytes = sum(len(line.text.encode()) for line in batch.lines if not line.text[0].isascii())
        for each in batch.pieces:
            share = min(shown_within_bytes(each.rank, BUDGET), BUDGET - RESERVE_BYTES)
            if each in batch.shown:
                for _ in each.lines:
                    shown_bytes = next(sizes)
                assert account.spent_bytes + shown_bytes <= share
            else:
                assert account.spent_bytes + shown_bytes + ours_bytes + each.output_bytes > share


@given(logs, st.integers(0, 80), spent_before, st.integers(0, 40), st.sampled_from([None, NOTE]))
def test_a_request_that_is_made_up_again_begins_with_the_same_lines(
    pieces: list[Piece], seen: int, spent: int, left_out: int, note: Note | None
) -> None:
    account = Account(BUDGET, spent, left_out=left_out, left_out_said=left_out)
    first, again = compose(pieces[:seen], account, note), compose(pieces, account, note)
    assert compose(pieces, account, note) == again
    lines = list(first.lines)
    while lines and lines[-1].text.startswith(("✂️", "🛑", "⚠️")):  # numbers that may have grown meanwhile
        lines.pop()
    assert list(again.lines[: len(lines)]) == lines
    assert first.shown == again.shown[: len(first.shown)]


@given(logs, cuts, spent_before)
def test_once_settled_the_log_owes_no_notice(pieces: list[Piece], cuts: list[int], spent: int) -> None:
    log = Log(pieces, cuts, spent)
    assert not owes_notice(log.account.left_out, log.account.left_out_said)


def test_a_flood_of_passing_events_leaves_half_to_the_rest_and_says_so_at_once() -> None:
    batch = compose(flood(Rank.PASSING, 200), Account(BUDGET))
    assert len(batch.shown) == BUDGET // 2 // 100
    assert not batch.closes
    assert batch.lines[-1] == thinned_line(BUDGET, 200 - len(batch.shown))
    assert batch.left_out == batch.left_out_said == batch.dropped == 200 - len(batch.shown)


def test_what_was_left_out_is_said_ahead_of_what_is_shown_next() -> None:
    grave = piece(999, Rank.GRAVE, 50)
    batch = compose([*flood(Rank.PASSING, 60), grave], Account(BUDGET))
    assert batch.lines[-2:] == (thinned_line(BUDGET, batch.left_out), *grave.lines)


def test_it_is_said_again_when_the_number_has_doubled() -> None:
    full = Account(BUDGET, BUDGET // 2, left_out=7, left_out_said=4)
    again = compose(flood(Rank.PASSING, 1), full)
    assert again.lines == (thinned_line(BUDGET, 8),)
    assert compose(flood(Rank.PASSING, 3), msgspec.structs.replace(full, left_out=4)).lines == ()


def test_no_notice_takes_the_room_of_an_error() -> None:
    left_bytes = 120
    spent = BUDGET - RESERVE_BYTES - left_bytes
    pieces = [piece(1, Rank.PASSING, 10), piece(2, Rank.GRAVE, left_bytes)]
    batch = compose(pieces, Account(BUDGET, spent), NOTE)
    assert batch.shown == (pieces[1],)
    assert batch.lines == (*pieces[1].lines, budget_line(BUDGET, 1 + NOTE.missing))
    assert batch.closes, "where not even a notice has room, the log ends"


def test_a_notice_alone_is_a_request() -> None:
    batch = compose((), Account(BUDGET, left_out=5))
    assert batch.lines == (thinned_line(BUDGET, 5),)
    assert (batch.finished, batch.left_out, batch.left_out_said) == ((), 0, 5)
    assert compose((), Account(BUDGET, left_out=5), NOTE).lines == (NOTE.line, thinned_line(BUDGET, 5))


def test_a_full_request_leaves_the_notice_to_the_next() -> None:
    pieces = [*flood(Rank.NEWS, BATCH_LINES_MAX, 10), piece(999, Rank.PASSING, 4 * BUDGET)]
    batch = compose(pieces, Account(4 * BUDGET))
    assert len(batch.lines) == BATCH_LINES_MAX
    assert (batch.left_out, batch.left_out_said, batch.closes) == (1, 0, False)


def test_the_rank_is_that_of_the_level_that_is_shown() -> None:
    records = [event("x"), event("y", level=Level.WARN), event("z", level=Level.WARN, count=3)]
    waiting = [Waiting(StreamId(f"{number}-0"), encode_record(each)) for number, each in enumerate(records)]
    intake = Intake.of(waiting, 0, shipped_wording(), ())
    assert [each.rank for each in intake.pieces] == [Rank.PASSING, Rank.NEWS, Rank.REPEATED]


def test_notices_leave_the_share_of_errors_to_errors() -> None:
    """Doubling up to more records than a log can have costs less than an eighth of what is kept for errors."""
    budget = 256 * 1024
    notices_bytes = sum(len(thinned_line(budget, 1 << power).text.encode()) for power in range(24))
    assert notices_bytes < (budget - shown_within_bytes(Rank.NEWS, budget)) / 8
