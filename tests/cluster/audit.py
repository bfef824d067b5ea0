"""Compare what Kubernetes said of a fleet with what its agents' logs hold. Pure; shares only a table with the product,
and with the demo's judge how tries to make a pod are counted.

A «telling» is one thing to be told to one agent: an Event with one of its counts, or that a pod or ReplicaSet came or
went. A count is told, too, if a later count of the same Event was: repeats may be folded. An Event that the table of
wordings hides is none, nor is one that the status of its pod tells; a line that tells it all the same is unexplained.
Events of tries to make a pod, which differ in the name that it would have had, are counts of one Event.

Of the statuses the audit reads, with eyes of its own, what the fleet's pods have in theirs: a crash, which stays there
and must be told, and what may be over before anybody reads it: an end with the pod, a pause, the wait for a node, and
that the pod is ready for the first time.
"""

import re
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final

import msgspec

from common.record import Level
from common.wording.read import shipped_wording
from common.wording.table import Subject
from console.demo_tries import Tries
from tests.cluster.objects import Object
from tests.cluster.recorder import Row

DEPLOYMENT: Final = "Deployment"
CAME: Final = {"Pod": "🐳 Created pod: {}", "ReplicaSet": "🐳 Queued pod from ReplicaSet: {}"}
WENT: Final = {"Pod": "🗑️ Deleted pod: {}", "ReplicaSet": "🗑️ Deleted ReplicaSet: {}"}
WORDING: Final = shipped_wording()
STATUS_MARKS: Final = ("💥", "🏁", "⏳", "⏱️")
TOLD_BY_STATUS: Final = frozenset((("FailedScheduling", "default-scheduler"), ("BackOff", "kubelet")))
HINTS: Final = ("💡", "🔧")
"""Begin lines of advice, which tell nothing of their own."""
_Key = tuple[str, str, int]
"""Level, message and count: what a line shows of a telling."""


class Telling(msgspec.Struct, frozen=True):
    token: str
    """Of the agent that it is for."""
    object_uid: str
    event_uid: str
    """Empty for a coming or a going; of tries what all of them say."""
    order: int
    """Resource version of an Event, 0 for a coming: among the tellings about one object. -1: it has no order."""
    count: int
    level: str
    message: str
    at_ns: int
    """When the recorder read it (Unix)."""
    passed_ns: int | None = None
    """When it was over, if it ever was: a watcher that could not read by then does not tell it."""


class Received(msgspec.Struct, frozen=True):
    """A line in an agent's log, and when Coder took it (Unix)."""

    level: str
    text: str
    at_ns: int


class Repeat(msgspec.Struct, frozen=True):
    token: str
    line: Received
    shows: _Key
    taken_at_ns: tuple[int, ...]
    """When Coder took a line that shows the same before: at least once for each pod of which it was told."""


class Findings(msgspec.Struct, frozen=True):
    tellings: int
    lines: int
    folded: int
    """Counts that only a later count tells."""
    lost: list[Telling]
    repeated: list[Repeat]
    unexplained: list[Received]
    """Nothing that happened to the agent's own objects reads like this line, at this level."""
    disordered: list[Telling]
    """Told after something later about the same object."""
    passed: list[Telling]
    """Not told, and over by now."""
    latencies_ms: list[float]
    """From the recorder's reading to Coder's receipt, of what is never held: an Event's first two counts."""

    def latency_ms(self, share: float) -> float:
        ordered = sorted(self.latencies_ms)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def tellings_of(rows: Sequence[Row], owner_of: Callable[[Object], str]) -> list[Telling]:
    """All there is to tell. `owner_of`: the token of a pod or ReplicaSet, "" if it is not of the fleet."""
    objects = [row for row in rows if row.object["kind"] in CAME and owner_of(row.object)]
    owners = {row.object["metadata"]["uid"]: owner_of(row.object) for row in objects}

    def hearer_of(about: Object) -> str:
        if about.get("kind") == DEPLOYMENT:  # its Events are told to those who stand beside it
            return owner_of({"metadata": {"namespace": about["namespace"], "labels": {"app": about["name"]}}})
        return owners.get(about.get("uid", ""), "")

    return [*_lives(objects, owner_of), *_events(rows, hearer_of), *_statuses(objects, owner_of)]


