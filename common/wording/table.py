"""The table of wordings, and what it says of one record. Pure.

An entry names conditions, all of which must hold, and what is then to be done. Of each thing (level, words, hint …) the
first entry in order that matches and mentions it decides, so an operator's entry that only sets a level takes no hint
away. No expressions: a condition is an equal word, a text that occurs, upper or lower case alike, or a least count, so
that a file can neither run anything nor be slow. Decision and figures: ADR 30 and 45.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from enum import StrEnum
from functools import cached_property
from typing import Annotated, Final, TypeVar

import msgspec

from common.record import Aspect, Level, LogRecord, Origin

__all__ = [
    "ASPECTS",
    "ENDED_WITH_POD",
    "WORRYING",
    "Audience",
    "Entry",
    "Figures",
    "Hint",
    "Ruling",
    "Sheet",
    "Subject",
    "Wording",
    "subject_of",
]

T = TypeVar("T")

_ORDER: Final = tuple(Level)
"""Least severe first."""
WORRYING: Final = (Level.WARN, Level.ERROR)
"""What a hint may follow."""
ENDED_WITH_POD: Final = "ended_with_pod"
"""A container ended as its pod was going anyway: in the record an ending that is expected."""
ASPECTS: Final = (Origin.EVENT.value, Origin.OBJECT.value, *(each.value for each in Aspect), ENDED_WITH_POD)
"""What a line may tell of, in the words of a file. A newer watcher may know more."""


class Audience(StrEnum):
    """Whom hints are for."""

    USER = "user"
    """Whoever waits for the workspace."""
    ADMIN = "admin"
    """Whoever can change the cluster or the template."""
    BOTH = "both"
    OFF = "off"


class Figures(StrEnum):
    """Which figures follow a hint, taken from what Kubernetes said."""

    QUOTA = "quota"
    """Which quota, and how much of it is used."""
    MEMORY = "memory"
    """The memory limit, and what to ask for."""


class Hint(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a failure means and what to do. None: not mentioned; empty: no hint."""

    user: str | None = None
    admin: str | None = None
    figures: Figures | None = None


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Conditions, and what is done where all of them hold."""

    reason: str | tuple[str, ...] = ()
    """Any of these words of Kubernetes; none: whatever the reason."""
    kind: str | tuple[str, ...] = ()
    component: str | tuple[str, ...] = ()
    aspect: str | tuple[str, ...] = ()
    """One of `ASPECTS`."""
    exit_code: int | tuple[int, ...] = ()
    contains: str | tuple[str, ...] = ()
    """All of these occur in the message."""
    contains_any: str | tuple[str, ...] = ()
    """At least one of these occurs in the message."""
    at_least: Annotated[int, msgspec.Meta(ge=1)] = 1
    """It has happened at least so often: what passes by itself is said to trouble nobody at first."""
    words: str | None = None
    """What a line of our own says, apart from names and figures; of an Event's line what stands for its reason."""
    level: Level | None = None
    emoji: str | None = None
    """Begins a line of our own."""
    show: bool | None = None
    hint: Hint | None = None


