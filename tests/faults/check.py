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

from tests.faults.coder import Request
from tests.faults.excuses import (
    changed_hands,
    disturbed,
    is_ambiguous,
    is_forgotten,
    is_met_anew,
    is_unread,
    is_unseen,
    lags,
    someone_came,
    was_last_word,
    was_missed,
    was_under_way,
)  # fmt: skip
from tests.faults.record import Disturbance, Findings, Key, Record, Said

__all__ = ["check", "key_of", "without_reason"]

LEASE_S: Final = 4.0
_TELLS: Final = re.compile(r"🐳 Created pod: (?P<created>\S+)|🗑️ Deleted pod: (?P<deleted>\S+)|\b(?P<event>w\d+e\d+) ")
_COUNT: Final = re.compile(r"×(\d+)")


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
    waited = sum((Counter(flush.waiting) for flush in record.flushes), Counter[str]())
    unknown = record.verdicts.get("unknown_agent", 0)
    for what, said in newest.items():
        if told.get(what, 0) >= said.count:
            continue
        # What excuses just this comes first: a drop may be of something else.
        if _is_gone(record, said) and _is_excused(record, said, told, found):
            continue
        if any(said.at_s <= flush.at_s for flush in record.flushes) and waited[said.token] > 0:
            waited[said.token] -= 1
            found.lost_to_flush += 1
        elif drops[said.token] > 0:
            drops[said.token] -= 1
            found.dropped += 1
        elif was_under_way(record, said):
            found.lost_to_flush += 1
        elif unknown > 0 and was_last_word(record, said):
            unknown -= 1
            found.lost_to_flush += 1
        else:
            found.lost.append(f"{what} ×{said.count} of {said.pod}")


def _is_gone(record: Record, said: Said) -> bool:
    return said.pod not in record.pods or record.pods[said.pod].went_s is not None


def _is_excused(record: Record, said: Said, told: Mapping[str, int], found: Findings) -> bool:
    """Whether `said`, of a pod that is gone, could not be told; if so it is counted."""
    if said.what in record.expired and was_missed(record, said):
        found.expired += 1
    elif not said.what.startswith("w") and is_unseen(record, said, told):
        found.unseen += 1
    elif is_unread(record, said, told):
        found.unread += 1
    else:
        return False
    return True


def _check_reasons(record: Record, found: Findings) -> None:
    dropped, late = sum(record.drops.values()), sum(record.late.values())
    found.unreasoned.extend(without_reason(dropped, late, record.reasons, record.verdicts))
    expired = record.verdicts.get("parked_expired", 0)
    if len(record.expired) > expired:
        found.unreasoned.append(f"{len(record.expired) - expired} of {len(record.expired)} events without their pod")


def without_reason(dropped: int, late: int, reasons: Mapping[str, int], verdicts: Mapping[str, int]) -> list[str]:
    """What Redis counts and no metric does. A shipper counts before it settles, so the metrics may hold more."""
    found, reasoned = [], sum(reasons.values())
    if dropped > reasoned:
        found.append(f"{dropped - reasoned} of {dropped} records")
    # An append is made again if its answer got lost, and then all of it is a duplicate.
    counted = verdicts.get("ended", 0) + verdicts.get("duplicate", 0)
    if late > counted:
        found.append(f"{late - counted} of {late} records of agents that had ended")
    return found


def _check_repeats(record: Record, found: Findings) -> None:
    """An older count after a later one is a repeat, too. Redis refuses it, unless it has lost the later one: then it
    may be read from Kubernetes again, and which counts are folded is decided anew.
    """
    carried: dict[tuple[str, Key], Request] = {}
    newest: dict[tuple[str, str], tuple[int, Request]] = {}
    for request in record.requests:
        found.ambiguous += bool(request.lines) and is_ambiguous(request, record)
        for line in request.lines:
            key = key_of(line)
            if key is None:
                continue
            before = carried.get((request.token, key))
            what, count = key
            later, by = newest.get((request.token, what), (0, request))
            if before is not None:
                _note_repeat(record, found, line, before, request, explained=is_ambiguous(before, record))
            elif count < later:
                _note_repeat(record, found, f"{line} after ×{later}", by, request, explained=is_forgotten(by, record))
            if count > later:
                newest[request.token, what] = count, request
            carried[request.token, key] = request


def _note_repeat(
    record: Record, found: Findings, line: str, before: Request, again: Request, *, explained: bool
) -> None:
    """`again` carries once more what `before` did, or less."""
    found.repeated += 1
    if explained:
        return
    if is_met_anew(before, again, record):
        found.repeated_by_flush += 1
        return
    found.unexplained_repeats.append(
        f"{line!r} by {before.owner} ({before.began_s:.2f} to {before.ended_s}), "
        f"then by {again.owner} at {again.began_s:.2f}"
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
    if any(changed_hands(record, lag) for lag in lags):
        return found.after_lag
    told_s = _first_told_s(record, token, key)
    if any(flush.at_s <= told_s and someone_came(record, flush, told_s) for flush in record.flushes):
        return found.after_flush
    forgotten = sum(record.reasons.values()) - sum(record.drops.values())
    return found.after_drop if lags and len(found.after_drop) < forgotten else found.disordered


def _lags_before(record: Record, token: str, key: Key) -> list[Disturbance]:
    """The lags that what `key` tells was told after for the first time: Redis may have lost what was known of it."""
    told_s = _first_told_s(record, token, key)
    return [lag for lag in lags(record) if told_s >= lag.from_s]


def _first_told_s(record: Record, token: str, key: Key) -> float:
    return min((each.began_s for each in record.requests if each.token == token and _carries(each, key)), default=inf)


def _carries(request: Request, key: Key) -> bool:
    return any(key_of(line) == key for line in request.lines)


def _check_flights(record: Record, found: Findings) -> None:
    by_token: defaultdict[str, list[Request]] = defaultdict(list)
    for request in record.requests:
        by_token[request.token].append(request)
    for requests in by_token.values():
        for one, other in _overlaps(requests):
            lost_its_lease = one.owner != other.owner and disturbed(
                record, one.owner, one.began_s - LEASE_S, other.began_s
            )
            lost_to_flush = any(one.began_s <= flush.at_s <= other.began_s for flush in record.flushes)
            if not lost_its_lease and not lost_to_flush:
                found.in_flight.append(f"{one.owner} since {one.began_s:.2f}, {other.owner} at {other.began_s:.2f}")


def _overlaps(requests: Sequence[Request]) -> Iterator[tuple[Request, Request]]:
    """Pairs of which the second began while the first was under way."""
    ordered = sorted(requests, key=lambda each: each.began_s)
    for index, one in enumerate(ordered):
        for other in ordered[index + 1 :]:
            if one.ended_s is not None and other.began_s >= one.ended_s:
                break
            yield one, other
