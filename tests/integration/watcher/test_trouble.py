"""What a watcher does when Redis, the cluster or its settings are not as they should be."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from common.crypto import new_token_key
from console.doubles.faults import Answer, Injection
from console.doubles.kube import KubeDouble, kubeconfig
from console.doubles.kube_control import CutWatches, Forbid, HoldBack, Inject
from tests.integration.watcher.page import Page
from tests.integration.watcher.rig import WITHIN_S, Rig, until
from tests.redis_builds import NEWEST
from tests.servers import free_port, running_redis
from tests.unit.watcher.rig import TOKEN, event, pod
from watcher.shares import slot_of


async def test_redis_down_at_start_is_said_and_waited_for(tmp_path: Path) -> None:
    port = free_port()
    async with KubeDouble() as kube:
        rig = Rig(kube, f"redis://127.0.0.1:{port}/0", "late", tmp_path)
        async with rig.watcher() as watcher:
            await watcher.said("Redis is not there yet")
            rig.put("pods", pod())
            with running_redis(NEWEST.binary(), tmp_path / "redis", port=port):
                await rig.until_said(TOKEN, "Pod Created")
                await watcher.stop()
        await rig.client.aclose()


async def test_a_stop_while_redis_is_down_is_prompt(tmp_path: Path) -> None:
    async with KubeDouble() as kube:
        rig = Rig(kube, f"redis://127.0.0.1:{free_port()}/0", "never", tmp_path)
        async with rig.watcher() as watcher:
            await watcher.said("Redis is not there yet")
            await watcher.stop()


async def test_a_stop_while_redis_is_silent_is_prompt(tmp_path: Path) -> None:
    """Who just then looks whether Redis was emptied waits for its answer, and keeps the territories to himself."""
    async with KubeDouble() as kube:
        with running_redis(NEWEST.binary(), tmp_path / "redis") as server:
            rig = Rig(kube, server.url, "silent", tmp_path)
            async with rig.watcher() as watcher:
                await rig.watching()

                async def looks() -> int:
                    asked = await rig.client.info("commandstats")
                    return sum(asked.get(f"cmdstat_{name}", {}).get("calls", 0) for name in ("get", "set"))

                before = await looks()
                await until(lambda: _grows(looks, before))
                os.kill(server.pid, signal.SIGSTOP)  # so the next look is under way when the sharing gives up
                try:
                    await watcher.said("Redis does not answer")
                    began_s = time.monotonic()
                    await watcher.stop()
                    assert time.monotonic() - began_s < 8.0
                finally:
                    os.kill(server.pid, signal.SIGCONT)
            await rig.client.aclose()


async def _grows(count: Callable[[], Awaitable[int]], before: int) -> bool:
    return await count() > before


async def test_redis_away_in_between_loses_and_repeats_nothing(tmp_path: Path) -> None:
    port, kept = free_port(), {"appendonly": "yes"}
    async with KubeDouble() as kube:
        rig = Rig(kube, f"redis://127.0.0.1:{port}/0", "away", tmp_path)
        async with rig.watcher() as watcher:
            with running_redis(NEWEST.binary(), tmp_path / "redis", kept, port):
                await rig.watching()
                rig.put("pods", pod())
                rig.put("events", event())
                await rig.until_said(TOKEN, "Pod Created", "Pod Scheduled x1")
            rig.put("events", event(count=2))
            await watcher.said("Redis does not take records")
            rig.put("events", event("e2", reason="Pulled"))
            with running_redis(NEWEST.binary(), tmp_path / "redis", kept, port):
                await rig.client.connection_pool.disconnect()
                lines = ("Pod Created", "Pod Scheduled x1", "Pod Scheduled x2", "Pod Pulled x1")
                await rig.until_said(TOKEN, *lines)
                await watcher.said("Redis takes records again")
                await watcher.stop()
        await rig.client.aclose()


async def test_an_emptied_redis_is_said_and_everyone_is_known_again(tmp_path: Path) -> None:
    async with KubeDouble() as kube:
        with running_redis(NEWEST.binary(), tmp_path / "redis") as server:
            rig = Rig(kube, server.url, "emptied", tmp_path)
            async with rig.watcher() as watcher:
                await rig.watching()
                rig.put("pods", pod())
                rig.put("events", event())
                await rig.until_said(TOKEN, "Pod Created", "Pod Scheduled x1")
                await rig.client.flushall()
                rig.put("events", event("e2", reason="Pulled"))
                await watcher.said("Redis was emptied")
                await rig.until_said(TOKEN, "Pod Pulled x1")
                await rig.until_saved("pods")
                await watcher.stop()
            async with rig.watcher():
                rig.put("events", event("e3", reason="Last"))
                await rig.until_said(TOKEN, "Pod Pulled x1", "Pod Last x1")
            await rig.client.aclose()


async def test_an_emptied_redis_of_a_quiet_cluster_is_noticed_too(tmp_path: Path) -> None:
    async with KubeDouble() as kube:
        with running_redis(NEWEST.binary(), tmp_path / "redis") as server:
            rig = Rig(kube, server.url, "quiet", tmp_path)
            async with rig.watcher() as watcher:
                await rig.watching()
                rig.put("pods", pod())
                await rig.until_said(TOKEN, "Pod Created")
                await rig.until_saved("pods")
                await rig.client.flushall()
                await watcher.said("Redis was emptied")
                await until(lambda: _exists(rig, rig.keys.objects("pods", slot_of("ns"))))
                assert await rig.said(TOKEN) == []
            await rig.client.aclose()


async def _exists(rig: Rig, key: str) -> bool:
    return bool(await rig.client.exists(key))


async def _ends_with(rig: Rig, code: int, *words: str, **environ: str) -> str:
    """Until the watcher ends by itself: its last line holds `words`. Answers its log."""
    async with rig.watcher(**environ) as watcher:
        assert await asyncio.wait_for(watcher.process.wait(), WITHIN_S) == code, watcher.log()
        lines = watcher.log().strip().splitlines()
        assert all(word in lines[-1] for word in words), watcher.log()
        assert "Traceback" not in watcher.log()
        return watcher.log()


async def test_another_token_key_is_one_line(rig: Rig) -> None:
    async with rig.watcher() as watcher:
        await rig.watching()
        await watcher.stop()
    await _ends_with(rig, 1, "the token key does not fit", CODER_LOGSTREAM_TOKEN_KEY=new_token_key())


async def test_no_cluster_is_one_line(rig: Rig) -> None:
    for nowhere in ("/nonexistent/config", "~nosuchuser/config"):
        await _ends_with(rig, 1, "no kubeconfig", "--kubeconfig", KUBECONFIG=nowhere)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("hello", "no YAML mapping"),
        ("", "no YAML mapping"),
        ("- a", "no YAML mapping"),
        ("a: [", "expected the node content"),
        ("kind: Config", "Expected key current-context"),
    ],
)
async def test_a_kubeconfig_that_is_none_is_one_line(rig: Rig, tmp_path: Path, text: str, why: str) -> None:
    broken = tmp_path / "broken"
    broken.write_text(text)
    log = await _ends_with(rig, 1, str(broken), why, "--kubeconfig", "kubectl config view", KUBECONFIG=str(broken))
    assert "object does not support" not in log
    assert "\\n" not in log.strip().splitlines()[-1]


async def test_a_kubeconfig_without_a_server_is_one_line(rig: Rig, tmp_path: Path) -> None:
    read = json.loads(kubeconfig(""))
    read["clusters"][0]["cluster"] = {"insecure-skip-tls-verify": True}
    (tmp_path / "broken").write_text(json.dumps(read))
    await _ends_with(rig, 1, "has no `server`", KUBECONFIG=str(tmp_path / "broken"))


async def test_a_misplaced_credential_is_not_quoted(rig: Rig, tmp_path: Path) -> None:
    read = json.loads(kubeconfig("http://127.0.0.1:1"))
    read["users"] = [{"name": "double", "token": "s3cret-credential"}]
    (tmp_path / "broken").write_text(json.dumps(read))
    log = await _ends_with(rig, 1, "Expected key user", KUBECONFIG=str(tmp_path / "broken"))
    assert "s3cret" not in log


async def test_a_server_that_does_not_speak_http_is_said_in_one_line(rig: Rig, tmp_path: Path) -> None:
    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"220 mail.example.com ESMTP\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    (tmp_path / "elsewhere").write_text(kubeconfig(f"http://127.0.0.1:{port}"))
    async with server, rig.watcher(KUBECONFIG=str(tmp_path / "elsewhere")) as watcher:
        await watcher.said("cannot read from the Kubernetes API", "no HTTP answer that can be read")
        assert "\\n" not in watcher.log()


async def test_a_wrong_selector_is_one_line(rig: Rig) -> None:
    await _ends_with(rig, 2, "--label-selector", "example: app=coder", CODER_LABEL_SELECTOR="a in b")


async def test_an_api_server_that_is_not_there_is_said_once_and_waited_for(rig: Rig, tmp_path: Path) -> None:
    port = free_port()
    (tmp_path / "elsewhere").write_text(kubeconfig(f"http://127.0.0.1:{port}"))
    async with rig.watcher(KUBECONFIG=str(tmp_path / "elsewhere")) as watcher:
        await watcher.said("cannot read from the Kubernetes API", "pods")
        async with KubeDouble(f"127.0.0.1:{port}") as kube:
            rig.kube = kube
            rig.put("pods", pod())
            await rig.until_said(TOKEN, "Pod Created")
        await watcher.stop()
    assert watcher.log().count('"resource": "pods"') <= 3


async def test_a_rotated_token_is_read_anew(redis_url: str, prefix: str, tmp_path: Path) -> None:
    async with KubeDouble(tokens={"new": "admin"}) as kube:
        rig = Rig(kube, redis_url, prefix, tmp_path)
        (tmp_path / "kubeconfig").write_text(kubeconfig(kube.url, "old"))
        async with rig.watcher() as watcher:
            await watcher.said("Unauthorized")
            (tmp_path / "kubeconfig").write_text(kubeconfig(kube.url, "new"))
            rig.put("pods", pod())
            await rig.until_said(TOKEN, "Pod Created")
        await rig.client.aclose()


@pytest.mark.parametrize("forbidden", [False, True])
async def test_events_wait_for_their_pod_as_long_as_pods_cannot_be_read(tmp_path: Path, *, forbidden: bool) -> None:
    parked_s = 0.5
    async with KubeDouble() as kube:
        with running_redis(NEWEST.binary(), tmp_path / "redis") as server:
            rig = Rig(kube, server.url, "unread", tmp_path)
            async with rig.watcher("--parked-s", str(parked_s)) as watcher:
                await rig.watching()
                if forbidden:
                    kube.apply(Forbid(resource="pods"))
                else:
                    kube.apply(Inject(Injection(Answer(500, "{}"), 1_000, {"resource": "pods"})))
                kube.apply(CutWatches("pods"))
                await watcher.said("permission denied" if forbidden else "cannot read from the Kubernetes API", "pods")
                rig.put("pods", pod())
                rig.put("events", event())
                await asyncio.sleep(parked_s + 2.5)  # past two ticks; that nothing happens can only be waited for
                kube.faults.clear()
                kube.apply(Forbid(resource="pods", allowed=True))
                await rig.until_said(TOKEN, "Pod Created", "Pod Scheduled x1")
                await watcher.stop()
            await rig.client.aclose()


async def test_the_time_in_which_a_watcher_stands_still_is_none_of_an_events_waiting(rig: Rig) -> None:
    parked_s, page = 5.0, Page()
    async with rig.watcher("--metrics-addr", page.addr, "--parked-s", str(parked_s)) as watcher:
        await rig.watching()
        rig.kube.apply(HoldBack("pods"))
        rig.put("pods", pod())
        rig.put("events", event())
        await page.until_sampled("parked_events", 1)
        watcher.process.send_signal(signal.SIGSTOP)
        await asyncio.sleep(parked_s)
        watcher.process.send_signal(signal.SIGCONT)
        await asyncio.sleep(1.5)  # past a tick; that nothing happens can only be waited for
        rig.kube.apply(HoldBack("pods", on=False))
        await rig.until_said(TOKEN, "Pod Created", "Pod Scheduled x1")
        await watcher.stop()
