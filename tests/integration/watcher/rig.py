"""Watchers on a real Redis and the Kubernetes double; what they appended is read from the agents' streams."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import redis.asyncio

from common.crypto import TokenVault, new_token_key
from common.record import LogRecord, decode_record
from common.store.connect import connect
from common.store.dispatcher import Dispatcher
from common.store.keys import Keys
from console.doubles.kube import KubeDouble, kubeconfig
from console.doubles.kube_control import Delete, Put
from watcher.shares import slot_of

REPOSITORY = Path(__file__).parents[3]
WITHIN_S = 60.0
"""A bound against hanging, not a measure: other tests may keep both processors busy."""
STOP_S = 30.0
"""The grace that Kubernetes gives a pod."""


async def until(condition: Callable[[], Awaitable[bool]], within_s: float = WITHIN_S) -> None:
    async with asyncio.timeout(within_s):
        while not await condition():  # noqa: ASYNC110 - other processes have no event to wait for
            await asyncio.sleep(0.01)


class Process:
    """`python -m watcher` and its log."""

    def __init__(self, process: asyncio.subprocess.Process, log: Path) -> None:
        self.process = process
        self._log = log

    def log(self) -> str:
        return self._log.read_text()

    async def said(self, *words: str) -> None:
        async def there() -> bool:
            assert self.process.returncode is None, self.log()
            return any(all(word in line for word in words) for line in self.log().splitlines())

        await until(there)

    async def stop(self) -> None:
        """SIGTERM; the exit code must be 0."""
        self.process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(self.process.wait(), STOP_S) == 0, self.log()


class Rig:
    """One release: a Redis prefix, a token key and a cluster."""

    def __init__(self, kube: KubeDouble, redis_url: str, prefix: str, folder: Path) -> None:
        self.kube = kube
        self.redis_url = redis_url
        self.keys = Keys(prefix)
        self.token_key = new_token_key()
        self.client: redis.asyncio.Redis = connect(redis_url)
        self._dispatcher = Dispatcher(self.client, self.keys)
        self._folder = folder
        self._started = 0
        (folder / "kubeconfig").write_text(kubeconfig(kube.url))

    def put(self, resource: str, value: dict[str, Any]) -> None:
        self.kube.apply(Put(resource, value))

    def delete(self, resource: str, name: str, namespace: str = "ns") -> None:
        self.kube.apply(Delete(resource, name, namespace))

    @contextlib.asynccontextmanager
    async def watcher(self, *flags: str, module: str = "watcher", **environ: str) -> AsyncIterator[Process]:
        """A running watcher; killed at the end unless it was stopped."""
        self._started += 1
        log = self._folder / f"watcher-{self._started}.log"
        settings = {
            "CODER_LOGSTREAM_REDIS_URL": self.redis_url,
            "CODER_LOGSTREAM_REDIS_PREFIX": self.keys.prefix,
            "CODER_LOGSTREAM_TOKEN_KEY": self.token_key,
            "CODER_LOGSTREAM_LOG_FORMAT": "json",
            "KUBECONFIG": str(self._folder / "kubeconfig"),
        }
        with log.open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", module, *flags,
                cwd=REPOSITORY, env={**os.environ, **settings, **environ}, stdout=output, stderr=output,
            )  # fmt: skip
        try:
            yield Process(process, log)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()

    async def watching(self, watches: int = 3) -> None:
        """Until this many watches are open at the double."""

        async def open_() -> bool:
            return self.kube.totals().open_watches >= watches

        await until(open_)

    async def records(self, token: str) -> list[LogRecord]:
        """What waits for the agent of `token`, in order."""
        vault = await TokenVault.open(self.client, self.keys, [self.token_key])
        waiting = await self._dispatcher.read(vault.agent_id(token), 1 << 30)
        read = [decode_record(each.payload) for each in waiting]
        assert all(isinstance(record, LogRecord) for record in read)
        return [record for record in read if isinstance(record, LogRecord)]

    async def said(self, token: str) -> list[str]:
        return [
            f"{record.object.kind} {record.reason}" + (f" x{record.count}" if record.type else "")
            for record in await self.records(token)
        ]

    async def until_said(self, token: str, *lines: str, within_s: float = WITHIN_S) -> None:
        """Until exactly `lines` wait for the agent of `token`."""

        async def there() -> bool:
            return await self.said(token) == list(lines)

        try:
            await until(there, within_s)
        except TimeoutError:
            raise AssertionError(f"said {await self.said(token)}, not {list(lines)}") from None

    async def position(self, resource: str) -> str:
        """The saved position of `resource` for namespace ns, which is watched with all others."""
        raw: Any = await self.client.hget(self.keys.positions(resource), slot_of("ns"))
        return raw.decode() if raw else ""

    async def until_saved(self, resource: str) -> None:
        """Until the resource's position is that of the double's newest write."""
        newest = str(self.kube.writes()[-1].version)

        async def saved() -> bool:
            return await self.position(resource) == newest

        await until(saved)


__all__ = ["WITHIN_S", "Process", "Rig", "until"]
