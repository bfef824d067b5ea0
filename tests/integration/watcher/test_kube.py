"""The door to the Kubernetes API over real sockets: for whom is waited, and how long."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from common.clock import SystemClock
from console.doubles.faults import Answer, Hang, Injection
from console.doubles.kube import KubeDouble, kubeconfig
from console.doubles.kube_control import Inject, Put
from tests.unit.watcher.rig import pod
from watcher.kube import KubeClient
from watcher.kube_errors import KubeError, ServerFault, Throttled, Unreachable, asked_wait_s
from watcher.lines import Oversized

PODS = "/api/v1/pods"
BUSY = '{"kind":"Status","message":"too many requests","code":429,"details":{"retryAfterSeconds":3}}'
SHORT_S = 1.0
LONG_S = 60.0


@pytest.fixture
async def kube() -> AsyncIterator[KubeDouble]:
    async with KubeDouble() as kube:
        yield kube


@asynccontextmanager
async def _client(kube: KubeDouble, folder: Path, *, request_timeout_s: float = LONG_S) -> AsyncIterator[KubeClient]:
    (folder / "kubeconfig").write_text(kubeconfig(kube.url))
    client = KubeClient(str(folder / "kubeconfig"), clock=SystemClock(), request_timeout_s=request_timeout_s)
    await client.open()
    try:
        yield client
    finally:
        await client.close()


async def _ask(client: KubeClient, verb: str) -> None:
    """The first of what `verb` brings."""
    if verb == "list":
        await client.get(PODS)
    else:
        await anext(client.watch(PODS, {}, inactivity_s=SHORT_S))


async def test_of_a_long_answer_the_beginning_is_taken_and_of_none_nothing(kube: KubeDouble, tmp_path: Path) -> None:
    async with _client(kube, tmp_path) as client:
        kube.apply(Put("pods", pod()))
        log = "/api/v1/namespaces/ns/pods/pod-1/log"
        assert await client.get_beginning(log, {"container": "c"}, 100) == b""  # 204: no node
        kube.apply(Inject(Injection(Answer(200, "x" * 1_000_000), times=1)))
        assert await client.get_beginning(log, {"container": "c"}, 100_000) == b"x" * 100_000
        assert await client.get(PODS)


async def test_a_watch_that_falls_silent_counts_as_lost(kube: KubeDouble, tmp_path: Path) -> None:
    heard: list[bytes | Oversized] = []

    async def listen(client: KubeClient) -> None:
        async for lines in client.watch(PODS, {}, inactivity_s=SHORT_S):
            if not lines:
                kube.apply(Put("pods", pod()))
            heard.extend(lines)

    async with _client(kube, tmp_path) as client:
        with pytest.raises(Unreachable, match="timed out"):
            await listen(client)
    assert len(heard) == 1


@pytest.mark.parametrize("verb", ["list", "watch"])
async def test_a_server_that_never_answers_is_given_up(kube: KubeDouble, tmp_path: Path, verb: str) -> None:
    kube.apply(Inject(Injection(Hang(), where={"verb": verb})))
    async with _client(kube, tmp_path, request_timeout_s=SHORT_S) as client:
        with pytest.raises(Unreachable, match="timed out"):
            await _ask(client, verb)


@pytest.mark.parametrize(
    ("answer", "kind", "wait_s"),
    [
        (Answer(429, BUSY, {"Retry-After": "7"}), Throttled, 7),
        (Answer(429, BUSY), Throttled, 3),
        (Answer(503, "<html>", {"Retry-After": "9"}), ServerFault, 9),
        (Answer(503, "<html>", {"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}), ServerFault, 0),
    ],
)
@pytest.mark.parametrize("verb", ["list", "watch"])
async def test_how_long_the_server_asks_to_wait_comes_with_its_refusal_of_lists_and_watches(
    kube: KubeDouble, tmp_path: Path, verb: str, answer: Answer, kind: type[KubeError], wait_s: float
) -> None:
    kube.apply(Inject(Injection(answer, where={"verb": verb})))
    async with _client(kube, tmp_path) as client:
        with pytest.raises(kind) as caught:
            await _ask(client, verb)
    assert asked_wait_s(caught.value) == wait_s
