"""The worker over absences of the queue's Redis. A real server; the clock is the test's."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from pathlib import Path
from random import Random

from structlog.testing import capture_logs

from common.bell import Bell
from shipper.worker import WORKED_S, BellWorker, answer_bells
from tests.redis_builds import NEWEST
from tests.servers import free_port, running_redis
from tests.virtual_clock import VirtualClock

ABSENCES = 3


class Outages:
    """Redis goes while a bell is answered, which ends RQ's `work`, and is back before the next worker begins."""

    def __init__(self, folder: Path, prefix: str, works_s: float) -> None:
        self._folder = folder
        self._port = free_port()
        self._life = contextlib.ExitStack()
        self._works_s = works_s
        self._answers = 0
        self._worker: BellWorker | None = None
        self.bell = Bell(f"redis://127.0.0.1:{self._port}/0", prefix)
        self.clock = VirtualClock()
        self.stopping = threading.Event()

    def begin(self) -> None:
        self._life.enter_context(running_redis(NEWEST.binary(), self._folder, port=self._port))
        asyncio.run(self.bell.ring())

    def end(self) -> None:
        self._life.close()

    def on_worker(self, worker: BellWorker | None) -> None:
        self._worker = worker
        if worker is None and not self.stopping.is_set():
            self.begin()

    def answer(self) -> None:
        self.clock.now_s += self._works_s
        self._answers += 1
        if self._answers <= ABSENCES:
            self.end()
        else:
            self.stopping.set()
            assert self._worker is not None
            self._worker.stop()


def absences_said(outages: Outages) -> int:
    with contextlib.ExitStack() as stack:
        stack.callback(outages.end)
        lines = stack.enter_context(capture_logs())
        outages.begin()
        answer_bells(
            outages.bell.queue(), outages.answer, outages.stopping, outages.on_worker, outages.clock, Random(1)
        )
        return sum(line["event"] == "the queue's Redis is away" for line in lines)


def test_an_absence_after_a_worker_has_worked_for_a_while_is_said_again(tmp_path: Path, prefix: str) -> None:
    assert absences_said(Outages(tmp_path / "redis", prefix, WORKED_S)) == ABSENCES


def test_a_worker_that_hardly_begins_says_it_once(tmp_path: Path, prefix: str) -> None:
    assert absences_said(Outages(tmp_path / "redis", prefix, 0.0)) == 1
