"""A watcher from the API server to the streams: what is told, over restarts, expiries and refusals."""

from __future__ import annotations

import base64

import pytest

from console.doubles.faults import Answer, Drop, Injection
from console.doubles.kube_control import (
    AnswerGoneOverHttp,
    Compact,
    CutWatches,
    Forbid,
    Inject,
    SendLine,
)
from tests.integration.watcher.rig import Rig, until
from tests.unit.watcher.rig import OTHER_TOKEN, TOKEN, event, pod, replica_set, secret_env


async def test_a_new_pod_and_its_events_reach_its_agent(rig: Rig) -> None:
    async with rig.watcher() as watcher:
        await rig.watching()
        rig.put("events", event())
        rig.put("replicasets", replica_set())
        rig.put("pods", pod())

        async def begun() -> bool:
            return "Pod Scheduled x1" in await rig.said(TOKEN)

        await until(begun)
        rig.put("events", event(count=4))
        rig.put("events", event("e2", about="rs-1", kind="ReplicaSet", reason="FailedCreate"))

        async def all_there() -> bool:
            return len(await rig.said(TOKEN)) == 5

        await until(all_there)
        said = await rig.said(TOKEN)
        assert said.index("Pod Created") < said.index("Pod Scheduled x1") < said.index("Pod Scheduled x4")
        assert said.index("ReplicaSet Queued") < said.index("ReplicaSet FailedCreate x1")
        await watcher.stop()
        assert TOKEN not in watcher.log()


async def test_a_restart_tells_what_happened_meanwhile_and_nothing_twice(rig: Rig) -> None:
    async with rig.watcher() as watcher:
        await rig.watching()
        rig.put("pods", pod())
        rig.put("events", event())
        await rig.until_said(TOKEN, "Pod Created", "Pod Scheduled x1")
        await watcher.stop()
    rig.put("events", event(count=2))
    rig.put("events", event("e2", reason="Killing"))
    async with rig.watcher():
        await rig.until_said(TOKEN, "Pod Created", "Pod Scheduled x1", "Pod Scheduled x2", "Pod Killing x1")


@pytest.mark.parametrize("over_http", [False, True])
async def test_a_restart_after_a_compaction_tells_what_happened_meanwhile(rig: Rig, over_http: bool) -> None:
    async with rig.watcher() as watcher:
        await rig.watching()
        rig.put("pods", pod())
        rig.put("events", event())
        await rig.until_said(TOKEN, "Pod Created", "Pod Scheduled x1")
        await watcher.stop()
    rig.put("events", event("late", reason="Second", at="2026-11-22T15:59:00Z"))
    rig.put("events", event("early", reason="First", at="2026-11-22T15:58:00Z"))
    rig.delete("pods", "pod-1")
    rig.put("pods", pod("pod-2"))
    rig.kube.apply(Compact())
    rig.kube.apply(AnswerGoneOverHttp(over_http))
    async with rig.watcher():

        async def all_there() -> bool:
            return len(await rig.said(TOKEN)) == 6

        await until(all_there)
        records = await rig.records(TOKEN)
        events = [record.reason for record in records if record.type]
        facts = {(record.object.uid, record.reason) for record in records if not record.type}
        assert events == ["Scheduled", "First", "Second"]
        assert facts == {("pod-1", "Created"), ("pod-1", "Deleted"), ("pod-2", "Created")}


async def test_a_killed_watcher_loses_nothing(rig: Rig) -> None:
    async with rig.watcher() as watcher:
        await rig.watching()
        rig.put("pods", pod())
        for number in range(50):
            rig.put("events", event(f"e{number}", reason=f"R{number}"))
        watcher.process.kill()
        await watcher.process.wait()
    rig.put("events", event("last", reason="Last"))
    async with rig.watcher():
        expected = ["Pod Created", *(f"Pod R{number} x1" for number in range(50)), "Pod Last x1"]

        async def all_there() -> bool:
            return sorted(await rig.said(TOKEN)) == sorted(expected)

        await until(all_there)


async def test_cut_watches_and_expiries_lose_and_repeat_nothing(rig: Rig) -> None:
    async with rig.watcher():
        await rig.watching()
        rig.put("pods", pod())
        for number in range(30):
            rig.put("events", event(f"e{number}", reason=f"R{number}", at=f"2026-11-22T15:50:{number:02}Z"))
            if number % 10 == 3:
                rig.kube.apply(CutWatches())
            if number % 10 == 6:
                rig.kube.apply(CutWatches("events"))
                rig.kube.apply(Compact())
        await rig.until_said(TOKEN, "Pod Created", *(f"Pod R{number} x1" for number in range(30)))


async def test_at_the_first_start_only_those_who_wait_are_told(rig: Rig) -> None:
    rig.put("pods", pod("old", phase="Running", ready=True, started=True))
    rig.put("events", event("e-old", about="old"))
    waiting = pod("new", env=[{"name": "CODER_AGENT_TOKEN", "value": OTHER_TOKEN}])
    rig.put("pods", waiting)
    rig.put("events", event("e-new", about="new", reason="Pulling"))
    async with rig.watcher() as watcher:
        await rig.until_said(OTHER_TOKEN, "Pod Created", "Pod Pulling x1")
        rig.put("events", event("e-later", about="old", reason="Killing"))
        await rig.until_said(TOKEN, "Pod Killing x1")
        await watcher.stop()
    rig.kube.apply(Compact())
    async with rig.watcher():
        rig.put("events", event("e-last", about="old", reason="Last"))
        await rig.until_said(TOKEN, "Pod Killing x1", "Pod Last x1")


