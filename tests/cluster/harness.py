"""The real programs as processes, and waiting for what they do: always a condition with a bound, never a pause."""

import asyncio
import os
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Final, Self, TypeVar

import aiohttp
import msgspec

from console.doubles.coder import CoderDouble
from console.doubles.coder_state import StoredLog
from tests.servers import free_port

ROOT: Final = Path(__file__).resolve().parents[2]
WITHIN_S: Final = 60.0
STOP_S: Final = 30.0
"""The grace that Kubernetes gives a pod."""

T = TypeVar("T")


async def eventually(
    look: Callable[[], Awaitable[T]], enough: Callable[[T], bool], *, within_s: float = WITHIN_S, why: str = ""
) -> T:
    """Look until it is enough; the answer that was. Raises AssertionError with the last look."""
    deadline_s = time.monotonic() + within_s
    while True:
        seen = await look()
        if enough(seen):
            return seen
        assert time.monotonic() < deadline_s, f"not within {within_s:g} s: {why}; last seen: {seen!r}"
        await asyncio.sleep(0.02)


def program_settings(admin: Path, coder_url: str, redis_url: str, prefix: str, token_key: str) -> dict[str, str]:
    """Environment variables of programs that act as the administrator of a cluster, and say all they do."""
    return {
        "KUBECONFIG": str(admin),
        "CODER_URL": coder_url,
        "CODER_LOGSTREAM_REDIS_URL": redis_url,
        "CODER_LOGSTREAM_REDIS_PREFIX": prefix,
        "CODER_LOGSTREAM_TOKEN_KEY": token_key,
        "CODER_LOGSTREAM_LOG_FORMAT": "json",
        "CODER_LOGSTREAM_LOG_LEVEL": "debug",
    }


class Program:
    """One running program and what it printed. Its log goes to a file, which failures quote."""

    def __init__(self, process: asyncio.subprocess.Process, log: Path, probe: str) -> None:
        """`probe`: where it answers probes, and perhaps scrapes."""
        self._process = process
        self._probe = probe
        self.log_file = log

    @property
    def log(self) -> str:
        return self.log_file.read_text(errors="replace")

    async def said(self, *words: str, within_s: float = WITHIN_S) -> str:
        """The first log line that holds all `words`."""

        async def look() -> list[str]:
            assert self._process.returncode is None, f"it ended with {self._process.returncode}: {self.log[-3000:]}"
            return [line for line in self.log.splitlines() if all(word in line for word in words)]

        return (await eventually(look, bool, within_s=within_s, why=f"{words} in {self.log_file}"))[0]

    async def ready(self, within_s: float = WITHIN_S) -> None:
        """Wait until its /readyz says so."""

        async def look() -> str:
            assert self._process.returncode is None, f"it ended with {self._process.returncode}: {self.log[-3000:]}"
            try:
                async with aiohttp.ClientSession() as session, session.get(f"http://{self._probe}/readyz") as answer:
                    return "ok" if answer.status == 200 else await answer.text()
            except aiohttp.ClientConnectionError as error:
                return str(error)

        await eventually(look, lambda said: said == "ok", within_s=within_s, why=f"/readyz, see {self.log_file}")

    async def metrics(self) -> str:
        """The page that Prometheus would scrape."""
        async with aiohttp.ClientSession() as session, session.get(f"http://{self._probe}/metrics") as answer:
            assert answer.status == 200, await answer.text()
            return await answer.text()

    async def ended(self, within_s: float = WITHIN_S) -> int:
        """Its exit code, when it has ended by itself."""
        return await asyncio.wait_for(self._process.wait(), within_s)

    async def stop(self) -> int:
        """SIGTERM; its exit code. Killed if it does not end."""
        if self._process.returncode is None:
            self._process.terminate()
        try:
            return await asyncio.wait_for(self._process.wait(), STOP_S)
        except TimeoutError:
            await self.kill()
            raise AssertionError(f"no end after SIGTERM in {STOP_S:g} s: {self.log[-3000:]}") from None

    def signal(self, number: int) -> None:
        """Send a signal; nothing happens if it has ended."""
        if self._process.returncode is None:
            self._process.send_signal(number)

    async def kill(self) -> None:
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()


class Programs:
    """Starts watchers and shippers that share one store, one prefix and one token key; ends them all at the end."""

    def __init__(self, folder: Path, settings: Mapping[str, str]) -> None:
        self._folder = folder
        self._settings = dict(settings)
        self._started: list[Program] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        for program in self._started:
            await program.kill()

    @property
    def settings(self) -> dict[str, str]:
        """Environment variables of all."""
        return dict(self._settings)

    def set(self, **settings: str) -> None:
        """Environment variables of what is started from now on."""
        self._settings |= settings

    async def start(self, *watcher_flags: str) -> Program:
        """A shipper and a watcher that watches all it should; answers the watcher."""
        shipper = await self.shipper()
        watcher = await self.watcher(*watcher_flags)
        await asyncio.gather(shipper.ready(), watcher.ready())
        return watcher

    async def watcher(self, *flags: str, **settings: str) -> Program:
        """Started, perhaps not ready yet. `settings` are environment variables on top of those of all."""
        return await self._start("watcher", flags, settings)

    async def shipper(self, *flags: str, **settings: str) -> Program:
        return await self._start("shipper", flags, settings)

    async def _start(self, name: str, flags: tuple[str, ...], settings: Mapping[str, str]) -> Program:
        log = self._folder / f"{name}-{len(self._started)}.log"
        probe = f"127.0.0.1:{free_port()}"
        inherited = {key: os.environ[key] for key in ("PATH", "LANG") if key in os.environ}
        environment = inherited | {"HOME": str(self._folder)} | dict(self._settings) | dict(settings)
        with log.open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", name, "--metrics-addr", probe, "--probe-addr", "", *flags,
                cwd=ROOT, env=environment, stdin=asyncio.subprocess.DEVNULL, stdout=output, stderr=output,
            )  # fmt: skip
        self._started.append(Program(process, log, probe))
        return self._started[-1]

    @property
    def log_files(self) -> list[Path]:
        """Of all that were ever started."""
        return [program.log_file for program in self._started]

    def logs(self) -> str:
        return "\n".join(f"--- {program.log_file.name}\n{program.log[-4000:]}" for program in self._started)


class Line(msgspec.Struct, frozen=True):
    level: str
    text: str


class WorkspaceLog:
    """What one agent's log holds in the Coder double."""

    def __init__(self, coder: CoderDouble, token: str) -> None:
        self._coder = coder
        self.token = token

    def lines(self) -> list[Line]:
        stored: list[StoredLog] = [log for agent in self._coder.agents(self.token) for log in agent.logs]
        return [Line(level=log.level, text=log.output) for log in stored]

    def having(self, *words: str) -> list[Line]:
        """Its lines that hold all `words`."""
        return [line for line in self.lines() if all(word in line.text for word in words)]

    async def gets(self, *words: str, within_s: float = WITHIN_S) -> Line:
        """Wait for a line that holds all `words`."""

        async def look() -> list[Line]:
            return self.lines()

        def enough(lines: list[Line]) -> bool:
            return any(all(word in line.text for word in words) for line in lines)

        await eventually(look, enough, within_s=within_s, why=f"{words} in the log of {self.token[:8]}…")
        return self.having(*words)[0]
