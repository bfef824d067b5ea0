"""Count what a demo did, from the doubles' own records: what Kubernetes said, what Coder got, and how fast. Pure.

Each fact that was played (an event's telling, an object's birth or end, what a pod's status says) should be one line
of its workspace, or be folded into the line of a later count of the same, or be hidden: which are, the shipper and this
file know from the same table. A fact of which nothing came, though it is not hidden, is lost; a line that says once
more what another has said is repeated.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Final, assert_never

from common.record import Level
from common.wording.table import Subject, Wording
from console.demo_status import OWN_MARKS, is_in_status, status_facts
from console.demo_tries import Tries
from console.doubles.coder_state import StoredLog
from console.doubles.kube_control import Delete, Put, Step, Write

__all__ = ["Fact", "Tally", "played_facts", "tally", "without_own_time"]

_HINT_MARKS: Final = ("💡", "🔧")
_OWN_MARKS: Final = ("🐳", "🗑️", *OWN_MARKS, *_HINT_MARKS)
_BORN: Final = {"pods": "🐳 Created pod: {}", "replicasets": "🐳 Queued pod from ReplicaSet: {}"}
_GONE: Final = {"pods": "🗑️ Deleted pod: {}", "replicasets": "🗑️ Deleted ReplicaSet: {}"}
_TOLD_OF: Final = ("Pod", "ReplicaSet", "Deployment", "StatefulSet", "Job", "PersistentVolumeClaim")
"""Whose Events a workspace is told, by kind."""
_MATCHED_CHARS: Final = 200  # a long message is split; its beginning is enough to know it by
_OWN_TIME: Final = re.compile(r" \((?:at|on) [^()]+ UTC\)$")
"""How a line ends that came late (shipper/text.py): sent again, it may have come in time before."""
_COUNT: Final = re.compile(r" ×(\d+)(?: over \d+[smhd])?$")
"""How a line ends, its own time left aside, from the second occurrence on."""


@dataclass(frozen=True)
class Fact:
    """Something Kubernetes said. `text` is what its line must hold."""

    text: str
    at_unix_ns: int
    """When the Kubernetes double wrote it."""
    event: str = ""
    """UID of the event, of what it is one more try, or what in a status is counted; "" if nothing is."""
    count: int = 1
    """How often the event had happened by then."""
    hidden: bool = False
    """It is to have no line."""

    def is_told_by(self, output: str) -> bool:
        if self.text.startswith(_OWN_MARKS):
            return output.startswith(self.text)
        return not output.startswith(_OWN_MARKS) and self.text in output and _shown_count(output) == self.count


@dataclass(frozen=True)
class Tally:
    """The sum of a demo."""

    facts: int
    lines: int
    """All that came, hints among them."""
    hints: int
    folded: int
    """Facts without a line of their own, whose event has one with a later count."""
    hidden: int
    """Facts that are to have no line, and have none."""
    lost: int
    repeated: int
    latency_p50_ms: float | None
    """From the write in Kubernetes until its own line was in Coder; None if nothing arrived."""
    complaints: tuple[str, ...] = ()
    """What was lost and what was repeated, a sentence each."""

    def __str__(self) -> str:
        fast = f"{self.latency_p50_ms:.0f} ms" if self.latency_p50_ms is not None else "unknown"
        unsaid = ((self.hidden, "hidden"), (self.folded, "folded into a later ×count"))
        counted = ", ".join(f"{number} {what}" for number, what in unsaid if number)
        without = f" ({counted})" if counted else ""
        hints = f" and {self.hints} of hints" if self.hints else ""
        return (
            f"{self.facts} facts in, {self.lines - self.hints} lines out{hints}{without}, latency p50 {fast}: "
            f"lost {self.lost} · repeated {self.repeated}"
        )

    @property
    def kept(self) -> bool:
        """Whether what is promised was kept."""
        return self.lost == self.repeated == 0


def played_facts(script: Sequence[Step], writes: Iterable[Write], wording: Wording) -> list[Fact]:
    """The facts in `script` that the double has written so far, in that order. `writes` may be about more."""
    written = _Writes(writes)
    told: set[tuple[str, str, int]] = set()
    tries = Tries()
    facts = []
    for step in sorted(script, key=lambda step: step.at_s):
        at_unix_ns = written.next(step.write)
        if at_unix_ns is None:
            continue
        for about, text, event, count in _facts_in(step.write, tries):
            if (about, event, count) not in told:
                told.add((about, event, count))
                hidden = _is_hidden(step.write, wording)
                facts.append(Fact(text[:_MATCHED_CHARS], at_unix_ns, event, count, hidden))
    return facts


def tally(workspaces: Iterable[tuple[Sequence[Fact], Sequence[StoredLog]]]) -> Tally:
    """The sum over workspaces, each with its facts and its lines."""
    facts = lines = hints = folded = hidden = 0
    latencies_ms: list[float] = []
    lost: list[str] = []
    repeated: list[str] = []
    for told, logs in workspaces:
        rest = list(logs)
        untold = []
        newest: dict[str, int] = {}
        for fact in told:
            line = next((line for line in rest if fact.is_told_by(line.output)), None)
            if line is None:
                untold.append(fact)
            else:
                rest.remove(line)
                newest[fact.event] = max(fact.count, newest.get(fact.event, 0))
                latencies_ms.append((line.received_unix_ns - fact.at_unix_ns) / 1e6)
        hidden += sum(fact.hidden for fact in untold)
        untold = [fact for fact in untold if not fact.hidden]
        gone = [fact.text for fact in untold if fact.event == "" or fact.count >= newest.get(fact.event, 0)]
        folded += len(untold) - len(gone)
        lost += gone
        facts += len(told)
        lines += len(logs)
        hints += sum(line.output.startswith(_HINT_MARKS) for line in logs)
        repeated += _said_again(logs, rest)
    latency_p50_ms = median(latencies_ms) if latencies_ms else None
    complaints = (*(f"lost: {text}" for text in lost), *(f"repeated: {text}" for text in repeated))
    return Tally(facts, lines, hints, folded, hidden, len(lost), len(repeated), latency_p50_ms, complaints)


def _said_again(logs: Sequence[StoredLog], unmatched: Sequence[StoredLog]) -> list[str]:
    """Those of the lines that belong to no fact which say what another line says. Of a hint the first is right."""
    texts = Counter(without_own_time(line.output) for line in logs)
    hints = {text: count for text, count in texts.items() if text.startswith(_HINT_MARKS)}
    rest = [text for text in map(without_own_time, (line.output for line in unmatched)) if text not in hints]
    again = [hint for hint, count in hints.items() for _ in range(count - 1)]
    return [text for text in rest if texts[text] > 1] + again


def without_own_time(output: str) -> str:
    """A line as it would have been in time."""
    return _OWN_TIME.sub("", output)


def _shown_count(output: str) -> int:
    shown = _COUNT.search(without_own_time(output))
    return int(shown[1]) if shown else 1


def _facts_in(write: Put | Delete, tries: Tries) -> Iterator[tuple[str, str, str, int]]:
    """What it is about, the text, and what is counted with its count."""
    match write:
        case Put("events", event):
            if event["involvedObject"]["kind"] in _TOLD_OF and not is_in_status(event):
                said = tries.count(event, _count(event))
                yield "", *(said or (event["message"], event["metadata"]["uid"], _count(event)))
        case Put(resource, value) if resource in _BORN:
            yield f"born {value['metadata']['uid']}", _BORN[resource].format(value["metadata"]["name"]), "", 1
            if resource == "pods":
                yield from (("", text, counted, count) for counted, text, count in status_facts(value))
        case Delete(resource, name, namespace) if resource in _GONE:
            yield f"gone {namespace}/{name}", _GONE[resource].format(name), "", 1


def _is_hidden(write: Put | Delete, wording: Wording) -> bool:
    match write:
        case Put("events", event):
            subject = Subject(
                reason=event.get("reason") or "",
                message=event["message"],
                level=Level.WARN if event.get("type") == "Warning" else Level.DEBUG,
                kind=event["involvedObject"]["kind"],
                component=event.get("reportingComponent") or (event.get("source") or {}).get("component") or "",
            )
            return not wording.of(subject).shown
    return False


def _count(event: dict[str, Any]) -> int:
    return int((event.get("series") or {}).get("count") or event.get("count") or 1)


class _Writes:
    """Finds the write that a step made: the next one of the same object."""

    def __init__(self, writes: Iterable[Write]) -> None:
        self._by_object: defaultdict[tuple[str, str, str, bool], deque[int]] = defaultdict(deque)
        for write in writes:
            key = (write.resource, write.namespace, write.name, write.kind == "DELETED")
            self._by_object[key].append(write.unix_ns)

    def next(self, write: Put | Delete) -> int | None:
        times = self._by_object[_object_of(write)]
        return times.popleft() if times else None


def _object_of(write: Put | Delete) -> tuple[str, str, str, bool]:
    match write:
        case Put(resource, value):
            return resource, value["metadata"].get("namespace", ""), value["metadata"]["name"], False
        case Delete(resource, name, namespace):
            return resource, namespace, name, True
        case _:
            assert_never(write)
