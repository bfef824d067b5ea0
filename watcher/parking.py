"""Events that came before their object, or before its token could be read: they wait here, bounded. Pure.

So do facts of a pod's status whose token could not be read yet; they are called events below, too.

Pods, ReplicaSets and events are separate watches, so an event can overtake its pod (FACTS 2). A parked event holds
its scope's saved position back (`oldest_before`), so a crash does not lose it. One that is dropped is counted for its
object (`unkept`), unless a later count of the same Event waits on and tells as much.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Collection

from msgspec import Struct
from msgspec.structs import replace

from common.ids import Uid
from watcher.repeats import Telling
from watcher.unkept import Unkept

__all__ = ["Parked", "Parking"]


def _everywhere(_namespace: str) -> bool:
    return True


class Parked(Struct, frozen=True):
    scope: str
    event: Telling
    history: bool
    """It was told before we first came: only for those who were waiting then."""
    before: str
    """The position of the scope's reader before this event, "" in a list."""
    since_s: float
    heard: bool = False
    """Its object has agents that were told; it waits for a further one."""


class Parking:
    """At most `max_events`, beyond which the oldest go. Order of arrival is kept per object."""

    def __init__(self, max_events: int) -> None:
        self._max_events = max_events
        self._next = 0
        self._scopes: dict[str, OrderedDict[int, Parked]] = {}
        self._by_uid: dict[Uid, list[tuple[str, int]]] = {}
        self._counts: Counter[tuple[str, str]] = Counter()
        """How many counts of each Event wait, by its object and topic."""
        self._size = 0
        self.unkept = Unkept()

    def __len__(self) -> int:
        return self._size

    def park(self, parked: Parked) -> int:
        """Keep `parked`; answers how many older ones had to go for it (0 or 1)."""
        evicted = 0
        if self._size >= self._max_events:
            if self._max_events <= 0:
                self._note(parked)
                return 1
            scope = min(self._scopes, key=lambda name: next(iter(self._scopes[name])))
            self._note(self._drop(scope, next(iter(self._scopes[scope]))))
            evicted = 1
        self._scopes.setdefault(parked.scope, OrderedDict())[self._next] = parked
        self._by_uid.setdefault(_uid(parked), []).append((parked.scope, self._next))
        self._counts[_key(parked)] += 1
        self._next += 1
        self._size += 1
        return evicted

    def take(self, uid: Uid) -> list[Parked]:
        """What waited for `uid`, in order of arrival."""
        taken = []
        for scope, number in self._by_uid.pop(uid, ()):
            entries = self._scopes[scope]
            parked = entries.pop(number)
            taken.append(parked)
            self._left(parked)
            if not entries:
                del self._scopes[scope]
        return taken

    def pull(self, uid: Uid, wanted: Callable[[Parked], bool]) -> list[Parked]:
        """What waited for `uid` and is `wanted`, in order of arrival."""
        places = self._by_uid.get(uid, ())
        pulled = [(scope, number) for scope, number in places if wanted(self._scopes[scope][number])]
        return [self._drop(scope, number) for scope, number in pulled]

    def waiting_for(self, uid: Uid) -> list[Parked]:
        """What waits for `uid`, in order of arrival; it stays."""
        return [self._scopes[scope][number] for scope, number in self._by_uid.get(uid, ())]

    def mark_heard(self, uid: Uid) -> None:
        """What waits for `uid` has been told to the agents it has."""
        for scope, number in self._by_uid.get(uid, ()):
            self._scopes[scope][number] = replace(self._scopes[scope][number], heard=True)

    def oldest_before(self, scope: str) -> str | None:
        """The position before the oldest event that still waits in `scope`; None if none does."""
        entries = self._scopes.get(scope)
        return next(iter(entries.values())).before if entries else None

    def expire(self, deadline_s: float, keep: Collection[Uid] = (), unheard: Collection[str] = ()) -> int:
        """Drop what waits since before `deadline_s` (monotonic), but nothing of `keep` or in a scope of `unheard`;
        answers how many.
        """
        expired = 0
        for scope in self._scopes.keys() - frozenset(unheard):
            late = []
            for number, parked in self._scopes[scope].items():
                if parked.since_s >= deadline_s:
                    break
                if _uid(parked) not in keep:
                    late.append(number)
            for number in late:
                self._note(self._drop(scope, number))
            expired += len(late)
        return expired

    def clear(self, scope: str, covers: Callable[[str], bool] = _everywhere) -> set[Uid]:
        """Drop what waits of `scope` in the namespaces that `covers` names: it is read anew, or by somebody else.

        Answers for which objects something was dropped.
        """
        dropped = set()
        for number, parked in list(self._scopes.get(scope, {}).items()):
            if covers(parked.event.namespace):
                self._drop(scope, number)
                dropped.add(_uid(parked))
        self.unkept.clear(scope, covers)
        return dropped

    def _note(self, parked: Parked) -> None:
        """`parked` is dropped."""
        if not parked.heard and _key(parked) not in self._counts:
            self.unkept.add(_uid(parked), parked.scope, parked.event.namespace, history=parked.history)

    def _drop(self, scope: str, number: int) -> Parked:
        entries = self._scopes[scope]
        parked = entries.pop(number)
        uid = _uid(parked)
        places = self._by_uid[uid]
        places.remove((scope, number))
        if not places:
            del self._by_uid[uid]
        if not entries:
            del self._scopes[scope]
        self._left(parked)
        return parked

    def _left(self, parked: Parked) -> None:
        self._size -= 1
        key = _key(parked)
        self._counts[key] -= 1
        if not self._counts[key]:
            del self._counts[key]


def _uid(parked: Parked) -> Uid:
    return Uid(parked.event.about)


def _key(parked: Parked) -> tuple[str, str]:
    return parked.event.about, parked.event.topic
