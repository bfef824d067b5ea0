"""What became of one world, and of many: the figures and the table. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from statistics import median
from typing import Final

import msgspec

from tests.faults.neighbours import are_late, p99, unjudged
from tests.faults.plan import Kind

__all__ = ["CAMPAIGN", "Outcome", "before", "beside", "failures", "table"]


CAMPAIGN: Final = 1_000
"""Of so many schedules enough measure how the others fare."""


class Outcome(msgspec.Struct, frozen=True):
    """One schedule."""

    seed: int
    faults: dict[str, int]
    failures: list[str]
    told: int
    """Events, comings and goings that Kubernetes told of."""
    lines: int
    lost: int
    repeated: int
    ambiguous: int
    disordered: int
    unseen: int
    drops: dict[str, int]
    unread: int = 0
    told_late: int = 0
    """Behind something newer, but Redis had lost what was known of it."""
    dropped: int = 0
    """Never told, but counted as dropped for their agent."""
    expired: int = 0
    """Never told, but each expired and counted, when no watcher could know its pod."""
    lost_to_flush: int = 0
    repeated_by_flush: int = 0
    before_ms: list[int] = []
    """How long the lines of others took before one workspace hung."""
    beside_ms: list[int] = []
    """And while it did."""
    beside_left_out: int = 0
    """Of both, lines that the machine held up."""
    story: list[str] = []
    """Only of a failure: the shortest schedule that still fails, and what the programs said."""


def before(outcomes: Sequence[Outcome]) -> list[float]:
    """Seconds that the lines of others took before one workspace hung."""
    return [each_ms / 1_000 for each in outcomes for each_ms in each.before_ms]


def beside(outcomes: Sequence[Outcome]) -> list[float]:
    """Seconds that the lines of others took while one workspace hung."""
    return [each_ms / 1_000 for each in outcomes for each_ms in each.beside_ms]


def failures(outcomes: Sequence[Outcome]) -> list[str]:
    """Every promise that was broken: of each schedule, and of all together."""
    found = [f"seed {each.seed}: {failure}" for each in outcomes for failure in each.failures]
    before_s, others_s = before(outcomes), beside(outcomes)
    left_out = sum(each.beside_left_out for each in outcomes)
    if len(outcomes) >= CAMPAIGN and (why := unjudged(before_s, others_s, left_out)):
        found.append(f"whether one hanging workspace delays others was not judged: {why}")
    if are_late(before_s, others_s, left_out):
        worst = max(outcomes, key=lambda each: max(each.beside_ms, default=0))
        found.append(
            f"not isolated: p99 of the others' lines is {p99(others_s):.2f} s while one workspace hangs, "
            f"{p99(before_s):.2f} s before; the slowest is of seed {worst.seed}"
        )
    return found


def table(outcomes: Sequence[Outcome]) -> str:
    """The sum of a run, as Markdown."""
    faults: Counter[str] = Counter()
    drops: Counter[str] = Counter()
    for each in outcomes:
        faults.update(each.faults)
        drops.update(each.drops)
    left_out = sum(each.beside_left_out for each in outcomes)
    rows: list[tuple[str, int]] = [
        ("schedules", len(outcomes)),
        ("faults injected", faults.total()),
        ("things to tell (events, comings, goings)", sum(each.told for each in outcomes)),
        ("lines in Coder", sum(each.lines for each in outcomes)),
        ("lost", sum(each.lost for each in outcomes)),
        ("out of order", sum(each.disordered for each in outcomes)),
        ("… but where Redis had lost what was told (FLUSHALL, a lag)", sum(each.told_late for each in outcomes)),
        ("repeated", sum(each.repeated for each in outcomes)),
        ("ambiguous requests", sum(each.ambiguous for each in outcomes)),
        ("come and gone unseen (410 meanwhile)", sum(each.unseen for each in outcomes)),
        ("gone before their Secret was read", sum(each.unread for each in outcomes)),
        ("not told, but counted as dropped", sum(each.dropped for each in outcomes)),
        (
            "events not told, but counted as expired: nobody could know their pod",
            sum(each.expired for each in outcomes),
        ),
        ("lost to FLUSHALL, for they waited", sum(each.lost_to_flush for each in outcomes)),
        ("repeated by FLUSHALL", sum(each.repeated_by_flush for each in outcomes)),
        ("lines of others before one workspace hung", len(before(outcomes))),
        ("… their p50, ms", int(1_000 * median(before(outcomes) or [0]))),
        ("… their p99, ms", int(1_000 * p99(before(outcomes)))),
        ("lines of others while it hung", len(beside(outcomes))),
        ("… their p50, ms", int(1_000 * median(beside(outcomes) or [0]))),
        ("… their p99, ms", int(1_000 * p99(beside(outcomes)))),
        ("of both left out, for the machine stood still", left_out),
        ("schedules that broke a promise", sum(bool(each.failures) for each in outcomes)),
    ]
    lines = ["| | |", "|---|---|", *(f"| {name} | {count:,} |" for name, count in rows)]
    isolation = unjudged(before(outcomes), beside(outcomes), left_out) or "judged"
    lines.append(f"| whether one that hangs delays the others | {isolation} |")
    lines += ["", "| dropped, with its reason | records |", "|---|---|"]
    lines += [f"| `{name}` | {count:,} |" for name, count in sorted(drops.items())]
    lines += ["", "| fault | times |", "|---|---|"]
    lines += [f"| {kind} | {faults[kind]:,} |" for kind in Kind]
    return "\n".join(lines)
