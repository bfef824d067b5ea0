"""Play many seeds in a few processes of our own, and keep what became of each.

A worker (`python -m tests.faults.campaign`) reads seeds from its input and writes an outcome a line.
"""

from __future__ import annotations

import asyncio
import math
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import click
import msgspec

from tests.faults.compressed import CompressedLoop
from tests.faults.outcome import Outcome
from tests.faults.play import play_seeds, staged
from tests.redis_builds import NEWEST
from tests.servers import running_redis

__all__ = ["AT_ONCE", "PROCESSES", "kept", "played", "told"]

PROCESSES: Final = 2
AT_ONCE: Final = 10
STORY_LINES: Final = 60


def played(
    seeds: Sequence[int],
    *,
    processes: int = PROCESSES,
    at_once: int = AT_ONCE,
    shrink: bool = True,
    keep: Path | None = None,
    within_s: float = math.inf,
) -> list[Outcome]:
    """The outcomes of `seeds`, of those whose process lived to tell. `keep`: a file to add them to as they come.

    `within_s`: when to be content with those that are known. `at_once`: how many worlds are played at once in each
    process. `shrink`: look for the shortest schedule that fails.
    """
    outcomes: list[Outcome] = []
    lock = threading.Lock()
    command = [sys.executable, "-m", "tests.faults.campaign", "--at-once", str(at_once)]
    command.append("--shrink" if shrink else "--no-shrink")

    def listen(process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            with lock:
                outcomes.append(msgspec.json.decode(line, type=Outcome))
                if keep is not None:
                    with keep.open("ab") as file:
                        file.write(line)

    workers = []
    try:
        for number in range(processes):
            process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)
            thread = threading.Thread(target=listen, args=(process,), daemon=True)
            thread.start()
            workers.append((process, thread))
            assert process.stdin is not None
            process.stdin.write(" ".join(map(str, seeds[number::processes])).encode())
            process.stdin.close()
        ends_s = time.monotonic() + within_s
        for _, thread in workers:
            thread.join(min(max(0.0, ends_s - time.monotonic()), threading.TIMEOUT_MAX))
    finally:
        for process, thread in workers:
            _end(process)
            thread.join()
    return sorted(outcomes, key=lambda each: each.seed)


def _end(process: subprocess.Popen[bytes]) -> None:
    """If it has not ended by itself, end it and the servers that it started."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def kept(file: Path | None) -> dict[int, Outcome]:
    """By seed, what an earlier campaign left in `file`."""
    if file is None or not file.exists():
        return {}
    read = (msgspec.json.decode(line, type=Outcome) for line in file.read_bytes().splitlines() if line)
    return {each.seed: each for each in read}


def told(outcome: Outcome) -> str:
    """A failure with its story."""
    return "\n".join([f"seed {outcome.seed} failed:", *outcome.failures[:20], *outcome.story[:STORY_LINES], ""])


@click.command()
@click.option("--at-once", default=AT_ONCE)
@click.option("--shrink/--no-shrink", default=True)
def worker(at_once: int, shrink: bool) -> None:
    os.environ["no_proxy"] = os.environ["NO_PROXY"] = "127.0.0.1,localhost"
    seeds = [int(word) for word in sys.stdin.read().split()]

    def tell(outcome: Outcome) -> None:
        sys.stdout.buffer.write(msgspec.json.encode(outcome) + b"\n")
        sys.stdout.buffer.flush()

    async def all_of_them(redis_port: int, folder: Path) -> None:
        async with staged(redis_port, folder, at_once) as stage:
            await play_seeds(seeds, stage, tell, shrink=shrink)

    with tempfile.TemporaryDirectory(prefix="faults-") as name:
        folder = Path(name)
        with (
            running_redis(NEWEST.binary(), folder / "redis") as server,
            asyncio.Runner(loop_factory=CompressedLoop) as runner,
        ):
            runner.run(all_of_them(server.port, folder))


if __name__ == "__main__":
    worker()
