"""A bare forwarder to compare with: watches pods and events, sends lines to Coder, keeps everything in memory.

As little as does the job on a good day: one process, no retry, no relist, no limit, nothing durable, nothing encrypted,
no metrics. It shows what Python and the two HTTP sides cost, so that ratios to it mean something on any machine.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections import defaultdict, deque
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Final

import aiohttp
import click
import msgspec
import uvloop

__all__ = ["Forwarder", "main"]

_SOURCE: Final = {"id": "cabdacf8-7c90-425c-9815-cae3c75d1169", "display_name": "Kubernetes", "icon": "/icon/k8s.png"}
_BATCH_LINES: Final = 100


class _Metadata(msgspec.Struct, frozen=True, rename="camel"):
    name: str = ""
    uid: str = ""
    resource_version: str = ""


class _Env(msgspec.Struct, frozen=True):
    name: str
    value: str = ""


class _Container(msgspec.Struct, frozen=True):
    env: list[_Env] = []


class _Spec(msgspec.Struct, frozen=True):
    containers: list[_Container] = []


class _Involved(msgspec.Struct, frozen=True):
    uid: str = ""


class _Object(msgspec.Struct, frozen=True, rename="camel"):
    metadata: _Metadata
    spec: _Spec = _Spec()
    involved_object: _Involved = _Involved()
    message: str = ""


class _Change(msgspec.Struct, frozen=True):
    type: str
    object: _Object


class _List(msgspec.Struct, frozen=True):
    metadata: _Metadata


_change_decoder = msgspec.json.Decoder(_Change)


class Forwarder:
    """Lines by agent token, one sending task per agent while it has lines."""

    def __init__(self, session: aiohttp.ClientSession, kube_url: str, coder_url: str) -> None:
        self._session = session
        self._kube_url = kube_url
        self._coder_url = coder_url
        self._token_of: dict[str, str] = {}
        self._parked: defaultdict[str, list[str]] = defaultdict(list)
        self._lines: defaultdict[str, deque[str]] = defaultdict(deque)
        self._registered: set[str] = set()
        self._sending: dict[str, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Forward until cancelled. Says one line when it sees everything that is written from then on."""
        versions = [await self._version("pods"), await self._version("events")]
        print("forwarding", flush=True)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow_pods(versions[0]))
            group.create_task(self._follow_events(versions[1]))

    async def _version(self, resource: str) -> str:
        async with self._session.get(f"{self._kube_url}/api/v1/{resource}?limit=1") as answer:
            return msgspec.json.decode(await answer.read(), type=_List).metadata.resource_version

    async def _follow_pods(self, version: str) -> None:
        async for change in self._watch("pods", version):
            uid = change.object.metadata.uid
            for container in change.object.spec.containers:
                for variable in container.env:
                    if change.type == "ADDED" and variable.name == "CODER_AGENT_TOKEN":
                        self._token_of[uid] = variable.value
                        self._add(uid, f"🐳 Created pod: {change.object.metadata.name}")
                        for text in self._parked.pop(uid, ()):
                            self._add(uid, text)

    async def _follow_events(self, version: str) -> None:
        async for change in self._watch("events", version):
            if change.type in ("ADDED", "MODIFIED"):
                self._add(change.object.involved_object.uid, change.object.message)

    async def _watch(self, resource: str, version: str) -> AsyncIterator[_Change]:
        url = f"{self._kube_url}/api/v1/{resource}?watch=true&timeoutSeconds=3600&resourceVersion={version}"
        async with self._session.get(url) as answer:
            rest = b""
            async for chunk in answer.content.iter_any():
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    yield _change_decoder.decode(line)

    def _add(self, uid: str, text: str) -> None:
        token = self._token_of.get(uid)
        if token is None:
            self._parked[uid].append(text)
            return
        self._lines[token].append(text)
        if token not in self._sending:
            self._sending[token] = asyncio.create_task(self._send(token))

    async def _send(self, token: str) -> None:
        lines, headers = self._lines[token], {"Coder-Session-Token": token, "Content-Type": "application/json"}
        try:
            if token not in self._registered:
                await self._call("POST", "log-source", headers, _SOURCE)
                self._registered.add(token)
            while lines:
                batch = [lines.popleft() for _ in range(min(len(lines), _BATCH_LINES))]
                now = datetime.now(UTC).isoformat()
                logs = [{"created_at": now, "level": "debug", "output": text} for text in batch]
                await self._call("PATCH", "logs", headers, {"log_source_id": _SOURCE["id"], "logs": logs})
        finally:
            del self._sending[token]

    async def _call(self, method: str, path: str, headers: dict[str, str], body: object) -> None:
        url = f"{self._coder_url}/api/v2/workspaceagents/me/{path}"
        async with self._session.request(method, url, headers=headers, data=msgspec.json.encode(body)) as answer:
            await answer.read()
            answer.raise_for_status()


@click.command()
@click.option("--kube-url", required=True)
@click.option("--coder-url", required=True)
def main(kube_url: str, coder_url: str) -> None:
    """Forward events to Coder until interrupted."""

    async def forward() -> None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, asyncio.current_task().cancel)  # type: ignore[union-attr]
        connector = aiohttp.TCPConnector(limit=100)
        async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=None)) as session:
            await Forwarder(session, kube_url, coder_url).run()

    with contextlib.suppress(asyncio.CancelledError):
        uvloop.run(forward())


if __name__ == "__main__":
    main()
