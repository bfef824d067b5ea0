"""Decide what of a record is told: whether at all, how loudly, in which words. Pure: the table rules, `text` words it.

A hidden record is none that is lost: another line says it, or the operator does not want it. It is settled in its place
and counted. A hint follows the first record of an agent that calls for it, and no other.
"""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum
from typing import Final

import msgspec

from common.record import Level, LogRecord
from common.wording.table import Wording, subject_of
from shipper.hints import fingerprint, hint_rows
from shipper.split import split_line
from shipper.text import Line, render

__all__ = ["Hidden", "Told", "tell"]

HINT_LEVEL: Final = Level.INFO
"""More than what happens in passing, less than the failure itself."""


class Hidden(StrEnum):
    """Why a record has no line, in words that become metric labels."""

    ENTRY = "entry"
    """An entry of the table hides it."""
    LEVEL = "level"
    """It is below the least level that is shown."""


class Told(msgspec.Struct, frozen=True):
    """What the log shows of one record: at least one line."""

    lines: tuple[Line, ...]
    hint: str = ""
    """Fingerprint of the hint that is among the lines, empty if there is none."""


def tell(record: LogRecord, now_ms: int, wording: Wording, hinted: Collection[str]) -> Told | Hidden:
    """The lines of `record`, in order. `now_ms` is Unix time by Redis, for the age of the record; `hinted` are the
    fingerprints of hints that the agent has been told."""
    subject = subject_of(record)
    ruling = wording.of(subject)
    if not ruling.shown:
        return Hidden.ENTRY if ruling.hidden_by_entry else Hidden.LEVEL
    lines = render(record, ruling, now_ms)
    hint = fingerprint(ruling)
    if not hint or hint in hinted:
        return Told(tuple(lines))
    rows = [piece for row in hint_rows(ruling, subject) for piece in split_line(row)]
    return Told((*lines, *(Line(row, HINT_LEVEL) for row in rows)), hint)
