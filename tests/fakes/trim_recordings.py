"""Make the recordings that ship from raw ones: `python -m tests.fakes.trim_recordings RAW_DIR OUT_DIR`.

RAW_DIR holds a folder for each scenario with `watch.<resource>.jsonl`, raw watch streams that each begin at an empty
list. They carry no time of arrival; it is inferred from the objects (see `_told_at_s`) and never goes back.
"""

from __future__ import annotations

import gzip
import re
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import msgspec

from console.doubles.recording import SCENARIOS, Header, Recorded

RESOURCES: Final = ("deployments", "replicasets", "pods", "events")
KUBERNETES: Final = "1.35.4"

UNUSED: Final = frozenset(
    {
        "managedFields", "volumes", "volumeMounts", "tolerations", "securityContext", "terminationMessagePath",
        "terminationMessagePolicy", "dnsPolicy", "enableServiceLinks", "preemptionPolicy", "priority",
        "serviceAccount", "serviceAccountName", "schedulerName", "resourceVersion", "observedGeneration",
        "progressDeadlineSeconds", "revisionHistoryLimit", "strategy", "lastProbeTime", "hostIPs", "podIPs",
    }
)  # fmt: skip

_EVENT_NAME: Final = re.compile(r"\.([0-9a-f]{16})$")
_TOKEN: Final = re.compile(r'"CODER_AGENT_TOKEN","value":"([0-9a-f-]{36})"')

Change = tuple[str, str, dict[str, Any]]
"""Resource, type, object."""


def main(raw: Path, out: Path) -> None:
    for scenario in SCENARIOS:
        text = trimmed(raw / scenario, scenario)
        # No name and no time inside, so that the same input gives the same file.
        (out / f"{scenario}.jsonl.gz").write_bytes(gzip.compress(text, mtime=0))


def trimmed(folder: Path, scenario: str) -> bytes:
    changes = sorted(_changes(folder), key=lambda change: int(change[2]["metadata"]["resourceVersion"]))
    times = list(_rising(_told_at_s(*change) for change in changes))
    namespace = changes[0][2]["metadata"]["namespace"]
    token = _TOKEN.search(msgspec.json.encode(changes).decode())
    if token is None:
        raise ValueError(f"{scenario}: no agent token in it")
    header = Header(scenario, KUBERNETES, namespace, token[1], times[0])
    entries = [
        Recorded(round(at - times[0], 3), resource, kind, msgspec.Raw(msgspec.json.encode(_without_unused(value))))
        for at, (resource, kind, value) in zip(times, changes, strict=True)
    ]
    return b"\n".join(map(msgspec.json.encode, [header, *entries])) + b"\n"


def _changes(folder: Path) -> Iterator[Change]:
    for resource in RESOURCES:
        for line in (folder / f"watch.{resource}.jsonl").read_bytes().splitlines():
            event = msgspec.json.decode(line)
            if event["type"] != "BOOKMARK":
                yield resource, event["type"], event["object"]


def _told_at_s(resource: str, kind: str, value: dict[str, Any]) -> float:
    """The earliest time at which this can have been written, as far as the object tells.

    A new event's name ends in its nanoseconds; repeats have a whole second; of anything else the field managers'
    times are known, to the second. A delete tells nothing.
    """
    name = _EVENT_NAME.search(value["metadata"]["name"])
    if resource == "events" and kind == "ADDED" and name is not None:
        return int(name[1], 16) / 1e9
    if resource == "events":
        return _unix_s(value["lastTimestamp"])
    if kind == "DELETED":
        return 0.0
    return max(_unix_s(field["time"]) for field in value["metadata"]["managedFields"] if "time" in field)


def _rising(times: Iterator[float]) -> Iterator[float]:
    latest = 0.0
    for time in times:
        latest = max(latest, time)
        yield latest


def _unix_s(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def _without_unused(value: Any) -> Any:
    match value:
        case dict():
            return {name: _without_unused(part) for name, part in value.items() if name not in UNUSED}
        case list():
            return [_without_unused(part) for part in value]
        case _:
            return value


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
