"""The bell rings through an ordinary RQ queue, bounded, and carries nothing."""

import json
import zlib

import pytest
from rq import Queue

from common.bell import DRAIN_JOB, JOB_TIMEOUT_S, UNANSWERED_MAX, Bell
from common.settings.declare import declared
from common.settings.shipper import ShipperSettings
from common.store.connect import connect_sync
from common.store.errors import StoreUnavailable
from tests.servers import free_port


async def test_a_ring_is_a_job_that_any_rq_tool_can_see(redis_url: str, prefix: str) -> None:
    bell = Bell(redis_url, prefix)
    await bell.ring()
    (job,) = Queue(prefix, connection=connect_sync(redis_url), serializer="json").jobs
    assert job.func_name == DRAIN_JOB
    assert (job.args, job.kwargs) in (([], {}), ((), {}))
    data = job.to_dict()["data"]
    assert json.loads(zlib.decompress(data))[0] == DRAIN_JOB, "JSON, not a pickle"


async def test_rq_ends_no_drain_that_keeps_to_the_longest_slice(redis_url: str, prefix: str) -> None:
    await Bell(redis_url, prefix).ring()
    (job,) = Queue(prefix, connection=connect_sync(redis_url), serializer="json").jobs
    (longest_s,) = (rule.le for rule in declared(ShipperSettings)["slice_s"].field.metadata if hasattr(rule, "le"))
    assert job.timeout == JOB_TIMEOUT_S >= 2 * longest_s


async def test_unanswered_bells_are_bounded(redis_url: str, prefix: str) -> None:
    bell = Bell(redis_url, prefix)
    for _ in range(UNANSWERED_MAX + 5):
        await bell.ring()
    assert await bell.unanswered() == UNANSWERED_MAX


async def test_a_queue_that_is_away_is_said(prefix: str) -> None:
    bell = Bell(f"redis://127.0.0.1:{free_port()}/0", prefix)
    with pytest.raises(StoreUnavailable):
        await bell.ring()
