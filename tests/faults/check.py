"""Judge a world from outside: what Kubernetes was told, what Coder got by whom, and what the runner did. Pure.

A line is known by what it tells (`w3e12` with its count; that a pod came or went), whatever else it says. A count is
told, too, if a later count of the same event is.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from math import inf
from typing import Final

import msgspec

from tests.faults.coder import Request

__all__ = ["Disturbance", "Findings", "Listed", "Pod", "Record", "Said", "check", "key_of"]

SETTLE_S: Final = 2.5
"""Compressed seconds after an answer within which its sender has settled, if nothing keeps it from it."""
RECOVERY_S: Final = 2.5
LEASE_S: Final = 4.0
WATCHER_LEASE_S: Final = 6.0
CHANGES_HANDS_S: Final = 18.0
"""Until what a watcher read that is killed or cut off has found its place: a lease, then its successor comes after ten
seconds at most, and takes its share."""
_TELLS: Final = re.compile(r"🐳 Created pod: (?P<created>\S+)|🗑️ Deleted pod: (?P<deleted>\S+)|\b(?P<event>w\d+e\d+) ")
_COUNT: Final = re.compile(r"×(\d+)")

Key = tuple[str, int]
"""What a line tells, and the count."""


LAGGED: Final = "Redis fail-over with a lag"
"""A kind of `Disturbance`."""


class Said(msgspec.Struct, frozen=True):
    """One thing that Kubernetes said, to be told to the agent of `token`."""

    token: str
    pod: str
    what: str
    count: int
    version: int
    at_s: float = 0.0

    @property
    def key(self) -> Key:
        return self.what, self.count


class Pod(msgspec.Struct, frozen=True):
    token: str
    came_s: float
    went_s: float | None = None
    by_secret: bool = False
    """Its token lies in a Secret."""
    namespace: str = ""


class Listed(msgspec.Struct, frozen=True):
    """A watcher was shown all pods of `namespace`, "" of all."""

    at_s: float
    namespace: str


class Disturbance(msgspec.Struct):
    """The runner did something to `owner` ("" = to all); `to_s` None: it still does."""

    owner: str
    kind: str
    from_s: float
    to_s: float | None


class Record(msgspec.Struct, frozen=True):
    """Everything that is known of one world."""

    said: Sequence[Said]
    pods: Mapping[str, Pod]
    logs: Mapping[str, Sequence[str]]
    """By token, in Coder's order."""
    requests: Sequence[Request]
    disturbances: Sequence[Disturbance]
    compacted_s: Sequence[float]
    """When Kubernetes forgot its history."""
    listed: Sequence[Listed]
    drops: Mapping[str, int]
    """By token: records that Redis says were dropped by shippers."""
    refused: Mapping[str, int]
    """By token: records that Redis says it did not take, for lack of room."""
    late: Mapping[str, int]
    """By token: records that Redis says it did not take, because the agent had ended."""
    reasons: Mapping[str, int]
    """By reason: records that the shippers' metrics say were dropped."""
    verdicts: Mapping[str, int]
    """By outcome: what the watchers' metrics say became of their records."""
    parked_expired: int
    watchers: frozenset[str]


class Findings(msgspec.Struct):
    lines: int = 0
    lost: list[str] = []
    dropped: int = 0
    """Not told, but counted as dropped by a shipper or refused in Redis."""
    parked_expired: int = 0
    """Not told, but counted: events whose pod was gone before a watcher could learn of it."""
    unseen: int = 0
    """A pod's coming or going of which Kubernetes kept nothing when a watcher could read again."""
    unread: int = 0
    """Not told: the pod had gone before its token could be read from its Secret."""
    repeated: int = 0
    unexplained_repeats: list[str] = []
    ambiguous: int = 0
    """Requests that took effect and of which their sender, or Redis, could not know it for certain."""
    disordered: list[str] = []
    after_lag: list[str] = []
    """The same, where Redis lost what one watcher had told while another one took its place: neither can know of it."""
    after_drop: list[str] = []
    """The same, where Redis lost that a record had been dropped: it is told after all."""
    unreasoned: list[str] = []
    """Dropped in Redis, but under no reason in any metric."""
    foreign: list[str] = []
    in_flight: list[str] = []

    @property
    def faults(self) -> list[str]:
        return [
            *(f"lost: {each}" for each in self.lost),
            *(f"repeated without a reason: {each}" for each in self.unexplained_repeats),
            *(f"out of order: {each}" for each in self.disordered),
            *(f"dropped without a reason: {each}" for each in self.unreasoned),
            *(f"not this agent's: {each}" for each in self.foreign),
            *(f"two requests at once: {each}" for each in self.in_flight),
        ]