def _lives(rows: Sequence[Row], owner_of: Callable[[Object], str]) -> Iterator[Telling]:
    failed = set()
    for row in rows:
        meta, kind = row.object["metadata"], row.object["kind"]
        if row.object["status"].get("phase") == "Failed" and "deletionTimestamp" not in meta:
            failed.add(meta["uid"])
        came = row.type == "ADDED"
        if came or row.type == "DELETED":
            yield Telling(
                token=owner_of(row.object),
                object_uid=meta["uid"],
                event_uid="",
                order=0 if came else -1,
                count=1,
                level="error" if not came and meta["uid"] in failed else "debug",
                message=(CAME if came else WENT)[kind].format(meta["name"]),
                at_ns=row.at_ns,
            )


def _events(rows: Sequence[Row], hearer_of: Callable[[Object], str]) -> Iterator[Telling]:
    seen = set()
    tries = Tries()
    for row in rows:
        event = row.object
        if event["kind"] != "Event" or row.type == "DELETED" or not (token := hearer_of(event["involvedObject"])):
            continue
        count = (event.get("series") or {}).get("count") or event.get("count") or 1
        uid = event["metadata"]["uid"]
        if (uid, count) not in seen and not _is_told_by_status(event) and not _is_hidden(event):
            seen.add((uid, count))
            message, uid, count = tries.count(event, count) or (event["message"], uid, count)
            yield Telling(
                token=token,
                object_uid=event["involvedObject"]["uid"],
                event_uid=uid,
                order=int(event["metadata"]["resourceVersion"]),
                count=count,
                level="warn" if event["type"] == "Warning" else "debug",
                message=message,
                at_ns=row.at_ns,
            )


def _statuses(rows: Sequence[Row], owner_of: Callable[[Object], str]) -> Iterator[Telling]:
    pods: defaultdict[str, list[Row]] = defaultdict(list)
    for row in rows:
        if row.object["kind"] == "Pod":
            pods[row.object["metadata"]["uid"]].append(row)
    for uid, seen in pods.items():
        shown = [{} if row.type == "DELETED" else dict(_said_by(row.object)) for row in seen]
        begun = {about: number for number in reversed(range(len(seen))) for about in shown[number]}
        for about, number in sorted(begun.items(), key=lambda each: each[1]):
            level, message, passes = shown[number][about]
            over = (row.at_ns for row, says in zip(seen[number:], shown[number:], strict=True) if about not in says)
            yield Telling(
                token=owner_of(seen[0].object),
                object_uid=uid,
                event_uid="",
                order=-1,
                count=1,
                level=level,
                message=message,
                at_ns=seen[number].at_ns,
                passed_ns=next(over, None) if passes else None,
            )


def _said_by(pod: Object) -> Iterator[tuple[tuple[str, ...], tuple[str, str, bool]]]:
    """What is told once, and how: level, beginning of the line, and whether it may pass unread."""
    for condition in pod["status"].get("conditions", ()):
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            yield ("node", condition.get("message", "")), ("warn", "⏳ No node for the pod yet", True)
        if condition["type"] == "Ready" and condition["status"] == "True":
            yield ("start",), ("debug", "⏱️ Pod started in", True)
    for shown in pod["status"].get("containerStatuses", ()):
        name = shown["name"]
        if "waiting" in shown["state"] and shown["state"]["waiting"].get("reason") == "CrashLoopBackOff":
            yield ("pause", str(shown["restartCount"])), ("warn", f"⏳ Container {name} ended too soon", True)
        for ended in (shown.get("lastState", {}).get("terminated"), shown["state"].get("terminated")):
            if ended is not None and ended["exitCode"] == 1:
                yield (ended["containerID"],), ("error", f"💥 Container {name} ended with exit code 1", False)
            elif ended is not None:
                yield (ended["containerID"],), ("debug", f"🏁 Container {name} ended with the pod", True)


def _is_told_by_status(event: Object) -> bool:
    about_pod = event["involvedObject"]["kind"] == "Pod"
    return about_pod and (event["reason"], _component(event)) in TOLD_BY_STATUS


def _component(event: Object) -> str:
    return event.get("reportingComponent") or (event.get("source") or {}).get("component") or ""


def _is_hidden(event: Object) -> bool:
    level = Level.WARN if event["type"] == "Warning" else Level.DEBUG
    kind = event["involvedObject"]["kind"]
    return not WORDING.of(Subject(event["reason"], event["message"], level, kind, _component(event))).shown


