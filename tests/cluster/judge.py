"""Judge what came twice, and what did not come, while programs were killed, paused and stopped, by the records of
Coder's double and the schedule. Pure.

A line may come again only if the very shipper that sent it before was killed or paused while that request was under
way, or right after it, before it can have settled. A shipper that is stopped as Kubernetes does it is no excuse, nor is
anything that happens to a watcher or to Redis. What a status says may stay untold if it was over while nobody read it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from enum import StrEnum
from math import inf
from typing import Final

import msgspec

from tests.cluster.audit import Findings, Repeat, Telling
from tests.cluster.journal import Request

UNSETTLED_NS: Final = 500_000_000
"""So long after the answer its sender has settled, on a busy machine, if nothing keeps it from it."""
LEASE_NS: Final = 10_000_000_000
AWAY_NS: Final = 18_000_000_000
"""Until another watcher reads what one read that is killed or paused: a lease, and its successor comes after ten
seconds at most. What a stopped one read, or one that had lost Redis, is read sooner."""


class Kind(StrEnum):
    KILLED = "kill -9"
    PAUSED = "SIGSTOP"
    STOPPED = "SIGTERM"


class Hit(msgspec.Struct):
    """Something was done to a program. Instants are Unix time."""

    role: str
    kind: Kind
    door: int
    """By which a shipper's requests come to Coder; 0: it is none."""
    from_ns: int
    to_ns: int | None = None
    """When it went on; None: never."""


class Verdict(msgspec.Struct, frozen=True):
    requests: int
    """That took effect."""
    ambiguous: int
    """Of those, the ones whose shipper may have been kept from settling."""
    excused: list[Repeat]
    unexcused: list[Repeat]
    at_once: list[str]
    """Two requests of one agent, though the first one's shipper had its lease."""
    unread: list[Telling]
    """Not told and over by now, though every watcher could read it in time."""


def judge(found: Findings, requests: Sequence[Request], hits: Sequence[Hit]) -> Verdict:
    blows = [hit for hit in hits if hit.door and hit.kind is not Kind.STOPPED]
    took = {(each.token, each.took_ns): each for each in requests if each.took_ns}
    ambiguous = {key for key, each in took.items() if _hit(blows, each.door, each.came_ns, _settled_ns(each))}
    excused, unexcused = _excused(found.repeated, ambiguous)
    unread = [each for each in found.passed if not _was_away(each, hits)]
    return Verdict(len(took), len(ambiguous), excused, unexcused, list(_at_once(requests, blows)), unread)


def _settled_ns(request: Request) -> float:
    return inf if request.ended_ns is None else request.ended_ns + UNSETTLED_NS


def _hit(blows: Sequence[Hit], door: int, from_ns: int, to_ns: float) -> bool:
    """Whether the shipper behind `door` was not itself at some time between. One that is dead stays so: what comes by
    its door later was under way when it died."""
    return any(
        hit.door == door and hit.from_ns <= to_ns and (hit.to_ns is None or hit.to_ns >= from_ns) for hit in blows
    )


def _excused(repeated: Sequence[Repeat], ambiguous: set[tuple[str, int]]) -> tuple[list[Repeat], list[Repeat]]:
    """Each ambiguous request excuses that its lines come once again, not that they come twice again."""
    spent: set[tuple[object, ...]] = set()
    excused, unexcused = [], []
    for repeat in sorted(repeated, key=lambda each: each.line.at_ns):
        for at_ns in reversed(repeat.taken_at_ns):
            charge = (repeat.token, at_ns, repeat.shows)
            if (repeat.token, at_ns) in ambiguous and charge not in spent:
                spent.add(charge)
                excused.append(repeat)
                break
        else:
            unexcused.append(repeat)
    return excused, unexcused


def _at_once(requests: Sequence[Request], blows: Sequence[Hit]) -> Iterator[str]:
    by_token: defaultdict[str, list[Request]] = defaultdict(list)
    for request in sorted(requests, key=lambda each: each.came_ns):
        if request.token:
            by_token[request.token].append(request)
    for each in by_token.values():
        for index, one in enumerate(each):
            for other in each[index + 1 :]:
                if one.ended_ns is not None and other.came_ns >= one.ended_ns:
                    break
                if one.door == other.door or not _hit(blows, one.door, one.came_ns - LEASE_NS, other.came_ns):
                    yield f"{one} and {other}"


def _was_away(telling: Telling, hits: Sequence[Hit]) -> bool:
    """Whether some watcher, or Redis, was away while `telling` could be read."""
    assert telling.passed_ns is not None
    return any(
        not hit.door and hit.from_ns <= telling.passed_ns and telling.at_ns <= (hit.to_ns or hit.from_ns) + AWAY_NS
        for hit in hits
    )
