"""What excuses a world's programs: why something cannot have been told, or had to be told again. Pure.

Times are compressed seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from typing import Final

from tests.faults.coder import Request
from tests.faults.record import LAGGED, Disturbance, Flush, Pod, Record, Said

__all__ = ["WATCHER_LEASE_S", "changed_hands", "disturbed", "is_ambiguous", "is_forgotten", "is_met_anew", "is_unread",
           "is_unseen", "lags", "someone_came", "was_last_word", "was_missed", "was_under_way"]  # fmt: skip

SETTLE_S: Final = 2.5
"""After an answer within which its sender has settled, if nothing keeps it from it."""
RECOVERY_S: Final = 2.5
WATCHER_LEASE_S: Final = 6.0
MISSED_WITHIN_S: Final = 20.0
"""As long an event waits for its pod."""
UNDER_WAY_S: Final = 1.0
NOTICED_S: Final = 8.0
"""A watcher looks whether Redis was emptied every five seconds."""
CHANGES_HANDS_S: Final = 18.0
"""Until what a watcher read that is killed or cut off has found its place: a lease, then its successor comes after ten
seconds at most, and takes its share."""


def is_unseen(record: Record, said: Said, told: Mapping[str, int]) -> bool:
    """Whether Kubernetes forgot the pod's history before every watcher can have read and kept it."""
    pod = record.pods[said.pod]
    forgot = any(at_s >= pod.came_s or not _was_listed(record, pod, at_s) for at_s in record.compacted_s)
    if said.what.startswith("created") or f"created {said.pod}" not in told:
        return forgot
    return forgot and any(
        each.owner in ("", *record.watchers) and (each.to_s is None or each.to_s >= pod.came_s)
        for each in record.disturbances
    )


def was_missed(record: Record, said: Said) -> bool:
    """Whether the pod may have come and gone unknown to whoever read the event: Kubernetes forgot it, or the watcher
    that knew it was no more.
    """
    pod = record.pods.get(said.pod)
    if pod is None:
        return True  # it never came
    went_s = pod.went_s if pod.went_s is not None else inf
    return any(at_s >= pod.came_s for at_s in record.compacted_s) or any(
        each.owner in ("", *record.watchers)
        and (each.to_s is None or each.to_s + CHANGES_HANDS_S >= pod.came_s)
        and each.from_s <= went_s + MISSED_WITHIN_S
        for each in record.disturbances
    )


def was_last_word(record: Record, said: Said) -> bool:
    """Whether `said` is of a pod that went before its watcher noticed that Redis was emptied: nobody knew it then."""
    pod = record.pods.get(said.pod)
    went_s = pod.went_s if pod is not None and pod.went_s is not None else inf
    return any(flush.at_s <= went_s <= flush.at_s + NOTICED_S for flush in record.flushes)


def was_under_way(record: Record, said: Said) -> bool:
    """Whether `said` was on its way into Redis when that was emptied, or nobody was left who remembered what was read:
    to those who came all that was there was history.
    """
    return any(
        (flush.at_s - UNDER_WAY_S <= said.at_s <= flush.at_s)
        or (
            said.at_s <= flush.at_s
            and any(disturbed(record, watcher, said.at_s, flush.at_s + NOTICED_S) for watcher in record.watchers)
        )
        or (bool(flush.watchers) and all(_is_gone(record, watcher, flush, said.at_s) for watcher in flush.watchers))
        for flush in record.flushes
    )


def _is_gone(record: Record, watcher: str, flush: Flush, at_s: float) -> bool:
    return disturbed(record, watcher, flush.at_s, max(flush.at_s, at_s) + CHANGES_HANDS_S)


def _was_listed(record: Record, pod: Pod, forgot_s: float) -> bool:
    """Whether watchers read the pod's namespace anew after `forgot_s` and before its end, and kept what they read."""
    went_s = pod.went_s if pod.went_s is not None else inf
    return any(
        each.namespace in ("", pod.namespace)
        and forgot_s <= each.at_s <= went_s
        and not any(disturbed(record, watcher, each.at_s, went_s) for watcher in record.watchers)
        for each in record.listed
    )


def is_unread(record: Record, said: Said, told: Mapping[str, int]) -> bool:
    """Whether the pod went before its Secret was read: nothing of it can be told to anybody."""
    pod = record.pods.get(said.pod)
    about = {each.what for each in record.said if each.pod == said.pod}
    return pod is not None and pod.by_secret and not about & told.keys()


def is_met_anew(before: Request, again: Request, record: Record) -> bool:
    """Whether Redis was emptied in between, and a watcher that had not read what `before` carried met its objects."""
    return any(
        before.began_s <= flush.at_s <= again.began_s and someone_came(record, flush, again.began_s)
        for flush in record.flushes
    )


def someone_came(record: Record, flush: Flush, by_s: float) -> bool:
    """Whether a watcher may have come to read what another one read about when `flush` took what was known of it, or
    one listed all anew just then, as Kubernetes had forgotten where it was.
    """
    return any(disturbed(record, watcher, flush.at_s - WATCHER_LEASE_S, by_s) for watcher in record.watchers) or any(
        flush.at_s - RECOVERY_S <= at_s <= flush.at_s + NOTICED_S for at_s in record.compacted_s
    )


def is_forgotten(request: Request, record: Record) -> bool:
    """Whether Redis may have lost that it ever took what `request` carried."""
    return any(
        (request.ended_s is None or request.ended_s >= lag.from_s)
        and (lag.to_s is None or request.began_s <= lag.to_s + RECOVERY_S)
        for lag in lags(record)
    )


def lags(record: Record) -> list[Disturbance]:
    return [each for each in record.disturbances if each.kind == LAGGED]


def is_ambiguous(request: Request, record: Record) -> bool:
    """Whether its sender cannot know that it took effect, or was kept from writing that down."""
    if not request.answered or request.ended_s is None:
        return True
    return disturbed(record, request.owner, request.began_s, request.ended_s + SETTLE_S)


def disturbed(record: Record, owner: str, from_s: float, to_s: float) -> bool:
    return any(
        each.owner in ("", owner) and each.from_s <= to_s and (each.to_s is None or each.to_s + RECOVERY_S >= from_s)
        for each in record.disturbances
    )


def changed_hands(record: Record, lag: Disturbance) -> bool:
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
