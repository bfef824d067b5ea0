"""A primary, its replica and the Sentinels that watch over them, on loopback."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import redis

from tests.redis_builds import RedisBuild
from tests.replication import until_copied
from tests.servers import RedisServer, free_port, running_redis

SERVICE: Final = "logs"
DOWN_AFTER_MS: Final = 1500
PATIENT_DOWN_AFTER_MS: Final = 5000
"""Where a replica hears nothing before its primary is killed. One that has heard nothing for ten times as long is never
promoted, and on a busy machine a Sentinel may take a third of a minute to notice a death."""
_WITHIN_S: Final = 60.0


class Guarded:
    """Two servers, `primary` and `replica` by what they were at first, and the Sentinels' ports."""

    def __init__(self, primary: RedisServer, replica: RedisServer, sentinels: list[int]) -> None:
        self.primary = primary
        self.replica = replica
        self.sentinels = sentinels

    @property
    def url(self) -> str:
        hosts = ",".join(f"127.0.0.1:{port}" for port in self.sentinels)
        return f"redis+sentinel://{hosts}/{SERVICE}/0"

    def named(self) -> int:
        """The port of the primary that the first Sentinel names."""
        with redis.Redis(port=self.sentinels[0]) as sentinel:
            _, port = sentinel.execute_command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", SERVICE)
        return int(port)

    def until_copied(self) -> None:
        """Until the replica has all that the primary took."""
        until_copied(self.primary.port, self.replica.port)

    def stop_copying(self) -> None:
        """From now on the replica hears nothing of the primary, which goes on taking writes from everybody else. The
        Sentinels are told to be patient."""
        for port in self.sentinels:
            with redis.Redis(port=port) as sentinel:
                sentinel.sentinel_set(SERVICE, "down-after-milliseconds", PATIENT_DOWN_AFTER_MS)
        with redis.Redis(port=self.primary.port) as primary:
            primary.execute_command("ACL", "SETUSER", "default", "-sync", "-psync", "-replconf")
            primary.execute_command("CLIENT", "KILL", "TYPE", "replica")
            _until(lambda: primary.info("replication")["connected_slaves"] == 0)

    def kill_primary(self) -> None:
        """kill -9; what it had not copied is gone."""
        os.kill(self.primary.pid, signal.SIGKILL)

    def until_failed_over(self) -> None:
        _until(lambda: self.named() == self.replica.port)


def _until(condition: Callable[[], object]) -> None:
    deadline_s = time.monotonic() + _WITHIN_S
    while not _holds(condition):
        if time.monotonic() > deadline_s:
            raise TimeoutError("the Sentinels or their servers did not do it")
        time.sleep(0.02)


def _holds(condition: Callable[[], object]) -> bool:
    try:
        return bool(condition())
    except redis.RedisError:
        return False


@contextlib.contextmanager
def running_sentinels(build: RedisBuild, folder: Path, count: int = 3) -> Iterator[Guarded]:
    """All of it until the block ends; the Sentinels know the replica."""
    binary = build.binary()
    with contextlib.ExitStack() as stack:
        primary = stack.enter_context(running_redis(binary, folder / "primary", {"repl-diskless-sync-delay": "0"}))
        replica = stack.enter_context(running_redis(binary, folder / "replica"))
        with redis.Redis(port=replica.port) as client:
            client.replicaof("127.0.0.1", primary.port)
        ports = [stack.enter_context(sentinel_process(binary, folder / f"sentinel-{i}", primary.port, count // 2 + 1))
                 for i in range(count)]  # fmt: skip
        guarded = Guarded(primary, replica, ports)
        for port in ports:
            with redis.Redis(port=port) as sentinel:
                _until(lambda: _knows(sentinel, count - 1))
        guarded.until_copied()
        yield guarded


def _knows(sentinel: redis.Redis, others: int) -> bool:
    state: Any = sentinel.sentinel_master(SERVICE)
    return bool(state["num-slaves"] == 1 and state["num-other-sentinels"] == others)


@contextlib.contextmanager
def sentinel_process(binary: Path, folder: Path, primary: int, quorum: int, conf: str = "") -> Iterator[int]:
    """One Sentinel; `conf` are lines of its own. Answers the port that it listens on without TLS."""
    folder.mkdir(parents=True)
    port = free_port()
    file = folder / "sentinel.conf"
    file.write_text(
        f"port {port}\nbind 127.0.0.1\ndir {folder}\n"
        f"sentinel monitor {SERVICE} 127.0.0.1 {primary} {quorum}\n"
        f"sentinel down-after-milliseconds {SERVICE} {DOWN_AFTER_MS}\n"
        f"sentinel failover-timeout {SERVICE} 5000\n{conf}"
    )
    with (folder / "server.log").open("ab") as log:
        process = subprocess.Popen(
            [str(binary), str(file), "--sentinel"], stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
        try:
            _until(lambda: _listens(port))
            yield port
        finally:
            process.kill()
            process.wait()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