def check(record: Record) -> Findings:
    found = Findings(lines=sum(map(len, record.logs.values())))
    _check_losses(record, found)
    _check_reasons(record, found)
    _check_repeats(record, found)
    _check_order(record, found)
    _check_flights(record, found)
    return found


def key_of(line: str) -> Key | None:
    """What `line` tells; None for a line that tells nothing of a pod."""
    match = _TELLS.search(line)
    if match is None:
        return None
    if match["event"]:
        count = _COUNT.search(line)
        return match["event"], int(count[1]) if count else 1
    return (f"created {match['created']}" if match["created"] else f"deleted {match['deleted']}"), 1


def _check_losses(record: Record, found: Findings) -> None:
    told: dict[str, int] = {}
    for lines in record.logs.values():
        for what, count in filter(None, map(key_of, lines)):
            told[what] = max(told.get(what, 0), count)
    newest = {said.what: said for said in record.said}
    drops = Counter(record.drops) + Counter(record.refused) + Counter(record.late)
    parked = record.parked_expired
    for what, said in newest.items():
        if told.get(what, 0) >= said.count:
            continue
        gone = record.pods[said.pod].went_s is not None if said.pod in record.pods else True
        if drops[said.token] > 0:
            drops[said.token] -= 1
            found.dropped += 1
        elif gone and what.startswith("w") and parked > 0:
            parked -= 1
            found.parked_expired += 1
        elif gone and not what.startswith("w") and _unseen(record, said, told):
            found.unseen += 1
        elif gone and _unread(record, said, told):
            found.unread += 1
        else:
            found.lost.append(f"{what} ×{said.count} of {said.pod}")


def _unseen(record: Record, said: Said, told: Mapping[str, int]) -> bool:
    """Whether Kubernetes forgot the pod's history before every watcher can have read and kept it."""
    pod = record.pods[said.pod]
    forgot = any(at_s >= pod.came_s or not _was_listed(record, pod, at_s) for at_s in record.compacted_s)
    if said.what.startswith("created") or f"created {said.pod}" not in told:
        return forgot
    return forgot and any(
        each.owner in ("", *record.watchers) and (each.to_s is None or each.to_s >= pod.came_s)
        for each in record.disturbances
    )


def _was_listed(record: Record, pod: Pod, forgot_s: float) -> bool:
    """Whether watchers read the pod's namespace anew after `forgot_s` and before its end, and kept what they read."""
    went_s = pod.went_s if pod.went_s is not None else inf
    return any(
        each.namespace in ("", pod.namespace)
        and forgot_s <= each.at_s <= went_s
        and not any(_disturbed(record, watcher, each.at_s, went_s) for watcher in record.watchers)
        for each in record.listed
    )


def _check_reasons(record: Record, found: Findings) -> None:
    """A shipper counts before it settles, so the metrics may hold more than Redis, never less."""
    dropped, reasoned = sum(record.drops.values()), sum(record.reasons.values())
    if dropped > reasoned:
        found.unreasoned.append(f"{dropped - reasoned} of {dropped} records")
    # An append is made again if its answer got lost, and then all of it is a duplicate.
    late, counted = sum(record.late.values()), record.verdicts.get("ended", 0) + record.verdicts.get("duplicate", 0)
    if late > counted:
        found.unreasoned.append(f"{late - counted} of {late} records of agents that had ended")


def _unread(record: Record, said: Said, told: Mapping[str, int]) -> bool:
    """Whether the pod went before its Secret was read: nothing of it can be told to anybody."""
    pod = record.pods.get(said.pod)
    about = {each.what for each in record.said if each.pod == said.pod}
    return pod is not None and pod.by_secret and not about & told.keys()


def _check_repeats(record: Record, found: Findings) -> None:
    """An older count after a later one is a repeat, too. Redis refuses it, unless it has lost the later one: then it
    may be read from Kubernetes again, and which counts are folded is decided anew.
    """
    carried: dict[tuple[str, Key], Request] = {}
    newest: dict[tuple[str, str], tuple[int, Request]] = {}
    for request in record.requests:
        found.ambiguous += bool(request.lines) and _is_ambiguous(request, record)
        for line in request.lines:
            key = key_of(line)
            if key is None:
                continue
            before = carried.get((request.token, key))
            if before is not None:
                found.repeated += 1
                if not _is_ambiguous(before, record):
                    found.unexplained_repeats.append(
                        f"{line!r} by {before.owner} ({before.began_s:.2f} to {before.ended_s}), "
                        f"then by {request.owner} at {request.began_s:.2f}"
                    )
            what, count = key
            later, by = newest.get((request.token, what), (0, request))
            if before is None and count < later:
                found.repeated += 1
                if not _is_forgotten(by, record):
                    found.unexplained_repeats.append(f"{line!r} at {request.began_s:.2f}, ×{later} at {by.began_s:.2f}")
            if count > later:
                newest[request.token, what] = count, request
            carried[request.token, key] = request


