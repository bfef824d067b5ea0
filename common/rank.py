"""How much a record matters to who reads the log, and how much of an agent's budget each rank may use. Pure.

Both programs have to agree on it: the watcher's appends bound what waits in Redis, the shipper decides what is shown.
Decision and figures: ADR 34.
"""

from __future__ import annotations

from enum import StrEnum
from fractions import Fraction
from typing import Final

from common.record import Aspect, Level, LogRecord, Origin

__all__ = ["Rank", "rank_of", "shown_within_bytes", "waits_within_bytes"]


class Rank(StrEnum):
    """What is left out first stands first."""

    PASSING = "passing"
    """An Event that is no warning: what Kubernetes does when all is well."""
    REPEATED = "repeated"
    """Something that was told before, and goes on."""
    NEWS = "news"
    """The first telling of a warning or of a status, and the life of an object."""
    GRAVE = "grave"
    """An error, or the summary of a start."""


SUMMARY_ASPECTS: Final = (Aspect.STARTED, Aspect.NOT_STARTED)
"""Of a status: what sums up the start of a pod."""

_SHOWN_WITHIN: Final = {
    Rank.PASSING: Fraction(1, 2),
    Rank.REPEATED: Fraction(3, 4),
    Rank.NEWS: Fraction(7, 8),
    Rank.GRAVE: Fraction(1),
}
"""Share of the budget up to which a rank is shown; what lies above it is kept for those that matter more."""
_QUIET: Final = (Level.TRACE, Level.DEBUG, Level.INFO)


def rank_of(record: LogRecord, level: Level) -> Rank:
    """The rank of `record`, which is shown at `level`: not its own if the table of wordings says otherwise."""
    details = record.details
    if details is not None and details.aspect == Aspect.LAST_WORDS:
        # As loud as its ending, but a program's output may not end the log of all that Kubernetes says.
        return Rank.REPEATED if details.restarts > 0 else Rank.NEWS
    if level is Level.ERROR or (details is not None and details.aspect in SUMMARY_ASPECTS):
        return Rank.GRAVE
    if record.origin is Origin.EVENT:
        if level in _QUIET:
            return Rank.PASSING
        return Rank.REPEATED if record.count > 1 else Rank.NEWS
    return Rank.REPEATED if details is not None and details.restarts > 0 else Rank.NEWS


def shown_within_bytes(rank: Rank, budget_bytes: int) -> int:
    """Up to how many bytes of output of an agent with `budget_bytes` a record of `rank` is shown."""
    return int(budget_bytes * _SHOWN_WITHIN[rank])


def waits_within_bytes(rank: Rank, budget_bytes: int) -> int:
    """Up to how many bytes, of output and of what waits together, Redis takes a record of `rank`.

    Half-way between the share in which it is shown and the whole. Redis counts records, which are larger than their
    lines, and the level that it is told may be raised by an operator's wording, so it has to refuse later.
    """
    return int(budget_bytes * (1 + _SHOWN_WITHIN[rank]) / 2)
