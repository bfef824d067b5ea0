"""Which counts of what repeats are told, and which are folded into a later one. Pure; the clock is an argument.

What repeats is an Event, whose count grows, or a fact of a pod's status (`watcher/facts.py`): both are `Telling`s,
called events below.

Told at once are an event's first coming and each count that is at least double the one told last. Any other count is
held, the newest only, until a spell after the last telling is over or something else is told of the same object,
whichever is sooner: so lines of one object keep the order of their last occurrence. Each telling that a spell's end
allowed is followed by a longer spell. What is held keeps its scope's saved position back (`oldest_before`), so a
crash does not lose it.

An event that pauses for another spell's length after the end of one is forgotten, and its next count is told at once.
So would a 2 be after a 1, which is why events that came once cost nothing here. Cost of an update is O(1), of a
telling O(held of its object).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from itertools import takewhile
from typing import Final

from watcher.facts import Fact
from watcher.objects import Event

__all__ = ["EVENTS_MAX", "SPELLS_S", "Repeats", "Telling"]

Telling = Event | Fact

SPELLS_S: Final = (15.0, 30.0, 60.0, 120.0)
"""The newest count of an event is told so long after the telling before it, at the latest. A loop that goes on for an
hour costs some forty lines; the longest is well within the history that etcd keeps (five minutes, FACTS 2)."""
EVENTS_MAX: Final = 10_000
"""Events that may repeat within one spell and be folded; some hundred a second that are all different."""

_Key = tuple[str, str]
"""An event's topic (its UID) and its object's UID: nothing keeps an event from naming another object later."""


class _Repeating:
    """An event that was told less than a spell ago, with the count of its last telling, and what is held of it."""

    __slots__ = ("before", "held", "key", "newest", "place", "scope", "spell", "told", "told_at_s")

    def __init__(self, key: _Key) -> None:
        self.key = key
        self.spell = 0
        """Which one it is in, or has been in since it was told last."""
        self.told = 0
        self.told_at_s = 0.0
        self.newest = 0
        """The highest count, told or held."""
        self.held: Telling | None = None
        self.place = 0
        """Of the held update, in the order of coming."""
        self.scope = ""
        self.before = ""
        """The scope's position before the first update since the last telling."""


