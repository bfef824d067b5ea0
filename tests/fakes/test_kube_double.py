"""The Kubernetes API double passes the suite that the real API server passes too (`tests/cluster`)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import msgspec
import pytest

from console.doubles.faults import Answer, Drop, Hang, Injection
from console.doubles.kube import KubeDouble
from console.doubles.kube_control import (
    AnswerGoneOverHttp,
    Compact,
    CutWatches,
    Delete,
    Forbid,
    HoldBack,
    Inject,
    Play,
    Put,
    PutLog,
    Reset,
    SendBookmarks,
    SendLine,
    Step,
)
from console.doubles.kube_store import NoSuchObject
from console.doubles.remote import DoubleRefused, KubeRemote
from tests.fakes.contract_kube import KubeContract
from tests.fakes.kubes import KubeUnderTest, User, open_kube, pod, within

ADMIN = User("admin", "the-admins-token")
VIEWER = User("viewer", "the-viewers-token")


@pytest.fixture
async def double() -> AsyncIterator[KubeDouble]:
    async with KubeDouble(tokens={user.token: user.name for user in (ADMIN, VIEWER)}) as double:
        double.apply(Forbid(user=VIEWER.name))
        yield double


@pytest.fixture
async def kube(double: KubeDouble) -> AsyncIterator[KubeUnderTest]:
    async with open_kube(double.url, ADMIN, powerless=VIEWER, forget=lambda: double.apply(Compact())) as kube:
        yield kube


class TestTheDouble(KubeContract):
    pass


async def test_history_forgotten_may_be_told_over_http(double: KubeDouble, kube: KubeUnderTest) -> None:
    double.apply(AnswerGoneOverHttp(True))
    answer = await kube.call("GET", "/api/v1/pods", query={"watch": "1", "resourceVersion": "1"})
    assert (answer.status, answer.json()["code"], answer.json()["reason"]) == (410, 410, "Expired")


async def test_open_watches_of_one_resource_can_be_cut(double: KubeDouble, kube: KubeUnderTest) -> None:
    async with kube.watch("/api/v1/pods") as pods, kube.watch("/api/v1/secrets") as secrets:
        double.apply(CutWatches("pods"))
        with pytest.raises(aiohttp.ClientPayloadError):
            await pods.line()
        double.apply(Put("secrets", {"metadata": {"name": "a"}}))
        assert (await secrets.next()).name == "a"


async def test_watches_of_one_resource_can_be_kept_behind_the_others(double: KubeDouble, kube: KubeUnderTest) -> None:
    asked = {"allowWatchBookmarks": "true"}
    async with kube.watch("/api/v1/pods", asked) as pods, kube.watch("/api/v1/secrets") as secrets:
        double.apply(HoldBack("pods"))
        double.apply(Put("pods", {"metadata": {"name": "behind"}}))
        double.apply(SendBookmarks())
        double.apply(Put("secrets", {"metadata": {"name": "a"}}))
        assert (await secrets.next()).name == "a"
        async with kube.watch("/api/v1/pods") as later:
            assert (await later.next()).name == "behind"
            double.apply(HoldBack("pods", on=False))
            double.apply(Put("pods", {"metadata": {"name": "next"}}))
            assert (await later.next()).name == "next"
        assert [(await pods.next()).name, (await pods.next()).name] == ["behind", "next"]


async def test_any_line_can_be_sent(double: KubeDouble, kube: KubeUnderTest) -> None:
    async with kube.watch("/api/v1/pods") as pods:
        double.apply(SendLine('{"type": "ADD\n', "secrets"))
        double.apply(SendLine("rubbish\n", "pods"))
        assert await pods.line() == b"rubbish\n"


async def test_no_line_overtakes_what_is_kept_behind(double: KubeDouble, kube: KubeUnderTest) -> None:
    """A real API server may deliver again what it has delivered, never before it."""
    async with kube.watch("/api/v1/pods") as pods:
        double.apply(HoldBack("pods"))
        double.apply(Put("pods", {"metadata": {"name": "behind"}}))
        double.apply(SendLine("again\n", "pods"))
        double.apply(HoldBack("pods", on=False))
        assert (await pods.next()).name == "behind"
        assert await pods.line() == b"again\n"


async def test_bookmarks_go_to_those_who_asked_and_never_to_events(double: KubeDouble, kube: KubeUnderTest) -> None:
    asked = {"allowWatchBookmarks": "true"}
    async with (
        kube.watch("/api/v1/pods", asked) as pods,
        kube.watch("/api/v1/pods") as plain,
        kube.watch("/api/v1/events", asked) as events,
    ):
        double.apply(SendBookmarks())
        mark = await pods.next()
        double.apply(Put("pods", {"metadata": {"name": "a"}}))
        double.apply(Put("events", {"metadata": {"name": "b"}}))
        assert [(await plain.next()).type, (await events.next()).type] == ["ADDED", "ADDED"]
    assert mark.type == "BOOKMARK"
    assert mark.object["metadata"] == {"resourceVersion": str(double.writes()[-3].version)}
    assert mark.object["spec"] == {"containers": None}  # as recorded


async def test_bookmarks_come_by_themselves() -> None:
    async with (
        KubeDouble(bookmark_every_s=0.01) as double,
        open_kube(double.url, ADMIN) as kube,
        kube.watch("/api/v1/pods", {"allowWatchBookmarks": "true"}) as watch,
    ):
        assert (await watch.next()).type == "BOOKMARK"


async def test_the_next_answers_can_be_chosen(double: KubeDouble, kube: KubeUnderTest) -> None:
    busy = Answer(429, "Too many requests, please try again later.\n", {"Retry-After": "1"})
    double.apply(Inject(Injection(busy, times=1, where={"verb": "watch", "resource": "events"})))
    assert (await kube.call("GET", "/api/v1/events")).status == 200
    answer = await kube.call("GET", "/api/v1/events", query={"watch": "1"})
    assert (answer.status, answer.headers["retry-after"]) == (429, "1")


async def test_a_request_can_hang_or_be_cut(double: KubeDouble, kube: KubeUnderTest) -> None:
    double.apply(Inject(Injection(Hang(), where={"verb": "get"})))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await kube.call("GET", within("default", "pods", "a"))
    double.apply(Inject(Injection(Drop(handled=True), where={"verb": "create"})))
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await kube.call("POST", within("default", "pods"), pod("a", "n"))
    assert (await kube.call("GET", within("default", "pods", "a"))).status == 200


async def test_one_namespace_can_be_forbidden_and_allowed_again(double: KubeDouble, kube: KubeUnderTest) -> None:
    rule = Forbid(resource="pods", namespace="closed")
    double.apply(rule)
    assert (await kube.call("GET", within("closed", "pods"))).status == 403
    assert (await kube.call("GET", within("closed", "pods"), query={"watch": "1"})).status == 403
    assert (await kube.call("GET", within("open", "pods"))).status == 200
    assert (await kube.call("GET", "/api/v1/pods")).status == 200
    double.apply(msgspec.structs.replace(rule, allowed=True))
    assert (await kube.call("GET", within("closed", "pods"))).status == 200


async def test_the_operator_gives_uids_and_namespaces_come_with_objects(
    double: KubeDouble, kube: KubeUnderTest
) -> None:
    double.apply(Put("pods", {"metadata": {"name": "a", "namespace": "new", "uid": "u1"}}))
    double.apply(Put("pods", {"metadata": {"name": "a", "namespace": "new", "uid": "u2"}}))
    double.apply(Delete("pods", "a", "new"))
    told = [(write.kind, write.uid) for write in double.writes() if write.resource == "pods"]
    assert told == [("ADDED", "u1"), ("DELETED", "u1"), ("ADDED", "u2"), ("DELETED", "u2")]
    assert (await kube.good("GET", "/api/v1/namespaces/new"))["status"] == {"phase": "Active"}
    with pytest.raises(NoSuchObject):
        double.apply(Delete("pods", "a", "new"))


async def test_a_script_is_played_in_its_time_and_each_write_is_dated(double: KubeDouble, kube: KubeUnderTest) -> None:
    steps = [Step(n * 20.0, Put("events", {"metadata": {"name": f"e{n}", "uid": f"u{n}"}})) for n in range(6)]
    async with kube.watch("/api/v1/events") as watch:
        began_ns = time.time_ns()
        double.apply(Play(steps[::-1], speed=2_000.0))
        assert double.totals().unplayed_steps == 6
        seen = [(await watch.next()).name for _ in steps]
    assert seen == [f"e{n}" for n in range(6)]
    dated_ns = [write.unix_ns - began_ns for write in double.writes() if write.resource == "events"]
    assert dated_ns == sorted(dated_ns)
    assert dated_ns[-1] >= 0.05 * 1e9
    assert double.totals().unplayed_steps == 0


def _with_log(state: dict[str, Any], last: dict[str, Any] | None = None) -> Put:
    status = {"name": "c", "containerID": "cd://now", "state": state, "lastState": last or {}}
    return Put("pods", pod("a", "n") | {"status": {"containerStatuses": [status]}})


def _ended(container_id: str) -> dict[str, Any]:
    return {"terminated": {"exitCode": 1, "containerID": container_id}}


_BACK_OFF: dict[str, Any] = {"waiting": {"reason": "CrashLoopBackOff"}}


@pytest.mark.parametrize(
    ("state", "last", "newest", "previous"),
    [
        ({"running": {}}, None, "now", 'previous terminated container "c" in pod "a" not found'),
        ({"running": {}}, _ended("cd://1"), "now", "one"),
        (_ended("cd://1"), None, "one", 'previous terminated container "c" in pod "a" not found'),
        (_BACK_OFF, _ended("cd://1"), "one", "one"),
        (_ended("cd://1"), _ended("cd://0"), "one", "unable to retrieve container logs for cd://0"),
        ({"waiting": {}}, None, 'container "c" in pod "a" is waiting to start: ContainerCreating', None),
    ],
)
async def test_a_log_is_that_of_the_container_that_a_kubelet_would_take(
    double: KubeDouble, kube: KubeUnderTest, state: dict[str, Any], last: Any, newest: str, previous: str | None
) -> None:
    """As the kubelet's `validateContainerLogStatus` has it (read), the last one but one as seen in the field."""
    for container_id, text in (("cd://now", "now"), ("cd://1", "one")):
        double.apply(PutLog(container_id, text))
    double.apply(_with_log(state, last))
    path = within("default", "pods", "a") + "/log"
    for query, told in (({}, newest), ({"previous": "true"}, previous)):
        answer = await kube.call("GET", path, query=query)
        if told is not None:
            assert told == (answer.body.decode() if answer.status == 200 else answer.message)
    assert (await kube.call("DELETE", path)).status == 405


