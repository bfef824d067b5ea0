"""An hour of a crash loop, with all that Kubernetes says of it, costs tens of lines.

Pod, ReplicaSet and Events are those of a recording; with each restart changes what the kubelet changes (recorded):
counts and times of Pulled, Created, Started and BackOff, and in the status the run, the ending, the pause and who is
ready.
"""

import copy
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec
import pytest

from common.record import LogRecord
from tests.unit.test_recorded_lines import read_by_the_owner, recorded
from tests.unit.watcher.rig import Rig
from tests.unit.watcher.test_recordings import Recorded

Object = dict[str, Any]

SCENARIO: Final = "crashloop-exit1"
HOUR_S: Final = 3_600
RUN_S: Final = 1
BACK_OFF_EVERY_S: Final = 12
"""While a container pauses the kubelet looks at it every 10 to 15 s, and says BackOff each time."""
BEGUN: Final = datetime(2026, 11, 22, 15, 49, 12, tzinfo=UTC)
PAUSES: Final = {"as by default": (10, 300, 100), "as short as can be set": (1, 60, 150)}
"""The first pause and the longest, in seconds (the second that of `ReduceDefaultCrashLoopBackOffDecay`), and how many
lines the hour may cost."""


class Loop:
    """The recorded pod, restarted over and over."""

    def __init__(self) -> None:
        self.rig = Rig()
        self.restarts = 0
        self._at_s = 0
        self._version = 10_000
        story = [msgspec.json.decode(each.line) for each in recorded(SCENARIO)]
        self._events: dict[str, Object] = {
            each["object"]["reason"]: each["object"] | {"count": 0}
            for each in reversed(story)
            if each["object"].get("involvedObject", {}).get("kind") == "Pod"
        }
        self._pod, self._owner = (
            next(each["object"] for each in story if is_ready(each["object"]) and each["object"]["kind"] == kind)
            for kind in ("Pod", "ReplicaSet")
        )

    async def begin(self, before_the_run: list[Recorded]) -> None:
        for each in before_the_run:
            await self.rig.deliver_line(each.resource, bytes(each.line))
        await self._run()

    async def crash(self, pause_s: int) -> None:
        """It ends, waits and runs again."""
        await self._pass(RUN_S)
        await self._end()
        for waited_s in range(pause_s):
            if waited_s % BACK_OFF_EVERY_S == 0:
                await self._say("BackOff")
            await self._pass(1)
        self._status["state"] = {"waiting": {"reason": "CrashLoopBackOff", "message": self._pause_words(pause_s)}}
        await self._show(ready=False)
        self._status["restartCount"] = self.restarts = self.restarts + 1
        await self._run()

    async def is_over(self) -> list[LogRecord]:
        await self._pass(300)
        return self.rig.outbox.records

    @property
    def at_s(self) -> int:
        return self._at_s

    @property
    def _status(self) -> Object:
        status: Object = self._pod["status"]["containerStatuses"][0]
        return status

    def _now(self) -> str:
        return (BEGUN + timedelta(seconds=self._at_s)).strftime("%Y-%m-%dT%H:%M:%SZ")

    def _pause_words(self, pause_s: int) -> str:
        spelt = f"{pause_s // 60}m{pause_s % 60}s" if pause_s >= 60 else f"{pause_s}s"
        name, uid = self._pod["metadata"]["name"], self._pod["metadata"]["uid"]
        return f"back-off {spelt} restarting failed container=c pod={name}_{self._pod['metadata']['namespace']}({uid})"

    async def _pass(self, seconds: int) -> None:
        for _ in range(seconds):
            self._at_s += 1
            self.rig.clock.now_s += 1
            self.rig.router.tick()

    async def _run(self) -> None:
        for reason in ("Pulled", "Created", "Started"):
            await self._say(reason)
        self._status["state"] = {"running": {"startedAt": self._now()}}
        self._status["containerID"] = f"containerd://{self.restarts:064d}"
        await self._show(ready=True)

    async def _end(self) -> None:
        ended = {"exitCode": 1, "reason": "Error", "startedAt": self._status["state"]["running"]["startedAt"]}
        ended |= {"finishedAt": self._now(), "containerID": self._status["containerID"]}
        self._status["state"] = {"terminated": ended}
        await self._show(ready=False)
        self._status["lastState"] = {"terminated": ended}

    async def _say(self, reason: str) -> None:
        event = self._events[reason]
        event["count"] += 1
        event["lastTimestamp"] = self._now()
        event.setdefault("firstTimestamp", self._now())
        await self._deliver("events", "ADDED" if event["count"] == 1 else "MODIFIED", event)

    async def _show(self, *, ready: bool) -> None:
        self._status["ready"] = self._status["started"] = ready
        for condition in self._pod["status"]["conditions"]:
            if condition["type"] in ("Ready", "ContainersReady"):
                condition |= {"status": str(ready), "lastTransitionTime": self._now()}
        await self._deliver("pods", "MODIFIED", self._pod)
        self._owner["status"] |= {"readyReplicas": int(ready), "availableReplicas": int(ready)}
        await self._deliver("replicasets", "MODIFIED", self._owner)

    async def _deliver(self, resource: str, verb: str, value: Object) -> None:
        self._version += 1
        value["metadata"]["resourceVersion"] = str(self._version)
        await self.rig.deliver(resource, verb, copy.deepcopy(value))


def is_ready(value: Object) -> bool:
    status = value.get("status", {})
    return bool(status.get("readyReplicas")) or any(each["ready"] for each in status.get("containerStatuses") or ())


def before_the_run() -> list[Recorded]:
    """What was recorded before the container was there."""
    story = recorded(SCENARIO)
    return story[: next(n for n, each in enumerate(story) if b'"reason":"Pulled"' in bytes(each.line))]


@pytest.mark.parametrize("pauses", list(PAUSES))
async def test_an_hour_of_a_crash_loop_costs_tens_of_lines(pauses: str) -> None:
    loop = Loop()
    await loop.begin(before_the_run())
    pause_s, longest_s, lines_max = PAUSES[pauses]
    while loop.at_s < HOUR_S:
        await loop.crash(pause_s)
        pause_s = min(2 * pause_s, longest_s)
    lines = read_by_the_owner(await loop.is_over())
    assert 30 < len(lines) < lines_max, "\n".join(lines)
    assert any(f"Restart {loop.restarts - 1} of container c ended with exit code 1" in line for line in lines)
    assert any(f"Container started (c) ×{loop.restarts + 1} " in line for line in lines)
