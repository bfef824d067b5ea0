"""Follow what is sought for each object until it is found, or until it is certain that nothing comes any more.

A container's variables are made as it starts, so an object's sources are read until then, and one last time after.
A reference that may lead nowhere is no error: whoever names the variable is waited for, up to that last look; a source
that only might have it is looked into when the object changes, and again at the last look.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from msgspec import Struct

from common.ids import Uid
from watcher.directory import Known
from watcher.mounts import Kind
from watcher.sightings import POD
from watcher.sought import ABSENT, UNREAD, Failure, Gap, NoToken, Outcome, Reading, Sought, Source, token_of
from watcher.sources import SourceName, Sources

__all__ = ["Answer", "Look", "Progress", "Pursuit"]

LACKING_MAX: Final = 10_000
_DENIED: Final = frozenset(Failure.FORBIDDEN.about(kind) for kind in Kind)


class Answer(Struct, frozen=True):
    """What a source was just found to hold."""

    name: SourceName
    reading: Reading


class Progress(Struct):
    """What came of one look at all that is sought for an object."""

    tokens: dict[Sought, str]
    lacking: set[Sought]
    """These never come."""
    reasons: list[NoToken]
    """Why others have not come yet, as far as it is worth a word."""
    wanted: set[SourceName]
    """To be read, and read again."""
    is_over: bool
    """It was the last look."""


class _LastLook:
    """Of an object that has started. Only what was read since counts."""

    __slots__ = ("asked", "read")

    def __init__(self) -> None:
        self.asked: set[SourceName] = set()
        self.read: set[SourceName] = set()


class Pursuit:
    """What objects still wait for."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._last_looks: dict[Uid, _LastLook] = {}
        self._lacking: OrderedDict[tuple[Uid, Sought], None] = OrderedDict()

    def look_last(self, uid: Uid) -> None:
        """The object's containers have started."""
        self._last_looks.setdefault(uid, _LastLook())

    def lacks(self, uid: Uid, sought: Sought) -> bool:
        """Whether `sought` was found never to come, as far as that is remembered."""
        return (uid, sought) in self._lacking

    def has_read(self, uid: Uid, wanted: set[SourceName]) -> bool:
        """Whether the last look has seen all of `wanted`, which may be read again for what it lacks."""
        last = self._last_looks.get(uid)
        return last is None or wanted <= last.read

    def forget(self, uid: Uid) -> None:
        """The object is gone, or needs no more."""
        self._sources.forget(uid)
        self._last_looks.pop(uid, None)

    def weigh(self, known: Known, answer: Answer | None) -> Progress:
        """What is known by now of all that is sought for `known`; `answer` was read just now."""
        last = self._last_looks.get(known.uid)
        if last is not None and answer is not None and answer.reading is not Failure.UNREADABLE:
            last.read.add(answer.name)
        progress = Progress({}, set(), [], set(), is_over=last is not None)
        found = () if known.settled else (seat.source for seat in known.seats if seat.source is not None)
        for sought in dict.fromkeys((*known.awaited, *found)):
            look = Look(self._sources, known.namespace, last, answer)
            outcome = token_of(sought, look.read)
            if outcome is UNREAD:
                progress.wanted |= look.unread
                progress.is_over = False
            elif not isinstance(outcome, Gap | NoToken):
                progress.tokens[sought] = outcome
            elif sought in known.awaited:
                self._wait(known, sought, outcome, look, progress)
        return progress

    def read(self, uid: Uid, wanted: set[SourceName], answer: Answer | None) -> None:
        """Have `wanted` read for the object, except for what answers just now."""
        if not wanted:
            self._sources.forget(uid)
        last = self._last_looks.get(uid)
        for name in wanted:
            if last is not None and name not in last.asked:
                last.asked.add(name)
                self._sources.ask(name, uid, fresh=True)
            elif answer is None or answer.name != name:
                self._sources.ask(name, uid)

    def _wait(self, known: Known, sought: Sought, outcome: Outcome, look: Look, progress: Progress) -> None:
        """There is no token yet: take note of why, and of what to do about it."""
        if outcome is ABSENT or (not sought.named and outcome in _DENIED):
            is_last = known.uid in self._last_looks
            if is_last or (not sought.named and (known.settled or known.kind != POD)):
                progress.lacking.add(sought)
                self._lacking[known.uid, sought] = None
                if len(self._lacking) > LACKING_MAX:
                    self._lacking.popitem(last=False)
            elif sought.named:
                progress.wanted |= look.touched
            return
        progress.wanted |= look.touched
        if isinstance(outcome, NoToken) and (sought.named or outcome is NoToken.NOT_A_UUID):
            progress.reasons.append(outcome)


class Look:
    """Reads for one expression, and notes what it asked for. `last` and `answer`: of a pursuit."""

    def __init__(
        self, sources: Sources, namespace: str, last: _LastLook | None = None, answer: Answer | None = None
    ) -> None:
        self._sources = sources
        self._namespace = namespace
        self._last = last
        self._answer = answer
        self.touched: set[SourceName] = set()
        self.unread: set[SourceName] = set()

    def read(self, source: Source) -> Reading | None:
        name = SourceName(self._namespace, source)
        reading = self._reading(name)
        (self.unread if reading is None else self.touched).add(name)
        return reading

    def _reading(self, name: SourceName) -> Reading | None:
        if self._last is not None and name not in self._last.read:
            return None
        if self._answer is not None and self._answer.name == name:
            return self._answer.reading
        return self._sources.latest(name)
