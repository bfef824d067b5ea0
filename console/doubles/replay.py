"""Turn a recording into a script for the Kubernetes double: as if it happened now, to somebody else. Pure.

Times are moved to now, long pauses shortened, and the times inside the objects with them; UIDs, token, namespace and
names are renewed wherever they occur, messages included, so that owner references and events still find their objects.
"""

from __future__ import annotations

import re
import uuid
from bisect import bisect_right
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any, Final

import msgspec

from console.doubles.kube_control import Delete, Put, Step
from console.doubles.recording import Recorded, Recording

__all__ = ["PAUSE_MAX_S", "Cast", "replay"]

PAUSE_MAX_S: Final = 1.5

_TIME: Final = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z"
_UID: Final = re.compile(rb'"uid":"([0-9a-f]{8}-[0-9a-f-]{27})"')
# The Deployment of every scenario is called `app`: alone as a value, before an event's number, or before the hash of
# its ReplicaSets. The label's key `app` stays.
_DEPLOYMENT: Final = r'(?<=:")app(?="|\.[0-9a-f]{16}")|\bapp(?=-[a-z0-9]{8,10}\b)'


class Cast(msgspec.Struct, frozen=True):
    """Who takes the places of those recorded."""

    namespace: str
    token: str
    name: str = "app"
    """Of the Deployment; ReplicaSets and pods follow it."""
    workspace: str = ""
    """Coder's label `com.coder.workspace.name`, empty for none."""
    owner: str = ""
    """Coder's label `com.coder.user.username`, empty for none."""
    texts: dict[str, str] = {}
    """More to replace, word for word: an image's registry, say."""


def replay(
    recording: Recording,
    cast: Cast,
    *,
    start_at_s: float,
    pause_max_s: float = PAUSE_MAX_S,
    new_uid: Callable[[], str] = lambda: str(uuid.uuid4()),
) -> list[Step]:
    """The script, to be started at Unix time `start_at_s`: no step is more than `pause_max_s` after the one before."""
    clock = _Clock([entry.at_s for entry in recording.entries], pause_max_s)
    rewrite = _rewriter(recording, cast, clock, start_at_s, new_uid)
    return [
        Step(clock.played_s(entry.at_s), _write(entry, _labelled(rewrite(entry), entry.resource, cast)))
        for entry in recording.entries
    ]


class _Clock:
    """Maps recorded seconds to played ones: the same, but for what is cut out of long pauses."""

    def __init__(self, instants_s: Sequence[float], pause_max_s: float) -> None:
        self._recorded_s = list(instants_s)
        self._played_s = [0.0]
        for before, after in pairwise(instants_s):
            self._played_s.append(self._played_s[-1] + min(after - before, pause_max_s))

    def played_s(self, recorded_s: float) -> float:
        """Between two writes a time keeps its distance from the first, but comes no later than the second."""
        index = bisect_right(self._recorded_s, recorded_s) - 1
        if index < 0:
            return recorded_s - self._recorded_s[0]
        played = self._played_s[index] + recorded_s - self._recorded_s[index]
        return min(played, self._played_s[index + 1]) if index + 1 < len(self._played_s) else played


def _rewriter(
    recording: Recording, cast: Cast, clock: _Clock, start_at_s: float, new_uid: Callable[[], str]
) -> Callable[[Recorded], dict[str, Any]]:
    header = recording.header
    uids = {uid.decode(): new_uid() for entry in recording.entries for uid in _UID.findall(bytes(entry.object))}
    words = {**cast.texts, **uids, header.token: cast.token, header.namespace: cast.namespace}
    pattern = re.compile("|".join([_TIME, _DEPLOYMENT, *map(re.escape, words)]))

    def replaced(match: re.Match[str]) -> str:
        found = match[0]
        if found == "app":
            return cast.name
        if found in words:
            return words[found]
        recorded_s = datetime.fromisoformat(found).timestamp() - header.started_at_s
        return _format(start_at_s + clock.played_s(recorded_s), fraction="." in found)

    def rewrite(entry: Recorded) -> dict[str, Any]:
        text = pattern.sub(replaced, bytes(entry.object).decode())
        return msgspec.json.decode(text, type=dict[str, Any])

    return rewrite


def _format(unix_s: float, *, fraction: bool) -> str:
    moment = datetime.fromtimestamp(unix_s, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ" if fraction else "%Y-%m-%dT%H:%M:%SZ")


def _labelled(value: dict[str, Any], resource: str, cast: Cast) -> dict[str, Any]:
    labels = {"com.coder.workspace.name": cast.workspace, "com.coder.user.username": cast.owner}
    labels = {name: text for name, text in labels.items() if text}
    carriers = [value] if resource == "pods" else [value, value["spec"]["template"]] if "spec" in value else []
    for carrier in carriers if labels else []:
        carrier["metadata"]["labels"] = {**carrier["metadata"].get("labels", {}), **labels}
    return value


def _write(entry: Recorded, value: dict[str, Any]) -> Put | Delete:
    if entry.type == "DELETED":
        metadata = value["metadata"]
        return Delete(entry.resource, metadata["name"], metadata.get("namespace", ""))
    return Put(entry.resource, value)