class Sheet(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One file: what holds for all lines, and entries in order."""

    minimum_level: Level | None = None
    hints: Audience | None = None
    entries: tuple[Entry, ...] = ()


class Subject(msgspec.Struct, frozen=True):
    """What entries are compared with, and what their figures are taken from."""

    reason: str
    message: str
    level: Level
    kind: str = ""
    component: str = ""
    exit_code: int | None = None
    limit_bytes: int = 0
    """The container's memory limit, 0 if there is none or nobody said."""
    count: int = 1
    """How often it has happened so far."""
    aspect: str = Origin.EVENT.value
    """What it tells of: one of `ASPECTS`, or a word that only a newer program knows."""


class Ruling(msgspec.Struct, frozen=True):
    """What the table says of one subject."""

    shown: bool
    level: Level
    hidden_by_entry: bool = False
    """Not by its level."""
    words: str = ""
    emoji: str = ""
    """Empty: the table has none."""
    user_hint: str = ""
    admin_hint: str = ""
    """Empty: there is none, or it is not wanted."""
    figures: Figures | None = None


class Wording:
    """Sheets, one over the other. Immutable; one for a program."""

    def __init__(self, sheets: Sequence[Sheet]) -> None:
        """`sheets`: whatever is mentioned twice, the earlier one decides."""
        prepared = [_Prepared(entry) for sheet in sheets for entry in sheet.entries]
        self._sheets: Final = tuple(sheets)
        named = {name for entry in prepared for name in entry.aspects}
        self._of_aspect: Final = {name: _ByReason(prepared, name) for name in (*named, _ANY)}

    @cached_property
    def minimum_level(self) -> Level:
        return _first(sheet.minimum_level for sheet in self._sheets) or _ORDER[0]

    @cached_property
    def audience(self) -> Audience:
        return _first(sheet.hints for sheet in self._sheets) or Audience.BOTH

    def of(self, subject: Subject) -> Ruling:
        """What is to be done with `subject`. O(entries of its reason × message)."""
        entries = self._of_aspect.get(subject.aspect, self._of_aspect[_ANY]).of(subject.reason.casefold())
        matching = [entry for entry in entries if entry.matches(subject)]
        level = _first(entry.level for entry in matching) or subject.level
        show = _first(entry.show for entry in matching)
        loud_enough = _ORDER.index(level) >= _ORDER.index(self.minimum_level)
        # A hint is for what went wrong: the same words in a message of no concern need none.
        hints = [entry.hint for entry in matching if entry.hint is not None] if level in WORRYING else []
        wants_user = self.audience in (Audience.USER, Audience.BOTH)
        wants_admin = self.audience in (Audience.ADMIN, Audience.BOTH)
        return Ruling(
            shown=show is not False and loud_enough,
            level=level,
            hidden_by_entry=show is False,
            words=_first(entry.words for entry in matching) or "",
            emoji=_first(entry.emoji for entry in matching) or "",
            user_hint=(_first(hint.user for hint in hints) or "") if wants_user else "",
            admin_hint=(_first(hint.admin for hint in hints) or "") if wants_admin else "",
            figures=_first(hint.figures for hint in hints),
        )


def subject_of(record: LogRecord) -> Subject:
    """What the table needs to know of `record`.

    Of last words neither text nor exit code: hints follow the ending itself, and a program's output calls for none. But
    where no program could be started they are the runtime's words, which stand nowhere else.
    """
    details = record.details
    if details is not None and details.aspect == Aspect.LAST_WORDS:
        message = record.message if _NOT_STARTED.fullmatch(record.message) else ""
        kind = record.object.kind
        return Subject(record.reason, message, record.level, kind, aspect=details.aspect)
    return Subject(
        reason=record.reason,
        message=record.message,
        level=record.level,
        kind=record.object.kind,
        component=record.component,
        exit_code=details.exit_code if details is not None else None,
        limit_bytes=details.limit_bytes if details is not None else 0,
        count=record.count,
        aspect=_aspect_of(record),
    )


def _aspect_of(record: LogRecord) -> str:
    details = record.details
    if record.origin is not Origin.STATUS or details is None:
        return record.origin.value
    return ENDED_WITH_POD if details.aspect == Aspect.ENDED and details.expected else details.aspect


_ANY: Final = "\0"
"""A word that no entry can name."""
_NOT_STARTED: Final = re.compile(
    r"(?:standard_init_linux\.go:\d+: exec user process caused:? \"?|exec \S+: "
    r"|\{\"msg\":\"exec container process `[^`]+`: )exec format error\b[^\n]*",
    re.IGNORECASE,
)
"""All that runc or crun writes, into the container's own output, if the kernel does not know the form of the program:
the container counts as started by then (measured, runc 1.1.5)."""


class _ByReason:
    """The entries for one aspect, ready to be found by a reason.

    Only reasons that the table names have lists of their own: who may create Events may make up others without end.
    """

    def __init__(self, entries: Sequence[_Prepared], aspect: str) -> None:
        own = [entry for entry in entries if not entry.aspects or aspect in entry.aspects]
        named = {name for entry in own for name in entry.reasons}
        self._lists: Final[dict[str, list[_Prepared]]] = {name: [] for name in (*named, _ANY)}
        for entry in own:
            for name in entry.reasons or self._lists:
                self._lists[name].append(entry)

    def of(self, reason: str) -> Sequence[_Prepared]:
        """Those for `reason`, which is casefolded, and those for any, in order."""
        return self._lists.get(reason, self._lists[_ANY])


class _Prepared:
    """An entry whose texts are ready to be compared."""

    def __init__(self, entry: Entry) -> None:
        self.reasons: Final = frozenset(_folded(entry.reason))
        self.aspects: Final = frozenset(_folded(entry.aspect))
        self.level: Final = entry.level
        self.show: Final = entry.show
        self.words: Final = entry.words
        self.emoji: Final = entry.emoji
        self.hint: Final = entry.hint
        self._kinds: Final = frozenset(_folded(entry.kind))
        self._components: Final = frozenset(_folded(entry.component))
        self._exit_codes: Final = (entry.exit_code,) if isinstance(entry.exit_code, int) else entry.exit_code
        self._all_of: Final = tuple(_folded(entry.contains))
        self._any_of: Final = tuple(_folded(entry.contains_any))
        self._at_least: Final = entry.at_least

    def matches(self, subject: Subject) -> bool:
        """Whether all conditions but the reason and the aspect hold."""
        if self._kinds and subject.kind.casefold() not in self._kinds:
            return False
        if self._components and subject.component.casefold() not in self._components:
            return False
        if self._exit_codes and subject.exit_code not in self._exit_codes:
            return False
        if subject.count < self._at_least:
            return False
        if not self._all_of and not self._any_of:
            return True
        message = subject.message.casefold()
        return all(text in message for text in self._all_of) and (
            not self._any_of or any(text in message for text in self._any_of)
        )


def _folded(texts: str | tuple[str, ...]) -> Iterator[str]:
    for text in (texts,) if isinstance(texts, str) else texts:
        yield text.casefold()


def _first(values: Iterator[T | None] | Sequence[T | None]) -> T | None:
    """The first one that is mentioned."""
    return next((value for value in values if value is not None), None)
