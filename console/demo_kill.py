"""`demo --kill`: kill -9 the shipper and the watcher in the middle of a crash loop.

Guarantee 3 has one exception: Coder has no key by which it knows a request again, so one that is under way when its
shipper dies is sent again and may be shown twice. The demo promises «repeated 0», so it chooses the shipper's moment
honestly: the process is frozen (SIGSTOP), and is killed only if Redis knows no claim that is not settled, so that no
request can be under way; otherwise it goes on and is frozen again a little later. Any repeat then is a fault and counts
as one. A shipper that dies with a request under way is what the fault schedules play (docs/reliability.md).

The watcher's moment needs no choice, as what it appends again is known in Redis by identity and version. It is killed
as soon as records wait that no shipper is there to deliver.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from common.store.model import Backlog
from console.supervise import ProcessState, ProcessView

__all__ = ["AskBacklog", "Killed", "Killer", "NoMoment"]

_FREEZES_WITHIN_S: Final = 0.05  # a signal reaches a running process at its next tick
_BETWEEN_TRIES_S: Final = 0.03
_MOMENT_WITHIN_S: Final = 10.0
_RECORDS_WAIT_WITHIN_S: Final = 3.0


AskBacklog = Callable[[], Awaitable[Backlog]]
"""Asks Redis what waits there. Raises StoreError."""


class NoMoment(Exception):
    """There was no moment to kill the shipper. The text says why."""


@dataclass(frozen=True)
class Killed:
    """A process that was killed."""

    role: str
    pid: int
    at_unix_s: float
    waiting_records: int
    """What lay undelivered in Redis just before."""


class Killer:
    """Kills one shipper and then one watcher, each once. `killed` says who is dead so far."""

    def __init__(self, backlog: AskBacklog) -> None:
        self._backlog = backlog
        self.killed: list[Killed] = []

    @property
    def is_done(self) -> bool:
        return len(self.killed) == len(("shipper", "watcher"))

    async def step(self, processes: Sequence[ProcessView], *, crashing: bool) -> None:
        """Do what can be done now. `crashing`: the crash loop is in full swing. Raises NoMoment, StoreError."""
        shipper, watcher = _running(processes, "shipper"), _running(processes, "watcher")
        if not self.killed and crashing and shipper is not None:
            await self._kill_shipper(shipper)
        elif len(self.killed) == 1 and watcher is not None:
            await self._kill_watcher(watcher)

    async def _kill_shipper(self, pid: int) -> None:
        deadline_s = time.monotonic() + _MOMENT_WITHIN_S
        while time.monotonic() < deadline_s:
            with _frozen(pid):
                await asyncio.sleep(_FREEZES_WITHIN_S)
                backlog = await self._backlog()
                if backlog.claimed_agents == 0:
                    self._kill("shipper", pid, backlog)
                    return
            await asyncio.sleep(_BETWEEN_TRIES_S)
        raise NoMoment(f"the shipper was not between two requests within {_MOMENT_WITHIN_S:g} s")

    async def _kill_watcher(self, pid: int) -> None:
        backlog = await self._backlog()
        if backlog.waiting_records or time.time() - self.killed[0].at_unix_s > _RECORDS_WAIT_WITHIN_S:
            self._kill("watcher", pid, backlog)

    def _kill(self, role: str, pid: int, backlog: Backlog) -> None:
        os.kill(pid, signal.SIGKILL)
        self.killed.append(Killed(role, pid, time.time(), backlog.waiting_records))


@contextlib.contextmanager
def _frozen(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def _running(processes: Sequence[ProcessView], role: str) -> int | None:
    running = (view.pid for view in processes if view.role == role and view.state is ProcessState.RUNNING)
    return next(running, None)
