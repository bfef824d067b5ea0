"""What became of every write: its line's latency, or folded, lost, repeated. Pure; from the two doubles' own records.

Latency is the API double's write to the effect of the Coder double's request, both by one machine's clock, the Coder
double's artificial delay included. A write of an event is folded if it has no line, but a later write of the event has.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final

import msgspec

from console.doubles.coder_control import AgentView
from console.doubles.kube_control import Write

__all__ = ["Tally", "marks_in", "median", "newest_marks", "percentile", "tally"]

_MARK: Final = re.compile(r"\[(\S+#\d+)\]|Created pod: (\S+)")
_NS_PER_MS: Final = 1_000_000
_NEVER_NS: Final = 1 << 63


class Tally(msgspec.Struct, frozen=True):
    """The end of one run."""

    latencies_ms: list[float]
    """Of events' lines only, in order of size; a pod's own line has none that is comparable."""
    waits_ms: list[float]
    """The same, and of folded events until the first line of a later count, in order of size."""
    events: int
    """Writes of events, delivered or not."""
    folded: int
    """Writes of events of which only a later count came to Coder."""
    lost: int
    """Writes of events and new pods that never came to Coder, nor any later count."""
    repeated: int
    """Lines that came once more than they should."""
    writing_s: float
    """First to last write."""
    span_s: float
    """First write to last receipt; infinite if nothing came."""


def tally(writes: Iterable[Write], agents: Iterable[AgentView], only: Collection[str]) -> Tally:
    """Match writes with lines. Only those of the workspaces named in `only` count."""
    written_ns = _written(writes, only)
    received = Counter[str]()
    first_received_ns: dict[str, int] = {}
    for agent in agents:
        for line in agent.logs:
            for mark in marks_in(line.output):
                received[mark] += 1
                first_received_ns.setdefault(mark, line.received_unix_ns)
    came = {mark: first_received_ns[mark] - ns for mark, ns in written_ns.items() if mark in first_received_ns}
    events = [mark for mark in written_ns if "#" in mark]
    shown_ns = _shown(written_ns, first_received_ns)
    first_ns = min(written_ns.values(), default=0)
    last_ns = max((first_received_ns[mark] for mark in came), default=0)
    return Tally(
        latencies_ms=sorted(came[mark] / _NS_PER_MS for mark in events if mark in came),
        waits_ms=sorted((ns - written_ns[mark]) / _NS_PER_MS for mark, ns in shown_ns.items()),
        events=len(events),
        folded=len(shown_ns.keys() - came.keys()),
        lost=len(written_ns.keys() - came.keys() - shown_ns.keys()),
        repeated=sum(received[mark] - 1 for mark in came),
        writing_s=(max(written_ns.values(), default=0) - first_ns) / 1e9,
        span_s=(last_ns - first_ns) / 1e9 if came else math.inf,
    )


def newest_marks(writes: Iterable[Write], only: Collection[str]) -> set[str]:
    """The marks of each event's last write and of the pods, of the workspaces named in `only`."""
    newest = {mark.partition("#")[0]: mark for mark in _written(writes, only)}
    return set(newest.values())


def marks_in(output: str) -> list[str]:
    """The marks that a line carries."""
    return [event or pod for event, pod in _MARK.findall(output)]


def _shown(written_ns: dict[str, int], received_ns: Mapping[str, int]) -> dict[str, int]:
    """When it or a later count first came to Coder, of each write of an event that ever did, Unix ns."""
    shown: dict[str, int] = {}
    later: dict[str, int] = {}
    for mark in reversed(written_ns):
        event, number, _ = mark.partition("#")
        if not number:
            continue
        first_ns = min(received_ns.get(mark, _NEVER_NS), later.get(event, _NEVER_NS))
        if first_ns < _NEVER_NS:
            shown[mark] = later[event] = first_ns
    return shown


def _written(writes: Iterable[Write], only: Collection[str]) -> dict[str, int]:
    """When each mark was written, Unix ns, in order of writing."""
    earlier = Counter[str]()
    marks: dict[str, int] = {}
    for write in writes:
        if write.name.partition(".")[0] not in only:
            continue
        if write.resource == "pods" and write.kind == "ADDED":
            marks[write.name] = write.unix_ns
        elif write.resource == "events":
            marks[f"{write.name}#{earlier[write.name]}"] = write.unix_ns
            earlier[write.name] += 1
    return marks


def percentile(ordered: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` (0…1) of all do not exceed; not a number if there are none."""
    if not ordered:
        return math.nan
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def median(values: Iterable[float]) -> float:
    """The middle one, or the mean of the middle two; not a number if there are none."""
    ordered = sorted(values)
    if not ordered:
        return math.nan
    return (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2
