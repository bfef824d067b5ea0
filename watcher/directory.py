"""Which object belongs to which agents: the watcher's memory. Pure; the clock is an argument.

Keys are UIDs, and an event finds an object only if its namespace fits too (guarantee 4). Deleted objects stay
findable for a while, since their last events come late. Objects without an agent are remembered by UID only, so
that their events need not wait for them. Structs are small and strings shared: thousands of idle pods are normal.
Everything is bounded; who asks has to see to it that nobody new is put where there is no `room`.
"""

from __future__ import annotations

import sys
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from common.ids import AgentId, Uid
from common.store.model import Card
from watcher.neighbours import Neighbours, Tie
from watcher.pulls import Pull
from watcher.series import UNTRIED, Tried
from watcher.sought import Sought

__all__ = ["ANY_NAMESPACE", "UNREADABLE", "Directory", "Known", "Place", "Seat"]

ANY_NAMESPACE: Final = "*"
TOMBSTONE_S: Final = 600.0
"""Late events of a deleted pod come within its grace period; ten minutes outlast all common ones."""
TOMBSTONES_MAX: Final = 10_000
KNOWN_MAX: Final = 50_000
"""Unless the operator says otherwise (`--known-max`)."""
BARE_MAX: Final = 200_000
"""UIDs of objects without an agent, 25 MB. Beyond them an object's events wait in the parking for nothing."""
UNREADABLE: Final = b""
"""In place of a sealed token that none of our keys opens."""


class Place(Struct, frozen=True, gc=False):
    """A kind of object in one namespace, or in all (`ANY_NAMESPACE`)."""

    kind: str
    namespace: str


class Seat(Struct, frozen=True, gc=False):
    """One agent of an object. `source` tells where its token was found, None for the specification itself."""

    agent: AgentId
    sealed_token: bytes
    source: Sought | None = None


class Known(Struct, frozen=True):
    """An object that has, or waits for, an agent."""

    kind: str
    namespace: str
    name: str
    uid: Uid
    created_at_ms: int
    told: bool
    """Its history is shown: it was created under our eyes, or somebody waited for it when we first came."""
    seats: tuple[Seat, ...] = ()
    awaited: tuple[Sought, ...] = ()
    """Token sources that could not be read yet."""
    settled: bool = False
    """Its containers have started: the agents are final."""
    failed: bool = False
    """A pod whose phase is Failed."""
    workspace: str = ""
    owner: str = ""
    quiet: tuple[str, ...] = ()
    """Facts of its status (`Fact.key`) that stood there before anything of it was to be told; some stay for good."""
    ties: tuple[Tie, ...] = ()
    """What stands beside it: the Events of those are told to its agents, too."""
    pulls: tuple[Pull, ...] = ()
    """What Events said of its images, as long as its start is to be told; one for each container."""
    begun: bool = False
    """Its start was told, or is not to be."""
    tries: Tried = UNTRIED
    """How often a ReplicaSet could not make a pod."""

    @property
    def readable_seats(self) -> tuple[Seat, ...]:
        """Those whose token can be delivered to."""
        return tuple(seat for seat in self.seats if seat.sealed_token != UNREADABLE)

    def card(self, seat: Seat) -> Card:
        return Card(seat.sealed_token, self.namespace, self.name, self.workspace, self.owner)