class Repeats:
    """Decides on each update. What a call answers is told from then on, in that order."""

    def __init__(self, spells_s: Sequence[float], events_max: int = EVENTS_MAX) -> None:
        """`spells_s` grow. Beyond `events_max` further events are told at once, each count of theirs."""
        self._spells_s = tuple(spells_s)
        self._events_max = events_max
        self._next_place = 0
        self._events: dict[_Key, _Repeating] = {}
        # By the time of the last telling; in a scope by the time of holding.
        self._by_spell: list[OrderedDict[_Key, _Repeating]] = [OrderedDict() for _ in self._spells_s]
        self._fading: list[OrderedDict[_Key, _Repeating]] = [OrderedDict() for _ in self._spells_s]
        """Those whose spell ended with nothing held."""
        self._by_scope: dict[str, OrderedDict[_Key, _Repeating]] = {}
        self._by_object: dict[str, dict[_Key, _Repeating]] = {}
        self._folded = 0
        self._overflowed = 0

    def __len__(self) -> int:
        """How many events are remembered."""
        return len(self._events)

    def take(self, event: Telling, scope: str, before: str, now_s: float) -> Sequence[Telling]:
        """What is to be told now that `event` came; nothing if it is held.

        `before`: the scope's position before it; "" in a list, of which all is told at once.
        """
        known = self._events.get((event.topic, event.about))
        if known is not None and before and now_s - known.told_at_s < self._spells_s[known.spell]:
            count = event.times
            if known.held is not None and count == known.newest:
                return ()  # delivered again: it happened where it stands
            if known.newest <= count < 2 * known.told and count > known.told:
                self._hold(known, event, count, scope, before)
                return ()
        return self.tell([event], now_s)

    def tell(self, events: Sequence[Telling], now_s: float) -> list[Telling]:
        """`events`, all of one object, whatever was told before; ahead of them what else is held of it."""
        for event in events:
            self._cover(event)
        told = self.release(events[0].about, now_s) if events else []
        for event in events:
            self._note(event, now_s)
        told += events
        return told

    def release(self, about: str, now_s: float) -> list[Telling]:
        """What is held of the object `about`."""
        held = self._by_object.get(about)
        return self._release(held.values(), now_s) if held else []

    def release_scope(self, scope: str, now_s: float) -> list[Telling]:
        """What is held in `scope`."""
        held = self._by_scope.get(scope)
        return self._release(held.values(), now_s) if held else []

    def due(self, now_s: float) -> list[Telling]:
        """What was held long enough, with what else is held of those objects. Forgets events that ceased."""
        told: list[Telling] = []
        for spell_s, events, fading in zip(self._spells_s, self._by_spell, self._fading, strict=True):
            for known in _older_than(spell_s, events, now_s):
                if known.held is None:
                    if events.pop(known.key, None) is not None:
                        fading[known.key] = known
                else:
                    released = self.release(known.key[1], now_s)
                    for event in released:
                        self._lengthen(self._events[event.topic, event.about])
                    told += released
            for known in _older_than(2 * spell_s, fading, now_s):
                del self._events[known.key], fading[known.key]
        return told

    def oldest_before(self, scope: str) -> str | None:
        """The position before the oldest update that is not told in `scope`; None if all are."""
        held = self._by_scope.get(scope)
        return next(iter(held.values())).before if held else None

    def counted(self) -> tuple[int, int]:
        """Since this was asked last: updates folded into a later one, and tellings for want of room to hold."""
        counts = self._folded, self._overflowed
        self._folded = self._overflowed = 0
        return counts

    def _lengthen(self, known: _Repeating) -> None:
        """It has gone on for a whole spell: it is news less often."""
        self._by_spell[known.spell].pop(known.key, None)
        self._fading[known.spell].pop(known.key, None)
        known.spell = min(known.spell + 1, len(self._spells_s) - 1)
        self._by_spell[known.spell][known.key] = known

    def _hold(self, known: _Repeating, event: Telling, count: int, scope: str, before: str) -> None:
        if known.held is not None:
            self._folded += 1
        else:
            known.scope, known.before = scope, before
            self._by_scope.setdefault(scope, OrderedDict())[known.key] = known
            self._by_object.setdefault(known.key[1], {})[known.key] = known
        known.held, known.newest, known.place = event, count, self._next_place
        self._next_place += 1

    def _cover(self, event: Telling) -> None:
        """`event` is about to be told: what is held of it needs no telling if it counts no further."""
        known = self._events.get((event.topic, event.about))
        if known is not None and known.held is not None and known.newest <= event.times:
            self._let_go(known)
            self._folded += 1

    def _note(self, event: Telling, now_s: float) -> None:
        key, count = (event.topic, event.about), event.times
        known = self._events.get(key)
        if known is None:
            if count < 2:
                return
            if len(self._events) >= self._events_max:
                self._overflowed += 1
                return
            known = self._events[key] = _Repeating(key)
        elif now_s - known.told_at_s >= self._spells_s[known.spell]:
            self._lengthen(known)
        known.newest = count
        self._told(known, now_s)

    def _release(self, held: Iterable[_Repeating], now_s: float) -> list[Telling]:
        told = []
        for known in sorted(held, key=_place):
            told.append(self._let_go(known))
            self._told(known, now_s)
        return told

    def _told(self, known: _Repeating, now_s: float) -> None:
        known.told, known.told_at_s = known.newest, now_s
        self._fading[known.spell].pop(known.key, None)
        events = self._by_spell[known.spell]
        events[known.key] = known
        events.move_to_end(known.key)

    def _let_go(self, known: _Repeating) -> Telling:
        event = known.held
        if event is None:
            raise AssertionError("nothing is held")
        known.held = None
        in_scope, of_object = self._by_scope[known.scope], self._by_object[known.key[1]]
        del in_scope[known.key], of_object[known.key]
        if not in_scope:
            del self._by_scope[known.scope]
        if not of_object:
            del self._by_object[known.key[1]]
        return event


def _older_than(age_s: float, events: OrderedDict[_Key, _Repeating], now_s: float) -> list[_Repeating]:
    """Those at the beginning of `events` that were told so long ago."""
    return list(takewhile(lambda known: now_s - known.told_at_s >= age_s, events.values()))


def _place(known: _Repeating) -> int:
    return known.place
