"""A Valkey of one world's own, with an append-only file: to kill and start again, or to hand over to a replica."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, Final

import redis

from tests.redis_builds import NEWEST
from tests.replication import until_copied
from tests.servers import free_port, wait_until_it_answers

__all__ = ["OwnRedis"]

STOP_S: Final = 30.0


class OwnRedis:
    """`start`, `kill` or `stop`, `start`, `fail_over`, …"""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._replicas = 0
        self._server = _Server(folder)

    @property
    def port(self) -> int:
        """Of the primary."""
        return self._server.port

    def files(self) -> list[Path]:
        """All that the primary has written to its disk."""
        return self._server.files()

    async def start(self) -> None:
        await asyncio.to_thread(self._server.start)

    async def kill(self) -> None:
        """kill -9."""
        await asyncio.to_thread(self._server.kill)

    async def stop(self) -> None:
        """SIGTERM: it writes what is left to its append-only file and ends."""
        await asyncio.to_thread(self._server.stop)

    async def fail_over(self, cut_off: Callable[[], object]) -> None:
        """Promote a replica that has obeyed all that the primary has; the primary is killed, `port` another.

        `cut_off` is called before the last of it is copied: from then on nothing may reach the primary.
        """
        primary, replica = await self._with_replica()
        async with self._taking_over(replica):
            cut_off()
            await asyncio.to_thread(until_copied, primary.port, replica.port)
            await asyncio.to_thread(replica.promote)
        await asyncio.to_thread(primary.kill)

    async def fail_over_lagging(self, lag_s: float, cut_off: Callable[[], object]) -> int:
        """The same with a replica that gets nothing more for `lag_s` before `cut_off`. Answers how many bytes of
        commands are lost, all of them acknowledged."""
        primary, replica = await self._with_replica()
        async with self._taking_over(replica):
            await asyncio.to_thread(replica.promote)  # nobody knows yet, but it follows no more
            copied = (await asyncio.to_thread(primary.replication))["master_repl_offset"]
            await asyncio.sleep(lag_s)
            cut_off()
            reached = (await asyncio.to_thread(primary.replication))["master_repl_offset"]
        await asyncio.to_thread(primary.kill)
        return int(reached - copied)

    async def _with_replica(self) -> tuple[_Server, _Server]:
        """The primary, and a replica that has obeyed all that the primary had."""
        self._replicas += 1
        replica = _Server(self._folder / f"replica-{self._replicas}")
        try:
            await asyncio.to_thread(replica.start, self._server.port)
            await asyncio.to_thread(until_copied, self._server.port, replica.port)
        except BaseException:
            replica.kill()
            raise
        return self._server, replica

    @contextlib.asynccontextmanager
    async def _taking_over(self, replica: _Server) -> AsyncIterator[None]:
        """Until the block ends, which makes `replica` the server."""
        try:
            yield
        except BaseException:
            replica.kill()
            raise
        self._server = replica


class _Server:
    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, primary_port: int = 0) -> None:
        """Run, as the replica of the server at `primary_port` if it is given."""
        self._folder.mkdir(parents=True, exist_ok=True)
        options = {"port": str(self.port), "bind": "127.0.0.1", "dir": str(self._folder), "save": "",
                   "appendonly": "yes", "appendfsync": "everysec", "repl-diskless-sync-delay": "0"}  # fmt: skip
        command = [str(NEWEST.binary()), *(word for name, value in options.items() for word in (f"--{name}", value))]
        if primary_port:
            command += ["--replicaof", "127.0.0.1", str(primary_port)]
        log = self._folder / "server.log"
        with log.open("ab") as output:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        wait_until_it_answers(self._process, self.port, log)

    def files(self) -> list[Path]:
        return [path for path in self._folder.rglob("*") if path.is_file()]

    def replication(self) -> dict[str, Any]:
        with redis.Redis(port=self.port) as client:
            info: dict[str, Any] = client.info("replication")
            return info

    def promote(self) -> None:
        with redis.Redis(port=self.port) as client:
            client.execute_command("REPLICAOF", "NO", "ONE")

    def stop(self) -> None:
        assert self._process is not None
        self._process.terminate()
        assert self._process.wait(STOP_S) == 0
        self._process = None

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
