"""Events about neighbours stay a while for those who come to stand beside them. Pure; the clock is an argument.

A claim is often made, and fails, before the pod that uses it; another workspace may come to share it. So each Event is
kept, told or not, and whoever comes meanwhile is told. Of an Event that repeats the newest count is kept. What is kept
holds its scope's saved position back (`oldest_before`), so a crash does not lose it. Most of it concerns no workspace,
which is why it has a bound of its own: it can push out no Event about a pod.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator
from typing import Final

from msgspec import Struct, field

from common.ids import AgentId
from watcher.neighbours import Tie, place_of
from watcher.objects import Event

__all__ = ["LINGERING_MAX", "LINGER_MAX_S", "LINGER_S", "Lingering", "Lingers"]

LINGER_S: Final = 120.0
"""As long as Events wait for their pod by default. An Event concerns who is made so long after it, and no later."""
LINGER_MAX_S: Final = 3_600.0
"""Even if objects cannot be read: as long as Kubernetes itself keeps an Event by default."""
LINGERING_MAX: Final = 2_000
"""About 2 MB."""


class Lingers(Struct):
    scope: str
    event: Event
    tie: Tie
    """What it is about."""
    history: bool
    """It was told before we first came: only for those who were waiting then."""
    before: str
    """The position of the scope's reader before this event, "" in a list."""
    since_s: float
    told: set[AgentId] = field(default_factory=set)
    """Who has this count of it already; asking Redis instead would cost as much as telling."""


_Key = tuple[Tie, str]
"""A neighbour and its namespace."""
_Which = tuple[Tie, str, str]
"""A key and the Event's UID."""


class Lingering:
    """At most `events_max`, beyond which those that came first go."""

    def __init__(self, events_max: int = LINGERING_MAX) -> None:
        self._events_max = events_max
        self._kept: OrderedDict[_Which, Lingers] = OrderedDict()
        """In order of coming."""
        self._scopes: dict[str, OrderedDict[_Which, None]] = {}
        self._about: dict[_Key, dict[_Which, None]] = {}

    def __len__(self) -> int:
        return len(self._kept)

    def __iter__(self) -> Iterator[Lingers]:
        """What is kept, in order of coming."""
        return iter(self._kept.values())

    def keep(self, lingers: Lingers) -> int:
        """Keep `lingers` in place of earlier counts of it; answers how many others had to go for it (0 or 1)."""
        which = _which(lingers.event, lingers.tie)
        before = self._kept.get(which)
        if before is not None:
            if before.event.times > lingers.event.times:
                return 0  # delivered late
            self._drop(which)
        self._kept[which] = lingers
        self._scopes.setdefault(lingers.scope, OrderedDict())[which] = None
        self._about.setdefault(which[:2], {})[which] = None
        if len(self._kept) <= self._events_max:
            return 0
        self._drop(next(iter(self._kept)))
        return 1

    def get(self, event: Event, tie: Tie) -> Lingers | None:
        """What is kept of `event`, if it is this count of it."""
        kept = self._kept.get(_which(event, tie))
        return kept if kept is not None and kept.event.times == event.times else None

    def about(self, ties: Collection[Tie], namespace: str) -> list[Lingers]:
        """What is kept about any of `ties`, which are in `namespace` or in none, in order of coming."""
        found = [which for tie in ties for which in self._about.get((tie, place_of(tie, namespace)), ())]
        if len(found) > 1 and len(ties) > 1:
            found.sort(key=lambda which: self._kept[which].since_s)
        return [self._kept[which] for which in found]

    def oldest_before(self, scope: str) -> str | None:
        """The position before the oldest event of `scope` that is kept; None if none is."""
        kept = self._scopes.get(scope)
        return self._kept[next(iter(kept))].before if kept else None

    def expire(self, deadline_s: float, unheard: Collection[str] = ()) -> None:
        """Drop what came before `deadline_s` (monotonic), but nothing of the scopes in `unheard`."""
        for scope in self._scopes.keys() - frozenset(unheard):
            kept = self._scopes[scope]
            while kept and self._kept[which := next(iter(kept))].since_s < deadline_s:
                self._drop(which)

    def clear(self, scope: str, covers: Callable[[str], bool]) -> None:
        """Drop what is kept of `scope` in the namespaces that `covers` names: it is read anew, or by somebody else."""
        for which in [which for which in self._scopes.get(scope, ()) if covers(which[1])]:
            self._drop(which)

    def _drop(self, which: _Which) -> None:
        scope = self._kept.pop(which).scope
        in_scope, about = self._scopes[scope], self._about[which[:2]]
        del in_scope[which], about[which]
        if not in_scope:
            del self._scopes[scope]
        if not about:
            del self._about[which[:2]]


def _which(event: Event, tie: Tie) -> _Which:
    return (tie, place_of(tie, event.metadata.namespace), event.topic)
