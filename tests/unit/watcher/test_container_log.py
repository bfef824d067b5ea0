"""The log that is read is that of the container whose ending was told, however the pod moves on meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from common.ids import Uid
from watcher.container_log import ANSWER_MAX_BYTES, TRIES, read_end
from watcher.directory import Known
from watcher.kube_errors import NotFound, ServerFault

KNOWN = Known("Pod", "ns", "web-1", Uid("u"), 0, told=True)
PATH = "/api/v1/namespaces/ns/pods/web-1"


def ended(container_id: str) -> dict[str, Any]:
    return {"terminated": {"exitCode": 1, "containerID": container_id}}


def pod(state: dict[str, Any], last: dict[str, Any] | None = None, *, uid: str = "u", group: str = "") -> bytes:
    status = {"name": "web", "state": state, "lastState": last or {}}
    return msgspec.json.encode({"metadata": {"uid": uid}, "status": {group or "containerStatuses": [status]}})


class Api:
    """Shows one look after the other, the last one for ever; logs come from a table by `previous`."""

    def __init__(self, *looks: bytes, newest: bytes = b"newest", previous: bytes = b"previous") -> None:
        self.looks = list(looks)
        self._logs = {None: newest, "true": previous}
        self.asked: list[dict[str, str]] = []

    async def get(self, path: str, query: Mapping[str, str] | None = None) -> bytes:
        assert path == PATH
        return self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]

    async def get_beginning(self, path: str, query: Mapping[str, str], max_bytes: int) -> bytes:
        assert (path, query["container"]) == (f"{PATH}/log", "web")
        self.asked.append(dict(query))
        rows = self._logs[query.get("previous")].splitlines(keepends=True)
        return b"".join(rows[-int(query["tailLines"]) :])[: int(query["limitBytes"])]


def read(api: Api, lines: int = 10) -> bytes:
    return asyncio.run(read_end(api, KNOWN, "web", "cd://1", lines))


RUNS: dict[str, Any] = {"running": {}}
STAYS = pod(ended("cd://1"))
RESTARTED = pod(RUNS, ended("cd://1"))


@pytest.mark.parametrize(
    ("looks", "log"),
    [
        ((STAYS,), b"newest"),
        ((RESTARTED,), b"previous"),
        ((pod({"waiting": {"reason": "CrashLoopBackOff"}}, ended("cd://1")),), b"previous"),
        ((pod(ended("cd://2"), ended("cd://1")),), b"previous"),
        ((STAYS, RESTARTED), b"previous"),
        ((pod(ended("cd://1"), group="initContainerStatuses"),), b"newest"),
    ],
    ids=["ended", "running again", "waiting", "its successor ended", "restarted while it was read", "init container"],
)
def test_the_log_comes_from_where_the_container_stands(looks: tuple[bytes, ...], log: bytes) -> None:
    assert read(Api(*looks)) == log


@pytest.mark.parametrize(
    "looks",
    [
        (pod(ended("cd://3"), ended("cd://2")),),
        (STAYS, pod(RUNS, ended("cd://2"))),
        (pod(ended("cd://1"), uid="another"),),
        (msgspec.json.encode({"metadata": {"uid": "u"}}),),
    ],
    ids=["replaced", "replaced while it was read", "another pod of that name", "no status"],
)
def test_another_containers_log_is_never_taken_for_it(looks: tuple[bytes, ...]) -> None:
    with pytest.raises(NotFound):
        read(Api(*looks))


def test_a_container_that_moves_all_the_time_is_left_for_later() -> None:
    api = Api(*[STAYS, RESTARTED] * TRIES)
    with pytest.raises(ServerFault):
        read(api)
    assert len(api.asked) == TRIES


@pytest.mark.parametrize("text", [b"unable to retrieve container logs for containerd://1"])
def test_a_log_that_was_cleaned_up_is_none(text: bytes) -> None:
    with pytest.raises(NotFound):
        read(Api(STAYS, newest=text))
    assert read(Api(STAYS, newest=text + b"\nsaid the program\n")).endswith(b"the program\n")


def test_of_long_lines_the_last_ones_are_read() -> None:
    """A kubelet ends an answer that is too long where it is too long, so what was asked for last is missing."""
    rows = [b"%d" % number + b"x" * 16_000 + b"\n" for number in range(100)]
    api = Api(STAYS, newest=b"".join(rows))
    assert read(api, lines=70) == b"".join(rows[-4:])
    assert [query["tailLines"] for query in api.asked] == ["70", "17", "4"]
    endless = Api(STAYS, newest=b"y" * (ANSWER_MAX_BYTES + 5))
    assert len(read(endless, lines=3)) == ANSWER_MAX_BYTES


def test_rubbish_in_place_of_a_pod_is_a_fault_of_the_server() -> None:
    for body in (b"<html>", b"[" * 100_000, b'{"metadata": 7}'):
        with pytest.raises(ServerFault):
            read(Api(body))
