"""How soon lines come of workspaces whose own path is in order, before and while Coder does not answer for another.

Pure. Measured from the write in Kubernetes until Coder has the line, by the machine's clock, not by the programs' fast
one. What falls into a moment in which the machine stood still is left out, and a machine that is slow throughout is
slow before, too: the two are compared.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from math import ceil, inf
from typing import Final

from tests.faults.check import key_of
from tests.faults.coder import Request
from tests.faults.compressed import FACTOR
from tests.faults.plan import HANGS_FROM_S, Plan
from tests.faults.record import Disturbance, Pod, Said

__all__ = ["BEFORE_S", "BESIDE_S", "are_late", "latencies_s", "others_ms", "p99", "unjudged"]

LIMIT_S: Final = 1.0
"""What the others' p99 has to stay under."""
SLOWER_MAX: Final = 2.0
"""So many times the p99 of before may be due to the machine."""
LINES_MIN: Final = 40
"""Of fewer lines a p99 says nothing."""
LEFT_OUT_MAX: Final = 0.5
"""If more of all lines were held up by the machine, the others were, too, without showing it."""
BEFORE_S: Final = (4.0, HANGS_FROM_S - 2.0)
"""When the lines of others are timed: all have begun, and none is under way when the one hangs."""
BESIDE_S: Final = (HANGS_FROM_S, HANGS_FROM_S + 10.0)
ENDLESS_MS: Final = 1_000_000
RECOVERY_S: Final = 1.0
"""After the machine stood still, until what waited meanwhile is done; compressed, as all times of a world."""


def latencies_s(
    said: Sequence[Said],
    pods: Mapping[str, Pod],
    requests: Sequence[Request],
    *,
    of: Collection[str],
    from_s: float,
    to_s: float,
    stalls: Sequence[Disturbance],
    came_by_s: float = inf,
) -> tuple[list[float], int]:
    """Of each event that was first written between `from_s` and `to_s` about a pod of the tokens `of`; and how many
    were left out for `stalls` of the machine. A line that never came counts as endless,
    one that came after `came_by_s` not at all.
    """
    arrived: dict[tuple[str, int], float] = {}
    for request in requests:
        for key in filter(None, map(key_of, request.lines)):
            if request.took_s is not None:
                arrived.setdefault(key, request.took_s)
    measured, left_out = [], 0
    for each in said:
        pod = pods.get(each.pod)
        if each.count != 1 or each.token not in of or pod is None or each.what.startswith(("created", "deleted")):
            continue
        began_s, took_s = max(each.at_s, pod.came_s), arrived.get(each.key, inf)
        gone = pod.went_s is not None and pod.went_s < began_s
        if gone or took_s > came_by_s or not from_s <= began_s <= to_s:
            continue
        if _held_up(stalls, began_s, took_s):
            left_out += 1
        else:
            measured.append((took_s - began_s) / FACTOR)
    return measured, left_out


def others_ms(
    plan: Plan,
    said: Sequence[Said],
    pods: Mapping[str, Pod],
    requests: Sequence[Request],
    stalls: Sequence[Disturbance],
    began_s: float,
    span_s: tuple[float, float],
    came_by_s: float = inf,
) -> tuple[list[int], int]:
    """How many ms the lines of the others took, if `plan` lets one workspace hang; and how many were left out.

    `span_s` and `came_by_s` count from `began_s`, when the plan began.
    """
    if plan.hanging is None:
        return [], 0
    measured_s, left_out = latencies_s(
        said,
        pods,
        requests,
        of={
            each.token
            for index, each in enumerate(plan.workspaces)
            if index != plan.hanging and each.ready and not each.by_secret
        },
        from_s=began_s + span_s[0],
        to_s=began_s + span_s[1],
        stalls=stalls,
        came_by_s=began_s + came_by_s,
    )
    return [int(min(each_s * 1_000, ENDLESS_MS)) for each_s in measured_s], left_out


def unjudged(before_s: Sequence[float], while_s: Sequence[float], left_out: int) -> str:
    """Why nothing can be said of how the others fare, "" if something can."""
    if min(len(before_s), len(while_s)) < LINES_MIN:
        return f"fewer than {LINES_MIN} lines were timed before or meanwhile"
    if left_out > LEFT_OUT_MAX * (len(before_s) + len(while_s) + left_out):
        return "the machine stood still too often"
    return ""


def are_late(before_s: Sequence[float], while_s: Sequence[float], left_out: int) -> bool:
    """Whether the p99 reaches the limit while one hangs, and not because of the machine, as far as it lets us say."""
    return not unjudged(before_s, while_s, left_out) and p99(while_s) >= max(LIMIT_S, SLOWER_MAX * p99(before_s))


def p99(latencies_s: Sequence[float]) -> float:
    """The least that at least 99 of 100 do not exceed; 0 of none."""
    ordered = sorted(latencies_s)
    return ordered[ceil(len(ordered) * 0.99) - 1] if ordered else 0.0


def _held_up(stalls: Sequence[Disturbance], from_s: float, to_s: float) -> bool:
    return any(each.from_s <= to_s and (each.to_s is None or each.to_s + RECOVERY_S >= from_s) for each in stalls)