def _is_forgotten(request: Request, record: Record) -> bool:
    """Whether Redis may have lost that it ever took what `request` carried."""
    return any(
        (request.ended_s is None or request.ended_s >= lag.from_s)
        and (lag.to_s is None or request.began_s <= lag.to_s + RECOVERY_S)
        for lag in _lags(record)
    )


def _lags(record: Record) -> list[Disturbance]:
    return [each for each in record.disturbances if each.kind == LAGGED]


def _is_ambiguous(request: Request, record: Record) -> bool:
    """Whether its sender cannot know that it took effect, or was kept from writing that down."""
    if not request.answered or request.ended_s is None:
        return True
    return _disturbed(record, request.owner, request.began_s, request.ended_s + SETTLE_S)


def _disturbed(record: Record, owner: str, from_s: float, to_s: float) -> bool:
    return any(
        each.owner in ("", owner) and each.from_s <= to_s and (each.to_s is None or each.to_s + RECOVERY_S >= from_s)
        for each in record.disturbances
    )


def _check_order(record: Record, found: Findings) -> None:
    said = {each.key: each for each in record.said}
    for token, lines in record.logs.items():
        latest: dict[str, Said] = {}
        newest: dict[str, int] = {}
        seen: set[Key] = set()
        for line in lines:
            key = key_of(line)
            if key is None or key in seen:
                continue
            seen.add(key)
            told = said.get(key)
            if told is None or told.token != token:
                found.foreign.append(line)
                continue
            if told.count < newest.get(told.what, 0):
                continue  # a repeat
            newest[told.what] = told.count
            if told.what.startswith("deleted"):
                continue  # pods and events are separate watches: a last event may come after the end
            before = latest.get(told.pod)
            # An event may have been written before its pod; it is told after it all the same.
            late = told.what.startswith("created")
            if before is not None and (
                late or (not before.what.startswith("created") and told.version < before.version)
            ):
                told_after = f"{told.what} ×{told.count} after {before.what} ×{before.count} ({told.pod})"
                _told_late(record, found, token, key).append(told_after)
            if before is None or late or told.version > before.version or before.what.startswith("created"):
                latest[told.pod] = told


def _told_late(record: Record, found: Findings, token: str, key: Key) -> list[str]:
    """Where it belongs that `key` was told behind something newer."""
    lags = _lags_before(record, token, key)
    if any(_changed_hands(record, lag) for lag in lags):
        return found.after_lag
    forgotten = sum(record.reasons.values()) - sum(record.drops.values())
    return found.after_drop if lags and len(found.after_drop) < forgotten else found.disordered


def _lags_before(record: Record, token: str, key: Key) -> list[Disturbance]:
    """The lags that what `key` tells was told after for the first time: Redis may have lost what was known of it."""
    told_s = min((each.began_s for each in record.requests if each.token == token and _carries(each, key)), default=inf)
    return [lag for lag in _lags(record) if told_s >= lag.from_s]


def _carries(request: Request, key: Key) -> bool:
    return any(key_of(line) == key for line in request.lines)


def _changed_hands(record: Record, lag: Disturbance) -> bool:
    """Whether somebody else may have come to read what was read until then, shortly before the end of `lag`."""
    return any(
        each.kind != LAGGED
        and (each.owner in record.watchers or (not each.owner and _lasted_s(each) >= WATCHER_LEASE_S))
        and (lag.to_s is None or each.from_s <= lag.to_s)
        and (each.to_s is None or each.to_s + CHANGES_HANDS_S >= lag.from_s)
        for each in record.disturbances
    )


def _lasted_s(each: Disturbance) -> float:
    return inf if each.to_s is None else each.to_s - each.from_s


def _check_flights(record: Record, found: Findings) -> None:
    by_token: defaultdict[str, list[Request]] = defaultdict(list)
    for request in record.requests:
        by_token[request.token].append(request)
    for requests in by_token.values():
        for one, other in _overlaps(requests):
            lost_its_lease = one.owner != other.owner and _disturbed(
                record, one.owner, one.began_s - LEASE_S, other.began_s
            )
            if not lost_its_lease:
                found.in_flight.append(f"{one.owner} since {one.began_s:.2f}, {other.owner} at {other.began_s:.2f}")


def _overlaps(requests: Sequence[Request]) -> Iterator[tuple[Request, Request]]:
    """Pairs of which the second began while the first was under way."""
    ordered = sorted(requests, key=lambda each: each.began_s)
    for index, one in enumerate(ordered):
        for other in ordered[index + 1 :]:
            if one.ended_s is not None and other.began_s >= one.ended_s:
                break
            yield one, other
