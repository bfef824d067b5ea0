"""What coder-logstream-kube, the Go program that this one can replace, would write into each agent's log. Pure.

It is not run: its rules, read in the source of version 0.0.15 (FACTS 3), are applied to what Kubernetes said. In doubt
they are applied in its favour: each event comes after its pod, though the watches of the two have no order, and Coder
takes each line at once. Colours (every line is wrapped in ANSI codes) are left out.

- A pod or ReplicaSet is known from its creation to its deletion, by its bare name, if a container has the token as a
  value in its environment. Pods of one name in two namespaces get each other's messages.
- An event is a line when it is created, never when it repeats. Its message is all that is said, at level debug.
- The status of a pod is never read.
- After a restart the pods that are there are known again but not told, the ReplicaSets that are there are not known,
  and what was said meanwhile is lost.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from console.demo_status import endings
from console.doubles.kube_control import Put, Step

__all__ = ["LeftOut", "Outage", "PeerLine", "left_out", "peer_logs"]

_TOKEN: Final = "CODER_AGENT_TOKEN"
_BORN: Final = {"pods": "🐳 Created pod: {}", "replicasets": "🐳 Queued pod from ReplicaSet: {}"}
_GONE: Final = {"pods": "🗑️ Deleted pod: {}", "replicasets": "🗑️ Deleted ReplicaSet: {}"}
_RESOURCES: Final = {"Pod": "pods", "ReplicaSet": "replicasets"}

_Object = dict[str, Any]


@dataclass(frozen=True)
class PeerLine:
    """A line of it, and when it would be written, in the script's time."""

    at_s: float
    level: str
    text: str


@dataclass(frozen=True)
class Outage:
    """It is killed at `from_s` and runs again from `until_s` on, in the script's time."""

    from_s: float
    until_s: float


@dataclass(frozen=True)
class LeftOut:
    """How much of what Kubernetes says has no line."""

    repeats: int
    """Repetitions of events about pods and ReplicaSets."""
    endings: int
    """Ends of containers with an exit code other than 0."""
    missed: int
    """Lines that it would have, had it not been away."""

    def __str__(self) -> str:
        counted = (
            (self.endings, "how a container ended"),
            (self.repeats, "a repeat of an event"),
            (self.missed, "a line for what happened while it was killed"),
        )
        return ", ".join(f"{what} ({number} times)" if number > 1 else what for number, what in counted if number)


def peer_logs(steps: Sequence[Step], outage: Outage | None = None) -> Mapping[str, Sequence[PeerLine]]:
    """The log of each agent token after `steps`, which are all that happens in the cluster, in order of time."""
    logs: defaultdict[str, list[PeerLine]] = defaultdict(list)
    changes = list(_changes(steps))
    if outage is None:
        _Peer(logs).hear(changes)
        return logs
    _Peer(logs).hear(change for change in changes if change.at_s < outage.from_s)
    again = _Peer(logs)
    again.meet(change for change in changes if change.at_s < outage.until_s)
    again.hear(change for change in changes if change.at_s >= outage.until_s)
    return logs


def left_out(steps: Sequence[Step], missed: int = 0) -> LeftOut:
    """What it would pass over of `steps`, which concern one agent."""
    again = [
        change
        for change in _changes(steps)
        if (change.resource, change.kind) == ("events", "MODIFIED")
        and change.value["involvedObject"]["kind"] in _RESOURCES
    ]
    pods = (step.write.object for step in steps if isinstance(step.write, Put) and step.write.resource == "pods")
    return LeftOut(len(again), len({ending for pod in pods for ending in endings(pod)}), missed)


@dataclass(frozen=True)
class _Change:
    """As a watch delivers it."""

    at_s: float
    kind: str
    resource: str
    value: _Object


def _changes(steps: Iterable[Step]) -> Iterator[_Change]:
    there: dict[tuple[str, str, str], _Object] = {}
    for step in sorted(steps, key=lambda step: step.at_s):
        write = step.write
        if isinstance(write, Put):
            key = write.resource, write.object["metadata"].get("namespace", ""), write.object["metadata"]["name"]
            kind = "MODIFIED" if key in there else "ADDED"
            there[key] = write.object
            yield _Change(step.at_s, kind, write.resource, write.object)
        else:
            gone = there.pop((write.resource, write.namespace, write.name))
            yield _Change(step.at_s, "DELETED", write.resource, gone)


class _Peer:
    """One life of it."""

    def __init__(self, logs: defaultdict[str, list[PeerLine]]) -> None:
        self._logs = logs
        self._tokens: dict[str, dict[str, list[str]]] = {"pods": {}, "replicasets": {}}
        """By resource and bare name."""

    def meet(self, earlier: Iterable[_Change]) -> None:
        """Begin with what there is after `earlier`: pods are known, without a word."""
        for change in earlier:
            if change.resource == "pods" and change.kind == "ADDED":
                self._know(change)
            elif change.resource == "pods" and change.kind == "DELETED":
                self._forget(change)

    def hear(self, changes: Iterable[_Change]) -> None:
        for change in changes:
            match change.kind, change.resource:
                case "ADDED", "events":
                    about = change.value["involvedObject"]
                    known = self._tokens.get(_RESOURCES.get(about["kind"], ""), {})
                    self._tell(change, known.get(about["name"], ()), "debug", change.value["message"])
                case "ADDED", "pods" | "replicasets":
                    self._tell(change, self._know(change), "debug", _BORN[change.resource].format(_name(change)))
                case "DELETED", "pods" | "replicasets":
                    self._tell(change, self._forget(change), "error", _GONE[change.resource].format(_name(change)))

    def _know(self, change: _Change) -> Sequence[str]:
        tokens = _tokens_in(change)
        if tokens:
            self._tokens[change.resource].setdefault(_name(change), []).extend(tokens)
        return tokens

    def _forget(self, change: _Change) -> Sequence[str]:
        return self._tokens[change.resource].pop(_name(change), [])

    def _tell(self, change: _Change, tokens: Iterable[str], level: str, text: str) -> None:
        for token in tokens:
            self._logs[token].append(PeerLine(change.at_s, level, text))


def _name(change: _Change) -> str:
    return str(change.value["metadata"]["name"])


def _tokens_in(change: _Change) -> list[str]:
    spec = change.value["spec"] if change.resource == "pods" else change.value["spec"]["template"]["spec"]
    variables = (variable for container in spec["containers"] for variable in container.get("env", ()))
    return [variable["value"] for variable in variables if variable["name"] == _TOKEN and variable.get("value")]
