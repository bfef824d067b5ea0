"""Put records together into one request that Coder accepts, within the agent's budget. Pure.

Keeps guarantee 5: no batch can pass the agent's budget, its last line included. A record is never in two requests:
one that is larger than a request's limits goes alone, so that what is settled is always whole records.

As the budget shrinks, records that matter less are left out (`budget.py`). How many so far is said as a repeat's count
is: at the first, and whenever the number has doubled; so the log tells of it at once, and never at length.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from common.ids import StreamId
from common.rank import Rank, rank_of
from common.record import FutureRecord, LogRecord, UnreadableRecord, decode_record
from common.store.model import AgentState, Waiting, owes_notice
from common.wording.table import Wording
from shipper.budget import Account
from shipper.telling import Hidden, Told, tell
from shipper.text import Line, budget_line, gap_line, thinned_line

__all__ = [
    "BATCH_BYTES_MAX",
    "BATCH_LINES_MAX",
    "Batch",
    "Intake",
    "Note",
    "Piece",
    "closing_batch",
    "compose",
    "next_batch",
]

BATCH_LINES_MAX: Final = 500
BATCH_BYTES_MAX: Final = 128 * 1024
"""Bytes of output. Escaped as JSON at worst six times that, far below the 4 MiB of newer servers (FACTS 1)."""


class Piece(msgspec.Struct, frozen=True):
    """One record on its way: its lines, and what it takes from stream and budget."""

    id: StreamId
    payload_bytes: int
    lines: tuple[Line, ...]
    output_bytes: int
    at_ms: int
    """Unix time of what it tells, 0 if unknown."""
    silent: Hidden | UnreadableRecord | None = None
    """Why it has no lines; None: it has."""
    hint: str = ""
    """Fingerprint of the hint among its lines."""
    rank: Rank = Rank.GRAVE
    """How much it matters, if it has lines."""


class Intake(msgspec.Struct, frozen=True):
    """Records as read from a stream, in order, up to the first that needs a newer program."""

    pieces: tuple[Piece, ...]
    future: FutureRecord | None

    @classmethod
    def of(cls, waiting: Sequence[Waiting], now_ms: int, wording: Wording, hinted: Sequence[str]) -> Intake:
        """Decode and word `waiting`; `now_ms` is Unix time by Redis, `hinted` what the agent was told of hints."""
        pieces: list[Piece] = []
        known = set(hinted)
        for entry in waiting:
            match decode_record(entry.payload):
                case FutureRecord() as future:
                    return cls(tuple(pieces), future)
                case UnreadableRecord() as unreadable:
                    pieces.append(Piece(entry.id, len(entry.payload), (), 0, 0, unreadable))
                case record:
                    told = tell(record, now_ms, wording, known)
                    pieces.append(_piece(entry, told, record))
                    if isinstance(told, Told):
                        known.add(told.hint)
        return cls(tuple(pieces), None)


class Note(msgspec.Struct, frozen=True):
    """What is to be said of `missing` records (>= 1) that were dropped before."""

    line: Line
    missing: int


class Batch(msgspec.Struct, frozen=True):
    """One request, and what is finished once Coder took it: the first `len(pieces)` records and those over budget."""

    lines: tuple[Line, ...]
    output_bytes: int
    pieces: tuple[Piece, ...]
    shown: tuple[Piece, ...]
    """Those of `pieces` whose lines are among the lines."""
    left_out: int = 0
    """How many of `pieces` are not, because others matter more."""
    left_out_said: int = 0
    """How many the log was told of as left out, once Coder took it."""
    over_budget: tuple[Piece, ...] = ()
    closes: bool = False
    """Its last line says that the budget is used up; nothing may follow."""
    tells_missing: bool = False
    """One of its lines tells of the records that were dropped before."""

    @property
    def finished(self) -> tuple[Piece, ...]:
        return self.pieces + self.over_budget

    @property
    def unreadable(self) -> int:
        return sum(isinstance(piece.silent, UnreadableRecord) for piece in self.pieces)

    @property
    def hidden(self) -> list[Hidden]:
        """Of each record that has no line on purpose, why. They take no budget, so one is never over it."""
        return [piece.silent for piece in self.finished if isinstance(piece.silent, Hidden)]

    @property
    def hints(self) -> list[str]:
        """Fingerprints of the hints among the lines."""
        return [piece.hint for piece in self.shown if piece.hint]

    @property
    def dropped(self) -> int:
        """Records that ought to have had lines and will have none, for want of budget."""
        return self.left_out + _untold(self.over_budget)


def next_batch(pieces: Sequence[Piece], state: AgentState, budget_bytes: int) -> Batch:
    """The next request of an agent in `state`, of `pieces`; if there are none, of what its log is to be told all the
    same."""
    account = Account.of(state, budget_bytes)
    note = Note(gap_line(state.unsaid, state.unsaid_why), state.unsaid) if state.unsaid > 0 else None
    if not pieces and state.refused > 0:
        return closing_batch(account, note)
    return compose(pieces, account, note)


def compose(pieces: Sequence[Piece], account: Account, note: Note | None = None) -> Batch:
    """The longest beginning of `pieces` that fits into one request, without what there is no room for. O(pieces).

    Of `pieces` and of a longer sequence that begins with them the lines are the same as far as they go; only a last
    one, of what was left out, may tell a higher number. `note` goes ahead of the lines, if there are any and there is
    room. When a grave record has no room the budget is used up: it and the rest of `pieces` are over budget, and the
    last line tells of them, of all that was left out, of those that were `refused`, and of those of a `note` that is
    left out.
    """
    draft = _Draft(account, note)
    for number, piece in enumerate(pieces):
        if not piece.lines:
            draft.pass_over(piece)
        elif draft.has_room(piece):
            if not draft.show(piece):
                return draft.batch()
        elif piece.rank is Rank.GRAVE:
            return draft.closed(pieces[number:])
        else:
            draft.leave_out(piece)
    return draft.batch() if draft.say_left_out() else draft.closed(())


def closing_batch(account: Account, note: Note | None = None) -> Batch:
    """Only the last line, for an agent whose `refused` records did not fit into what was left."""
    return _Draft(account, note).closed(())


class _Ahead(msgspec.Struct, frozen=True):
    """What is said ahead of the next lines, or at the end."""

    missing: tuple[Line, ...] = ()
    """Of what was dropped before: one line or none."""
    left_out: tuple[Line, ...] = ()
    """Likewise of what was left out."""

    @property
    def lines(self) -> tuple[Line, ...]:
        return self.missing + self.left_out


class _Draft:
    """A batch in the making."""

    def __init__(self, account: Account, note: Note | None) -> None:
        self._account = account
        self._note = note
        self._tells_missing = False
        self._lines: list[Line] = []
        self._output_bytes = 0
        self._pieces: list[Piece] = []
        self._shown: list[Piece] = []
        self._left_out = account.left_out
        self._left_out_said = account.left_out_said

    def has_room(self, piece: Piece) -> bool:
        """Whether the budget lets a record of its rank have lines."""
        return self._account.has_room(piece.rank, self._output_bytes + piece.output_bytes)

    def pass_over(self, piece: Piece) -> None:
        """`piece` has no lines."""
        self._pieces.append(piece)

    def leave_out(self, piece: Piece) -> None:
        """Others matter more."""
        self._left_out += 1
        self._pieces.append(piece)

    def show(self, piece: Piece) -> bool:
        """Add the lines of `piece`. False: the request is full, and nothing is added."""
        ahead = self._ahead_of(piece.output_bytes)
        lines = ahead.lines + piece.lines
        if self._pieces and not self._fits(lines):
            return False
        self._add(ahead, lines)
        self._pieces.append(piece)
        self._shown.append(piece)
        return True

    def say_left_out(self) -> bool:
        """If it is time to say how many were left out, do, unless the request is full: the next one says it.
        False: the budget has no room for it."""
        if not owes_notice(self._left_out, self._left_out_said):
            return True
        ahead = self._ahead_of(0)
        if self._fits(ahead.lines):
            self._add(ahead, ahead.lines)
        return bool(ahead.left_out)

    def batch(self) -> Batch:
        return Batch(
            lines=tuple(self._lines),
            output_bytes=self._output_bytes,
            pieces=tuple(self._pieces),
            shown=tuple(self._shown),
            left_out=self._left_out - self._account.left_out,
            left_out_said=self._left_out_said,
            tells_missing=self._tells_missing,
        )

    def closed(self, over: Sequence[Piece]) -> Batch:
        """End the log: `over` has no room."""
        missing = self._note.missing if self._note is not None and not self._tells_missing else 0
        unseen = self._account.refused + self._left_out + _untold(over) + missing
        last = budget_line(self._account.budget_bytes, unseen)
        return msgspec.structs.replace(
            self.batch(),
            lines=(*self._lines, last),
            output_bytes=self._output_bytes + _output_bytes((last,)),
            left_out_said=self._left_out,
            over_budget=tuple(over),
            closes=True,
            tells_missing=self._note is not None,
        )

    def _ahead_of(self, next_bytes: int) -> _Ahead:
        """What there is to say ahead of `next_bytes`, whose room it never takes."""
        size_bytes = self._output_bytes + next_bytes
        missing: tuple[Line, ...] = ()
        if self._note is not None and not self._lines:
            missing = self._if_room(self._note.line, size_bytes)
        if not owes_notice(self._left_out, self._left_out_said):
            return _Ahead(missing)
        line = thinned_line(self._account.budget_bytes, self._left_out)
        return _Ahead(missing, self._if_room(line, size_bytes + _output_bytes(missing)))

    def _if_room(self, line: Line, size_bytes: int) -> tuple[Line, ...]:
        return (line,) if self._account.has_room(Rank.GRAVE, size_bytes + _output_bytes((line,))) else ()

    def _fits(self, lines: Sequence[Line]) -> bool:
        """Whether the request holds `lines`, too."""
        return (
            len(self._lines) + len(lines) <= BATCH_LINES_MAX
            and self._output_bytes + _output_bytes(lines) <= BATCH_BYTES_MAX
        )

    def _add(self, ahead: _Ahead, lines: Sequence[Line]) -> None:
        self._tells_missing = self._tells_missing or bool(ahead.missing)
        if ahead.left_out:
            self._left_out_said = self._left_out
        self._lines += lines
        self._output_bytes += _output_bytes(lines)


def _piece(entry: Waiting, told: Told | Hidden, record: LogRecord) -> Piece:
    match told:
        case Told(lines, hint):
            size_bytes = _output_bytes(lines)
            rank = rank_of(record, lines[0].level)
            return Piece(entry.id, len(entry.payload), lines, size_bytes, record.last_at_ms, hint=hint, rank=rank)
        case why:
            return Piece(entry.id, len(entry.payload), (), 0, record.last_at_ms, why)


def _untold(over: Sequence[Piece]) -> int:
    return sum(not isinstance(piece.silent, Hidden) for piece in over)


def _output_bytes(lines: Sequence[Line]) -> int:
    return sum(len(line.text.encode()) for line in lines)
