"""Look-ups beside the watches: Secrets until they exist, absences until they are certain."""

import asyncio
import base64
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import asynccontextmanager
from random import Random
from typing import Any

import pytest

from common.ids import Uid
from tests.unit.watcher.rig import TOKEN, FakeApi, Rig, pod, secret_env, until
from watcher.absence import Absences
from watcher.kube_errors import Forbidden, KubeError, ServerFault, Throttled, Unreachable
from watcher.mounts import Kind
from watcher.sought import Source
from watcher.sources import CACHE_S, SourceName, Sources

SECRET_PATH = "/api/v1/namespaces/ns/secrets/agent"
POD_PATH = "/api/v1/namespaces/ns/pods/pod-1"


@asynccontextmanager
async def _running(*services: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(service) for service in services]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


def _data(token: str = TOKEN) -> dict[str, str]:
    return {"token": base64.b64encode(token.encode()).decode()}


async def test_a_secret_that_comes_after_its_pod_is_found() -> None:
    rig = Rig()
    async with _running(rig.sources.run()):
        await rig.deliver("pods", "ADDED", pod(env=secret_env()))
        await until(lambda: SECRET_PATH in rig.api.asked)
        assert rig.outbox.said == []
        rig.api.secret("ns", "agent", _data())
        await until(lambda: rig.outbox.said == ["Pod Created"])


@pytest.mark.parametrize("error", [Forbidden("no"), Unreachable("down"), ServerFault("500"), Throttled("slow", 0.0)])
async def test_an_unreadable_secret_delays_nobody_else(error: KubeError) -> None:
    rig = Rig()
    rig.api.objects[SECRET_PATH] = error
    rig.api.secret("ns", "fine", _data())
    async with _running(rig.sources.run()):
        await rig.deliver("pods", "ADDED", pod(env=secret_env()))
        await rig.deliver("pods", "ADDED", pod("pod-2", env=secret_env("fine")))
        await until(lambda: [record.object.uid for record in rig.outbox.records] == ["pod-2"])


class Timed(FakeApi):
    """Notes when it is asked, by the event loop's clock."""

    def __init__(self, error: KubeError) -> None:
        super().__init__()
        self.asked_at_s: list[float] = []
        self._error = error

    async def get(self, path: str, query: Mapping[str, str] | None = None) -> bytes:
        self.asked_at_s.append(asyncio.get_running_loop().time())
        raise self._error


@pytest.mark.parametrize("error", [Throttled("slow", 1.5), ServerFault("HTTP 503", 1.5)])
async def test_look_ups_wait_as_long_as_the_server_asks(error: KubeError) -> None:
    rig, api = Rig(), Timed(error)
    await rig.deliver("pods", "ADDED", pod())
    sources = Sources(api, rig.metrics, rig.clock, Random(1))
    sources.on_answer = lambda *_: False
    sources.ask(SourceName("ns", Source(Kind.SECRET, "agent")), Uid("pod-2"))
    async with _running(sources.run()):
        await until(lambda: len(api.asked_at_s) == 2)
    absences = Absences(api, rig.directory, Random(1), on_gone=lambda _: None)
    absences.suspect(Uid("pod-1"))
    async with _running(absences.run()):
        await until(lambda: len(api.asked_at_s) == 4)
    first, second, third, fourth = api.asked_at_s
    assert min(second - first, fourth - third) >= 1.5


async def test_pods_of_one_secret_ask_for_it_once() -> None:
    rig = Rig()
    rig.api.secret("ns", "agent", _data())
    async with _running(rig.sources.run()):
        for number in range(20):
            await rig.deliver("pods", "ADDED", pod(f"pod-{number}", env=secret_env()))
        await until(lambda: len(rig.outbox.registered) == 20)
        await rig.deliver("pods", "ADDED", pod("late", env=secret_env()))
        assert len(rig.outbox.registered) == 21  # from the cache, at once
        assert rig.api.asked == [SECRET_PATH]
        rig.clock.now_s += CACHE_S
        await rig.deliver("pods", "ADDED", pod("later", env=secret_env()))
        await until(lambda: len(rig.outbox.registered) == 22)
        assert rig.api.asked == [SECRET_PATH] * 2


async def test_the_last_look_is_a_fresh_one() -> None:
    rig = Rig()
    rig.api.secret("ns", "agent", _data())
    async with _running(rig.sources.run()):
        await rig.deliver("pods", "ADDED", pod(env=secret_env()))
        await until(lambda: len(rig.outbox.registered) == 1)
        rig.api.secret("ns", "agent", _data("99999999-2222-4333-8444-555555555555"))
        await rig.deliver("pods", "MODIFIED", pod(env=secret_env(), started=True))
        await until(lambda: len(rig.outbox.registered) == 2)
        known = rig.directory.get(Uid("pod-1"))
        assert known is not None
        assert known.settled


async def test_nobody_asks_for_a_secret_of_a_pod_that_is_gone() -> None:
    rig = Rig()
    async with _running(rig.sources.run()):
        await rig.deliver("pods", "ADDED", pod(env=secret_env()))
        await until(lambda: SECRET_PATH in rig.api.asked)
        await rig.deliver("pods", "DELETED", pod(env=secret_env()))
        await rig.deliver("pods", "ADDED", pod("other", env=secret_env("other")))
        asked = len(rig.api.asked)
        await until(lambda: len(rig.api.asked) > asked + 1)
        assert SECRET_PATH not in rig.api.asked[asked + 1 :]


async def test_a_missing_object_that_is_gone_is_a_delete() -> None:
    rig = Rig()
    await rig.deliver("pods", "ADDED", pod())
    async with _running(rig.absences.run()):
        rig.absences.suspect(Uid("pod-1"))
        await until(lambda: rig.outbox.said == ["Pod Created", "Pod Deleted"])


async def test_another_object_under_its_name_is_a_delete() -> None:
    rig = Rig()
    rig.api.objects[POD_PATH] = pod("another")
    await rig.deliver("pods", "ADDED", pod())
    async with _running(rig.absences.run()):
        rig.absences.suspect(Uid("pod-1"))
        await until(lambda: rig.outbox.said == ["Pod Created", "Pod Deleted"])


@pytest.mark.parametrize("answer", [pod(), Forbidden("no"), Unreachable("down"), ServerFault("500"), {"odd": 1}])
async def test_what_is_not_certainly_gone_is_never_said_to_be(answer: object) -> None:
    rig = Rig()
    if answer == {"odd": 1}:
        answer = ["no object"]
    rig.api.objects[POD_PATH] = answer
    await rig.deliver("pods", "ADDED", pod())
    async with _running(rig.absences.run()):
        rig.absences.suspect(Uid("pod-1"))
        await until(lambda: POD_PATH in rig.api.asked)
        rig.absences.suspect(Uid("pod-1"))
        await asyncio.sleep(0)
    assert rig.outbox.said == ["Pod Created"]