def compare(tellings: Iterable[Telling], logs: Mapping[str, Sequence[Received]]) -> Findings:
    """`logs`: each agent's lines in their order, by token."""
    due: defaultdict[str, list[Telling]] = defaultdict(list)
    for telling in tellings:
        due[telling.token].append(telling)
    found = Findings(
        tellings=sum(map(len, due.values())),
        lines=sum(map(len, logs.values())),
        folded=0, lost=[], repeated=[], unexplained=[], disordered=[], passed=[], latencies_ms=[],
    )  # fmt: skip
    folded = 0
    for token in due.keys() | logs.keys():
        folded += _compare_agent(token, due[token], logs.get(token, ()), found)
    return msgspec.structs.replace(found, folded=folded)


def _compare_agent(token: str, due: Sequence[Telling], lines: Sequence[Received], found: Findings) -> int:
    """Add to `found` what one agent's log shows; answers how many counts were folded."""
    reader = _Reader(due)
    told: list[tuple[Telling, Received]] = []
    taken: defaultdict[_Key, list[int]] = defaultdict(list)
    for line in lines:
        if line.text.startswith(HINTS):
            continue
        key = reader.read(line)
        waiting = reader.waiting.get(key) if key is not None else None
        if key is None or waiting is None:
            found.unexplained.append(line)
        elif waiting:
            told.append((waiting.popleft(), line))
            taken[key].append(line.at_ns)
        else:
            found.repeated.append(Repeat(token, line, key, tuple(taken[key])))
            taken[key].append(line.at_ns)
    found.latencies_ms.extend((line.at_ns - telling.at_ns) / 1e6 for telling, line in told if telling.count <= 2)
    found.disordered.extend(_disordered(telling for telling, _ in told if reader.is_certain_of(telling)))
    newest: defaultdict[str, int] = defaultdict(int)
    for telling, _ in told:
        newest[telling.event_uid] = max(newest[telling.event_uid], telling.count)
    untold = [telling for waiting in reader.waiting.values() for telling in waiting]
    found.passed.extend(each for each in untold if each.passed_ns is not None)
    missing = [each for each in untold if each.passed_ns is None]
    lost = [each for each in missing if not each.event_uid or newest[each.event_uid] < each.count]
    found.lost.extend(lost)
    return len(missing) - len(lost)


class _Reader:
    """Recognises the lines of one agent by the messages that are due to it."""

    def __init__(self, due: Iterable[Telling]) -> None:
        self.waiting: defaultdict[_Key, deque[Telling]] = defaultdict(deque)
        """Not told yet, by level, message and count. Two pods may have the same message: first come, first told."""
        for telling in sorted(due, key=lambda each: each.order):
            self.waiting[telling.level, telling.message, telling.count].append(telling)
        self.waiting.default_factory = None
        self._due = {key: len(waiting) for key, waiting in self.waiting.items()}
        longest_first = sorted({message for _, message, _ in self.waiting}, key=len, reverse=True)
        self._patterns = {message: _pattern(message) for message in longest_first}

    def is_certain_of(self, telling: Telling) -> bool:
        """Whether its line can be of no other object."""
        return self._due[telling.level, telling.message, telling.count] == 1

    def read(self, line: Received) -> _Key | None:
        for message, pattern in self._patterns.items():
            match = pattern.fullmatch(line.text)
            if match:
                return line.level, message, int(match["count"] or 1)
        return None


def _pattern(message: str) -> re.Pattern[str]:
    """The line of an Event: its message, and around it reason, repeats and the time if it comes late; that of a status
    goes on as it likes."""
    if message.startswith(STATUS_MARKS):
        return re.compile(rf"{re.escape(message)}(?P<count>(?!))?\b.*", re.DOTALL)
    return re.compile(
        rf"(?:[A-Za-z]+: )?{re.escape(message)}(?: \([^()]*\))?"
        r"(?: ×(?P<count>\d+)(?: over \d+[smhd])?)?(?: \((?:at|on) [^()]* UTC\))?"
    )


def _disordered(told: Iterable[Telling]) -> Iterator[Telling]:
    latest: dict[str, int] = {}
    for telling in told:
        if telling.order >= 0:
            if telling.order < latest.get(telling.object_uid, 0):
                yield telling
            latest[telling.object_uid] = max(telling.order, latest.get(telling.object_uid, 0))