class Directory:
    """Live objects, tombstones and the UIDs of objects without an agent."""

    def __init__(
        self, known_max: int = KNOWN_MAX, bare_max: int = BARE_MAX, *, tombstone_s: float = TOMBSTONE_S
    ) -> None:
        self._known_max = known_max
        self._bare_max = bare_max
        self._tombstone_s = tombstone_s
        self._bare_size = 0
        self._live: dict[Uid, Known] = {}
        self._places: dict[Place, set[Uid]] = {}
        self._bare: dict[Place, set[Uid]] = {}
        self._tombs: OrderedDict[Uid, tuple[float, Known]] = OrderedDict()
        self._awaiting: set[Uid] = set()
        self._expecting: set[Uid] = set()
        self._neighbours = Neighbours()
        """Of live objects and of tombstones."""

    @property
    def awaiting(self) -> Collection[Uid]:
        """Live objects whose token could not be read yet."""
        return self._awaiting

    @property
    def expecting(self) -> Collection[Uid]:
        """Those of them that name the variable themselves, so that a token will come, not only may."""
        return self._expecting

    @property
    def has_room(self) -> bool:
        """Whether one more object may be followed. What another watcher followed is taken over even without."""
        return len(self._live) < self._known_max

    def count(self, kind: str) -> int:
        return sum(len(uids) for place, uids in self._places.items() if place.kind == kind)

    def __len__(self) -> int:
        return len(self._live)

    def __iter__(self) -> Iterator[Known]:
        return iter(self._live.values())

    def get(self, uid: Uid) -> Known | None:
        """The live object `uid`."""
        return self._live.get(uid)

    def find(self, uid: Uid, namespace: str) -> Known | None:
        """The object `uid`, live or lately deleted, if it is in `namespace`."""
        known = self._live.get(uid)
        if known is None and (tomb := self._tombs.get(uid)) is not None:
            known = tomb[1]
        return known if known is not None and known.namespace == namespace else None

    def beside(self, tie: Tie, namespace: str) -> list[Known]:
        """The live objects of `namespace` beside `tie`; beside a node those of all namespaces."""
        return [known for uid in self._neighbours.beside(tie, namespace) if (known := self._live.get(uid)) is not None]

    def lately_beside(self, tie: Tie, namespace: str) -> list[Known]:
        """Likewise those that were lately deleted."""
        return [self._tombs[uid][1] for uid in self._neighbours.beside(tie, namespace) if uid in self._tombs]

    def put(self, known: Known) -> None:
        """Remember or replace a live object."""
        before = self._live.get(known.uid)
        if before is None or before.ties != known.ties:
            self._untie(before)
            self._neighbours.tie(known.uid, known.namespace, known.ties)
        place = Place(sys.intern(known.kind), sys.intern(known.namespace))
        self._live[known.uid] = known
        self._places.setdefault(place, set()).add(known.uid)
        self.forget_bare(place, known.uid)
        self._forget_waiting(known.uid)
        if known.awaited:
            self._awaiting.add(known.uid)
        if any(sought.named for sought in known.awaited):
            self._expecting.add(known.uid)

    def put_bare(self, place: Place, uid: Uid) -> None:
        """Remember, if there is room, that `uid` has no agent that is to be told."""
        if self._bare_size < self._bare_max and not self.is_bare(place, uid):
            self._bare.setdefault(place, set()).add(uid)
            self._bare_size += 1

    def is_bare(self, place: Place, uid: Uid) -> bool:
        return uid in self._bare.get(place, ())

    def bury(self, uid: Uid, now_s: float) -> Known | None:
        """Turn a live object into a tombstone; answers it, or None if it was not known."""
        known = self._remove(uid)
        if known is None:
            return None
        self._tombs[uid] = (now_s, known)
        self._neighbours.tie(uid, known.namespace, known.ties)
        if len(self._tombs) > TOMBSTONES_MAX:
            self._drop_tombstone(next(iter(self._tombs)))
        return known

    def strip(self, known: Known) -> None:
        """The live object `known` turned out to have no agent."""
        if self._remove(known.uid) is not None:
            self.put_bare(Place(known.kind, known.namespace), known.uid)

    def _remove(self, uid: Uid) -> Known | None:
        known = self._live.pop(uid, None)
        if known is not None:
            self._forget_waiting(uid)
            self._untie(known)
            place = Place(known.kind, known.namespace)
            uids = self._places[place]
            uids.discard(uid)
            if not uids:
                del self._places[place]
        return known

    def _forget_waiting(self, uid: Uid) -> None:
        self._awaiting.discard(uid)
        self._expecting.discard(uid)

    def uids(self, place: Place) -> set[Uid]:
        """The live objects of `place`."""
        if place.namespace != ANY_NAMESPACE:
            return set(self._places.get(place, ()))
        return {uid for each, uids in self._places.items() if each.kind == place.kind for uid in uids}

    def keep_bare(self, place: Place, listed: Collection[Uid]) -> None:
        """Forget the objects without an agent in `place` that a complete list did not name."""
        for each in [each for each in self._bare if _covers(place, each)]:
            self._bare[each].intersection_update(listed)
            if not self._bare[each]:
                del self._bare[each]
        self._count_bare()

    def clear(self, covers: Callable[[str], bool]) -> None:
        """Forget the namespaces that `covers` names, without tombstones: they are not ours any more."""
        for place, uids in self._places.items():
            if covers(place.namespace):
                for uid in uids:
                    self._untie(self._live.pop(uid))
                    self._forget_waiting(uid)
        for table in (self._places, self._bare):
            for each in [each for each in table if covers(each.namespace)]:
                del table[each]
        self._count_bare()

    def close_tombstones(self) -> None:
        """Nothing that was there until now is told of those who have gone."""
        for uid, (died_at_s, known) in self._tombs.items():
            self._tombs[uid] = died_at_s, replace(known, told=False)

    def drop_tombstones(self, now_s: float) -> None:
        """Let the tombstones go whose time is over."""
        while self._tombs:
            uid, (died_at_s, _) = next(iter(self._tombs.items()))
            if now_s - died_at_s < self._tombstone_s:
                return
            self._drop_tombstone(uid)

    def _drop_tombstone(self, uid: Uid) -> None:
        _, known = self._tombs.pop(uid)
        if uid not in self._live:
            self._untie(known)

    def _untie(self, known: Known | None) -> None:
        if known is not None:
            self._neighbours.untie(known.uid, known.namespace, known.ties)

    def forget_bare(self, place: Place, uid: Uid) -> None:
        """`uid` has an agent now, or is gone."""
        uids = self._bare.get(place, set())
        if uid in uids:
            uids.remove(uid)
            self._bare_size -= 1
            if not uids:
                del self._bare[place]

    def _count_bare(self) -> None:
        self._bare_size = sum(map(len, self._bare.values()))


def _covers(place: Place, other: Place) -> bool:
    return place.kind == other.kind and place.namespace in (other.namespace, ANY_NAMESPACE)