async def test_a_secret_that_comes_later_delays_only_its_own_pod(rig: Rig) -> None:
    async with rig.watcher() as watcher:
        await rig.watching()
        rig.put("pods", pod(env=secret_env()))
        rig.put("events", event())
        rig.put("pods", pod("other", env=[{"name": "CODER_AGENT_TOKEN", "value": OTHER_TOKEN}]))
        await rig.until_said(OTHER_TOKEN, "Pod Created")
        await watcher.said("cannot be read yet", "secret_missing")
        await watcher.stop()
    rig.put("secrets", {"metadata": {"name": "agent", "namespace": "ns"}, "data": {"token": _b64(TOKEN)}})
    async with rig.watcher():
        await rig.until_said(TOKEN, "Pod Created", "Pod Scheduled x1")


async def test_a_refusal_in_one_namespace_is_said_and_the_others_go_on(rig: Rig) -> None:
    rig.kube.apply(Forbid(resource="events", namespace="closed"))
    async with rig.watcher("--namespaces", "closed,open,missing") as watcher:
        await watcher.said("permission denied", "events", "'closed'", "get, list and watch")
        rig.put("pods", pod(namespace="open"))
        rig.put("events", event(namespace="open"))
        await rig.until_said(TOKEN, "Pod Created", "Pod Scheduled x1")
        rig.put("pods", pod("p2", namespace="closed", env=[{"name": "CODER_AGENT_TOKEN", "value": OTHER_TOKEN}]))
        rig.put("events", event("e2", about="p2", namespace="closed"))
        rig.kube.apply(Forbid(resource="events", namespace="closed", allowed=True))
        await rig.until_said(OTHER_TOKEN, "Pod Created", "Pod Scheduled x1")


async def test_selectors_choose_pods_and_owners(rig: Rig) -> None:
    async with rig.watcher("-l", "app=coder", "-f", "metadata.namespace!=other"):
        await rig.watching()
        theirs = pod("theirs")
        ours = pod("ours")
        ours["metadata"]["labels"] = {"app": "coder"}
        elsewhere = pod("elsewhere", namespace="other")
        elsewhere["metadata"]["labels"] = {"app": "coder"}
        for each in (theirs, elsewhere, ours):
            rig.put("pods", each)
        rig.put("replicasets", replica_set("not-ours"))
        rig.put("replicasets", replica_set("rs-ours", labels={"app": "coder"}))

        async def both() -> bool:
            return {record.object.uid for record in await rig.records(TOKEN)} == {"ours", "rs-ours"}

        await until(both)
        ours["metadata"]["labels"] = {}
        rig.put("pods", ours)  # leaves the selection, but lives
        rig.put("events", event(about="ours", reason="Last"))

        async def told() -> bool:
            return "Pod Last x1" in await rig.said(TOKEN)

        await until(told)
        assert "Pod Deleted" not in await rig.said(TOKEN)


async def test_odd_lines_and_huge_objects_stop_nothing(rig: Rig) -> None:
    huge = pod()
    huge["metadata"]["annotations"] = {"big": "x" * 5_000_000}
    async with rig.watcher() as watcher:
        await rig.watching()
        for line in ("not json\n", '{"type":"ADDED","object":{"metadata":7}}\n', '{"type":"ODD","object":{}}\n'):
            rig.kube.apply(SendLine(line))
        rig.put("pods", huge)
        longest = "a" + "é" * 32_767 + "z"  # 64 KiB
        rig.put("events", event(message=longest))
        await rig.until_said(TOKEN, "Pod Created", "Pod Scheduled x1")
        await watcher.said("could not be decoded")
        assert (await rig.records(TOKEN))[1].message == longest


async def test_of_a_message_beyond_all_bounds_the_beginning_is_told_and_how_much_is_not(rig: Rig) -> None:
    async with rig.watcher():
        await rig.watching()
        rig.put("pods", pod())
        rig.put("events", event(message="m" * 100_000))
        await rig.until_said(TOKEN, "Pod Created", "Pod Scheduled x1")
        message = (await rig.records(TOKEN))[1].message
    kept = message.count("m", 0, message.index(" "))
    assert message == "m" * kept + f" … [{100_000 - kept} more bytes not shown]"
    assert 65_000 < len(message.encode()) <= 65_536


async def test_server_faults_and_throttling_are_waited_out(rig: Rig) -> None:
    for fault in (Answer(500), Answer(429, headers={"Retry-After": "1"}), Drop(), Answer(200, "<html>")):
        rig.kube.apply(Inject(Injection(fault, where={"verb": "list", "resource": "pods"})))
    rig.put("pods", pod())
    async with rig.watcher() as watcher:
        await rig.until_said(TOKEN, "Pod Created")
        await watcher.said("the Kubernetes API answers again")


async def test_bookmarks_move_the_saved_position(rig: Rig) -> None:
    async with rig.watcher():
        await rig.watching()
        rig.put("pods", pod())
        await rig.until_saved("replicasets")  # Kubernetes sends none for events


async def test_watches_of_one_cluster_by_two_watchers_tell_each_thing_once(rig: Rig) -> None:
    async with rig.watcher(), rig.watcher():
        await rig.watching(6)
        rig.put("pods", pod())
        for number in range(20):
            rig.put("events", event(f"e{number}", reason=f"R{number}"))
        rig.put("pods", pod("end", env=[{"name": "CODER_AGENT_TOKEN", "value": OTHER_TOKEN}]))
        await rig.until_said(OTHER_TOKEN, "Pod Created")
        await rig.until_said(TOKEN, "Pod Created", *(f"Pod R{number} x1" for number in range(20)))


def _b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
