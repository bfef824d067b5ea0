"""The RQ worker that answers bells. It runs one job and no other, and reads jobs as JSON only.

RQ's ordinary worker forks for each job and loses every connection; this one blocks its thread while the drainer works
on the event loop of another. Callbacks and webhooks that a job may name are ignored, so whoever can write to the
queue can make us work, and nothing else.

Source: rq 3.0. A signal while busy only sets a flag there; a Redis error outside of a job ends `work()`.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from random import Random
from typing import Any, Final

import structlog
from rq import Queue, SimpleWorker
from rq.exceptions import StopRequested
from rq.job import Job
from rq.serializers import JSONSerializer
from rq.worker import WorkerStatus

from common.backoff import Backoff
from common.bell import DRAIN_JOB
from common.clock import Clock
from common.store.connect import translated
from common.store.errors import StoreError

__all__ = ["BellWorker", "NotABell", "answer_bells", "drain"]

WORKER_TTL_S: Final = 60
"""An idle worker reports within this time, or `rq info` shows it no more."""

WORKED_S: Final = 10.0
"""After a worker that worked for so long, its trouble is a new one: said again, and tried again at once."""

FIELD_MAX_BYTES: Final = 1024
"""Of one field of a job. A bell's longest has a tenth of it; compressed at most, such a field becomes a megabyte."""

log = structlog.get_logger()


class NotABell(Exception):
    """A job on our queue that is not ours."""


def drain() -> None:
    """What the job's name leads to for a worker that is not ours."""
    raise NotABell("this queue is answered by `coder-logstream shipper`, not by an ordinary RQ worker")


class BellWorker(SimpleWorker):
    """Calls `answer` for each bell. Signals are the program's: it calls `stop` in the main thread."""

    max_connection_wait_time = 2.0  # seconds between tries while Redis is away

    def __init__(self, queue: Queue, answer: Callable[[], None]) -> None:
        """Raises the client library's errors: the worker introduces itself to Redis."""
        super().__init__(
            [queue],
            connection=queue.connection,
            job_class=_bell_job(answer),
            serializer=JSONSerializer,
            default_result_ttl=0,
            worker_ttl=WORKER_TTL_S,
            log_job_description=False,
        )

    def stop(self) -> None:
        """End after the job under way; if there is none, raise StopRequested out of the blocking read.

        What RQ's `request_stop` does, without telling Redis first, which may be away.
        """
        self._stop_requested = True
        if self.get_state() != WorkerStatus.BUSY:
            raise StopRequested

    def _install_signal_handlers(self) -> None:
        pass


def answer_bells(
    queue: Queue,
    answer: Callable[[], None],
    stopping: threading.Event,
    on_worker: Callable[[BellWorker | None], None],
    clock: Clock,
    random: Random,
) -> None:
    """Work until `stopping` is set, over any absence of Redis. `on_worker` learns which worker is at work."""
    backoff = Backoff(base_s=0.5, cap_s=5.0)
    failures = 0
    while not stopping.is_set():
        began_s = math.inf
        try:
            with translated("answering bells"):
                worker = BellWorker(queue, answer)
                began_s = clock.monotonic_s()
                on_worker(worker)
                if stopping.is_set():
                    return
                worker.work(logging_level="WARNING")
            failures = 0
        except StopRequested:
            return
        except StoreError as error:
            if clock.monotonic_s() - began_s >= WORKED_S:
                failures = 0
            if failures == 0:
                log.warning("the queue's Redis is away", error=str(error))
            failures += 1
        finally:
            on_worker(None)
        stopping.wait(backoff.delay_s(failures, random))


def _bell_job(answer: Callable[[], None]) -> type[Job]:
    """A kind of job whose only act is `answer`, whatever it says of itself."""

    class BellJob(Job):
        def restore(self, raw_data: dict[bytes, bytes]) -> Any:
            # RQ unpacks compressed fields, whatever they may swell to.
            small = {name: value for name, value in raw_data.items() if len(value) <= FIELD_MAX_BYTES}
            return super().restore({b"data": b"", **small})

        def perform(self) -> None:
            if self.func_name != DRAIN_JOB or self.args or self.kwargs:
                raise NotABell(f"refused to run {self.func_name!r}: this queue is for bells only")
            answer()

        @property
        def success_callback(self) -> None:
            return None

        @property
        def failure_callback(self) -> None:
            return None

        @property
        def stopped_callback(self) -> None:
            return None

        def send_webhooks(self, *_: Any, **__: Any) -> None:
            return None

    return BellJob
