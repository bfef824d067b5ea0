"""The figures of one run of chaos, as the rows of docs/reliability.md. Pure."""

from collections import Counter
from collections.abc import Sequence

from tests.cluster.audit import Findings
from tests.cluster.counted import Dropped
from tests.cluster.fleet import Fleet
from tests.cluster.judge import Hit, Kind, Verdict


def table(
    fleet: Fleet, hits: Sequence[Hit], found: Findings, verdict: Verdict, redis: Dropped, leaks: Sequence[str]
) -> str:
    times = Counter((hit.role, hit.kind) for hit in hits)
    of_each = {kind: ", ".join(str(times[role, kind]) for role in ("watcher", "shipper")) for kind in Kind}
    p50_s, p99_s = found.latency_ms(0.5) / 1_000, found.latency_ms(0.99) / 1_000
    rows = [
        ("workspaces, in namespaces", f"{len(fleet.members)} in {len(fleet.namespaces)}"),
        ("kill -9 of a watcher, of a shipper", of_each[Kind.KILLED]),
        ("SIGSTOP of a watcher, of a shipper", of_each[Kind.PAUSED]),
        (
            "stopped and replaced one by one at the end: watchers, shippers, Redis",
            f"{of_each[Kind.STOPPED]}, {times['Redis', Kind.STOPPED]}",
        ),
        ("things to tell, lines in Coder", f"{found.tellings:,}, {found.lines:,}"),
        ("not told by a line of their own: counts that a later one tells", found.folded),
        ("… statuses that were over while a watcher was hit", len(found.passed) - len(verdict.unread)),
        ("… records dropped, refused, left out, too late, by Redis", _counts(redis)),
        ("lost", len(found.lost) + len(verdict.unread)),
        ("out of order", len(found.disordered)),
        ("requests that took effect", f"{verdict.requests:,}"),
        ("… whose own shipper was killed or paused before it can have settled", verdict.ambiguous),
        ("lines repeated of those", len(verdict.excused)),
        ("lines repeated of others", len(verdict.unexcused)),
        ("tokens in logs, metrics, Redis and its files", len(leaks)),
        ("from Kubernetes to Coder, p50, p99", f"{p50_s:.1f} s, {p99_s:.1f} s"),
    ]
    return "\n".join(["| | |", "|---|---|", *(f"| {name} | {count} |" for name, count in rows)])


def _counts(redis: Dropped) -> str:
    return f"{redis.dropped}, {redis.refused}, {redis.left_out}, {redis.late}"
