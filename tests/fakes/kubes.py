"""A Kubernetes API to be tested, double or real: how to call it and how to read its watches."""

from __future__ import annotations

import asyncio
import ssl
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

import aiohttp
import msgspec
import pytest

from tests.fakes.answered import Answered

Object = dict[str, Any]

SECRETS: Final = "secrets"  # what most tests use: no controller makes or changes any by itself
LINE_WITHIN_S: Final = 10.0
CONTROLLER_WITHIN_S: Final = 60.0  # a controller backs off after each restart of its API server
_POLL_S: Final = 0.05
_LINE_MAX_BYTES: Final = 16 * 1024 * 1024


class User(msgspec.Struct, frozen=True):
    """A user of the API, by the name that its messages use."""

    name: str
    token: str


class WatchEvent(msgspec.Struct, frozen=True):
    """One line of a watch."""

    type: str
    object: Object

    @property
    def name(self) -> str:
        return str(self.object["metadata"]["name"])

    @property
    def version(self) -> int:
        return int(self.object["metadata"]["resourceVersion"])


class WatchStream:
    """An open watch."""

    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        self.status = answer.status
        self._content = answer.content

    async def line(self, within_s: float = LINE_WITHIN_S) -> bytes:
        """The next line; empty at an orderly end. Raises TimeoutError, aiohttp.ClientPayloadError if it breaks."""
        async with asyncio.timeout(within_s):
            return await self._content.readline()

    async def next(self, within_s: float = LINE_WITHIN_S) -> WatchEvent:
        line = await self.line(within_s)
        if not line:
            pytest.fail("the watch ended where an event was expected")
        return msgspec.json.decode(line, type=WatchEvent)

    async def rest(self) -> list[WatchEvent]:
        """What comes until the server ends the watch."""
        events = []
        while line := await self.line():
            events.append(msgspec.json.decode(line, type=WatchEvent))
        return events


class KubeUnderTest:
    """Calls the API at `url` as `admin`, who may do everything, unless another token is named."""

    def __init__(
        self,
        url: str,
        admin: User,
        session: aiohttp.ClientSession,
        *,
        powerless: User | None = None,
        forget: Callable[[], None] | None = None,
    ) -> None:
        self.url = url.rstrip("/")
        self.admin = admin
        self._session = session
        self._powerless = powerless
        self._forget = forget

    @property
    def powerless(self) -> User:
        """A user without any right. Skips the test if there is none."""
        return self._powerless or pytest.skip("no user without rights is known of this API server")

    async def forget(self) -> None:
        """Make the server forget its history: etcd's and its own cache's. Skips the test if that cannot be done."""
        if self._forget is None:
            pytest.skip("this API server cannot be made to forget its history")
        await asyncio.to_thread(self._forget)

    async def call(
        self,
        method: str,
        path: str,
        body: object = None,
        query: Mapping[str, str] | None = None,
        *,
        token: str | None = None,
    ) -> Answered:
        kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
        headers = {"Content-Type": kind, "Authorization": f"Bearer {self.admin.token if token is None else token}"}
        data = None if body is None else msgspec.json.encode(body)
        async with self._session.request(method, self.url + path, data=data, params=query, headers=headers) as answer:
            return await Answered.read(answer)

    async def good(self, method: str, path: str, body: object = None, query: Mapping[str, str] | None = None) -> Object:
        """The object in an answer that must be good."""
        answer = await self.call(method, path, body, query)
        assert answer.status < 300, answer.body
        return dict(answer.json())

    @asynccontextmanager
    async def watch(self, path: str, query: Mapping[str, str] | None = None) -> AsyncIterator[WatchStream]:
        """An open watch, for 30 s unless `query` says otherwise."""
        headers = {"Authorization": f"Bearer {self.admin.token}"}
        params = {"watch": "1", "timeoutSeconds": "30", **(query or {})}
        timeout = aiohttp.ClientTimeout(total=None)
        async with self._session.get(self.url + path, params=params, headers=headers, timeout=timeout) as answer:
            yield WatchStream(answer)


@asynccontextmanager
async def open_kube(
    url: str,
    admin: User,
    ca: bytes = b"",
    *,
    powerless: User | None = None,
    forget: Callable[[], None] | None = None,
) -> AsyncIterator[KubeUnderTest]:
    """The API at `url`, whose certificate the authority in `ca` (PEM) has signed, if it is https."""
    trust: ssl.SSLContext | bool = ssl.create_default_context(cadata=ca.decode()) if ca else True
    connector = aiohttp.TCPConnector(ssl=trust, limit=0)
    async with aiohttp.ClientSession(connector=connector, read_bufsize=_LINE_MAX_BYTES) as session:
        yield KubeUnderTest(url, admin, session, powerless=powerless, forget=forget)


def secret(name: str, **labels: str) -> Object:
    metadata: Object = {"name": name} | ({"labels": labels} if labels else {})
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata}


def event(name: str, about: Object, reason: str, kind: str = "Normal") -> Object:
    """A core/v1 event about `about`, which has kind, namespace, name and uid."""
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": name},
        "involvedObject": about,
        "reason": reason,
        "message": f"{reason} happened",
        "type": kind,
        "count": 1,
        "firstTimestamp": "2026-11-23T09:00:00Z",
        "lastTimestamp": "2026-11-23T09:00:00Z",
        "source": {"component": "contract"},
    }


def pod(name: str, node: str) -> Object:
    """A pod that no scheduler touches."""
    container = {"name": "c", "image": "nothing"}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {"schedulerName": "nobody", "nodeName": node, "containers": [container]},
    }


def within(namespace: str, resource: str = SECRETS, name: str = "") -> str:
    """The path of a resource of the core group in a namespace."""
    return f"/api/v1/namespaces/{namespace}/{resource}" + (f"/{name}" if name else "")


async def new_namespace(kube: KubeUnderTest, **labels: str) -> str:
    name = f"contract-{uuid.uuid4().hex[:8]}"
    await kube.good("POST", "/api/v1/namespaces", {"metadata": {"name": name, "labels": labels}})
    return name


async def make(kube: KubeUnderTest, namespace: str, value: Object, resource: str = SECRETS) -> Object:
    return await kube.good("POST", within(namespace, resource), value)


async def make_pod(kube: KubeUnderTest, namespace: str, value: Object) -> Object:
    """Pods are refused until the namespace has its service account, which a controller makes."""
    async with asyncio.timeout(CONTROLLER_WITHIN_S):
        while True:
            answer = await kube.call("POST", within(namespace, "pods"), value)
            if answer.status != 403:
                assert answer.status == 201, answer.body
                return dict(answer.json())
            await asyncio.sleep(_POLL_S)


async def label(kube: KubeUnderTest, namespace: str, name: str, **labels: str | None) -> Object:
    return await kube.good("PATCH", within(namespace, name=name), {"metadata": {"labels": labels}})


async def cached(kube: KubeUnderTest, namespace: str, name: str) -> None:
    """Wait until the server's cache, which may lag, has the Secret of that name."""
    async with asyncio.timeout(LINE_WITHIN_S):
        while True:
            found = await kube.good("GET", within(namespace), query={"resourceVersion": "0"})
            if name in names(found):
                return
            await asyncio.sleep(_POLL_S)


def names(found: Object) -> list[str]:
    return [item["metadata"]["name"] for item in found["items"]]


def version(value: Object) -> int:
    return int(value["metadata"]["resourceVersion"])
