"""The bell: an RQ job that says «something is due», never what. The work itself stands in the streams.

RQ is the work queue for what it is good at: idle workers that block on a list, `rq info`, and a queue length that
autoscalers can read. Its jobs carry no data, so losing or repeating one costs only work.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import msgspec

from common.store.connect import connect_sync, translated

if TYPE_CHECKING:
    from rq import Queue

__all__ = ["DRAIN_JOB", "JOB_TIMEOUT_S", "UNANSWERED_MAX", "Bell", "Worker"]

DRAIN_JOB: Final = "shipper.worker.drain"
"""Dotted name of the job. A worker runs no other."""
UNANSWERED_MAX: Final = 16
"""More bells than this tell autoscalers nothing new."""

JOB_TIMEOUT_S: Final = 600
"""After which RQ ends a drain by force: twice the longest slice that the shipper's settings allow."""

_FAILURE_TTL_S: Final = 3600
_JOB_TTL_S: Final = 600


class Worker(msgspec.Struct, frozen=True):
    """A shipper process as RQ knows it. One that was killed is known for some minutes more."""

    host: str
    state: str
    """`idle`, or `busy` while it answers a bell."""


class Bell:
    """Rings through the queue `queue_name` at `queue_url`, which may be another Redis than the streams'."""

    def __init__(self, queue_url: str, queue_name: str) -> None:
        self.client: Final = connect_sync(queue_url)
        """The queue's."""
        self._queue_name = queue_name
        self._queue: Queue | None = None

    def queue(self) -> Queue:
        """The RQ queue, with JSON as its only wire form: a pickled job cannot be read, let alone run."""
        if self._queue is None:
            # RQ costs memory that a watcher needs only once it rings.
            from rq import Queue
            from rq.serializers import JSONSerializer

            self._queue = Queue(self._queue_name, connection=self.client, serializer=JSONSerializer)
        return self._queue

    async def ring(self) -> None:
        """Ask for a drainer, unless enough are asked for already. Raises `StoreError`."""
        await asyncio.to_thread(self._ring)

    async def unanswered(self) -> int:
        """Bells that no worker has answered yet. Raises `StoreError`."""
        return await asyncio.to_thread(self._unanswered)

    async def workers(self) -> list[Worker]:
        """Who answers bells, in order of name. Raises `StoreError`."""
        return await asyncio.to_thread(self._workers)

    def _workers(self) -> list[Worker]:
        with translated("reading who answers bells"):
            names = sorted(_bytes(each) for each in self.client.smembers(f"rq:workers:{self._queue_name}"))
            pipe = self.client.pipeline(transaction=False)
            for name in names:
                pipe.hmget(name.decode(), "hostname", "state")
            rows = pipe.execute() if names else []
        # One that was killed stays in the set until RQ looks; its own key is gone by then.
        return [
            Worker((host or b"?").decode(), (state or b"?").decode())
            for host, state in rows
            if host is not None or state is not None
        ]

    def _unanswered(self) -> int:
        with translated("counting bells"):
            return int(self.queue().count)

    def _ring(self) -> None:
        with translated("ringing the bell"):
            queue = self.queue()
            if queue.count >= UNANSWERED_MAX:
                return
            queue.enqueue(
                DRAIN_JOB,
                job_timeout=JOB_TIMEOUT_S,
                result_ttl=0,
                failure_ttl=_FAILURE_TTL_S,
                ttl=_JOB_TTL_S,
                description="drain",
            )


def _bytes(raw: bytes | str) -> bytes:
    return raw if isinstance(raw, bytes) else raw.encode()