async def test_of_a_log_the_last_lines_are_sent_and_of_those_the_first_bytes(
    double: KubeDouble, kube: KubeUnderTest
) -> None:
    double.apply(PutLog("cd://1", "one\ntwo\nthree\n"))
    double.apply(_with_log(_ended("cd://1")))
    path, query = within("default", "pods", "a") + "/log", {"container": "c", "tailLines": "2"}
    assert (await kube.call("GET", path, query=query)).body == b"two\nthree\n"
    assert (await kube.call("GET", path, query=query | {"limitBytes": "5"})).body == b"two\nt"


async def test_a_reset_cluster_is_empty(double: KubeDouble, kube: KubeUnderTest) -> None:
    double.apply(Put("pods", {"metadata": {"name": "a"}}))
    async with kube.watch("/api/v1/pods") as watch:
        await watch.next()
        double.apply(Reset())
        with pytest.raises(aiohttp.ClientPayloadError):
            await watch.line()
    assert (await kube.good("GET", "/api/v1/pods"))["items"] == []
    assert double.totals().requests == {"list pods 200": 1}


async def test_a_watch_whose_client_left_is_forgotten(double: KubeDouble, kube: KubeUnderTest) -> None:
    async with kube.watch("/api/v1/pods"):
        assert double.totals().open_watches == 1
    async with asyncio.timeout(5):
        while True:
            if double.totals().open_watches == 0:
                return
            await asyncio.sleep(0)


async def test_the_double_is_steered_over_http_too(double: KubeDouble) -> None:
    async with KubeRemote(double.url) as remote:
        await remote.apply([Put("pods", {"metadata": {"name": "a", "uid": "u"}}), Delete("pods", "a", "default")])
        assert [(write.kind, write.uid) for write in (await remote.writes())[-2:]] == [("ADDED", "u"), ("DELETED", "u")]
        assert (await remote.totals()).open_watches == 0
        with pytest.raises(DoubleRefused):
            await remote.apply([Put("gadgets", {"metadata": {"name": "a"}})])
