"""Real Redis and Valkey servers on loopback, each a child process with its own folder and port."""

import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from random import SystemRandom
from typing import Final

import msgspec
import redis

START_S = 60.0


class RedisServer(msgspec.Struct, frozen=True):
    url: str
    port: int
    pid: int


class ServerDied(Exception):
    """The server ended or never answered; the message holds the end of its log."""


UNASKED_PORTS: Final = range(12_000, 22_000)
"""Below those that systems choose for whoever asks for any; also 10,000 higher, where a cluster's servers meet."""


def free_port() -> int:
    """A loopback port that was free a moment ago, and that no connection is given by the system meanwhile.

    Another test run may take it: callers try again.
    """
    for port in SystemRandom().sample(UNASKED_PORTS, 100):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise OSError("a hundred loopback ports between 12000 and 22000 are taken")


@contextmanager
def running_redis(
    binary: Path, folder: Path, options: Mapping[str, str] | None = None, port: int = 0
) -> Iterator[RedisServer]:
    """Run `binary` until the block ends. `port` 0 takes a free one; `options` become --name value."""
    folder.mkdir(parents=True, exist_ok=True)
    port = port or free_port()
    settings = {"port": str(port), "bind": "127.0.0.1", "dir": str(folder), "save": "", "appendonly": "no"}
    command = [str(binary)]
    for name, value in (settings | dict(options or {})).items():
        command += [f"--{name}", value]
    with (folder / "server.log").open("ab") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            wait_until_it_answers(process, port, folder / "server.log")
            yield RedisServer(url=f"redis://127.0.0.1:{port}/0", port=port, pid=process.pid)
        finally:
            process.kill()
            process.wait()


def wait_until_it_answers(process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    deadline_s = time.monotonic() + START_S
    with redis.Redis(port=port, socket_timeout=1) as client:
        while time.monotonic() < deadline_s and process.poll() is None:
            try:
                if client.info("server")["process_id"] == process.pid:
                    return
            except redis.RedisError:
                time.sleep(0.01)
    raise ServerDied(f"no answer on port {port}: {log.read_text(errors='replace')[-2000:]}")
