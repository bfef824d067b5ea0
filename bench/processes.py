"""Child processes: started, asked for their CPU time and memory, ended. Only what was started here is ever ended."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, Self

import psutil

from console.orphans import die_with

__all__ = ["Child", "ChildFailed", "Cpu", "python_command"]

_ROOT: Final = Path(__file__).resolve().parent.parent
_GRACE_S: Final = 12.0
_POLL_S: Final = 0.02
_INHERITED: Final = ("PATH", "HOME", "LANG", "TMPDIR", "PROFILE")


class ChildFailed(Exception):
    """A child ended or did not do what it should; the text holds the end of its output."""


class Cpu:
    """CPU seconds of a process since it began, and the difference of two readings."""

    __slots__ = ("system_s", "user_s")

    def __init__(self, user_s: float, system_s: float) -> None:
        self.user_s = user_s
        self.system_s = system_s

    def __sub__(self, earlier: Cpu) -> Cpu:
        return Cpu(self.user_s - earlier.user_s, self.system_s - earlier.system_s)

    @property
    def total_s(self) -> float:
        return self.user_s + self.system_s


def python_command(module: str, *arguments: str) -> list[str]:
    """Runs `module` with this interpreter."""
    return [sys.executable, "-m", module, *arguments]


class Child:
    """One process, its output in `folder`. `async with` starts it, and ends it: SIGTERM, after a grace SIGKILL."""

    def __init__(self, name: str, command: Sequence[str], environ: Mapping[str, str], folder: Path) -> None:
        self.name = name
        self._command = list(command)
        self._environ = {key: os.environ[key] for key in _INHERITED if key in os.environ}
        self._environ |= {"PYTHONPATH": str(_ROOT), **environ}
        self._output = folder / f"{name}.out"
        self._errors = folder / f"{name}.err"
        self._process: subprocess.Popen[bytes] | None = None

    async def __aenter__(self) -> Self:
        self._process = self._spawn()
        return self

    def _spawn(self) -> subprocess.Popen[bytes]:
        with self._output.open("wb") as output, self._errors.open("wb") as errors:
            return subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=errors,
                env=self._environ,
                start_new_session=True,  # Ctrl-C reaches only us, who end children in order
                preexec_fn=die_with(os.getpid()),
            )

    async def __aexit__(self, *exc_info: object) -> None:
        process = self._running()
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                await asyncio.to_thread(process.wait, _GRACE_S)
            except subprocess.TimeoutExpired:
                print(f"{self.name} did not end within {_GRACE_S:g} s of SIGTERM and was killed", file=sys.stderr)
                process.kill()
        process.wait()

    @property
    def pid(self) -> int:
        return self._running().pid

    def cpu(self) -> Cpu:
        """CPU time so far, ended children of it included."""
        times = psutil.Process(self.pid).cpu_times()
        return Cpu(times.user + times.children_user, times.system + times.children_system)

    def rss_bytes(self) -> int:
        """Resident memory now."""
        return int(psutil.Process(self.pid).memory_info().rss)

    def said(self) -> str:
        """Its output so far."""
        return self._output.read_text(errors="replace") + self._errors.read_text(errors="replace")

    def check(self) -> None:
        """Raises ChildFailed if it has ended."""
        code = self._running().poll()
        if code is not None:
            raise ChildFailed(f"{self.name} ended with code {code}: …{self.said()[-2000:]}")

    async def first_line(self, within_s: float) -> str:
        """The first line of its output. Raises ChildFailed."""
        deadline_s = time.monotonic() + within_s
        while "\n" not in self._output.read_text():
            self.check()
            if time.monotonic() > deadline_s:
                raise ChildFailed(f"{self.name} said nothing within {within_s:g} s")
            await asyncio.sleep(_POLL_S)
        return self._output.read_text().partition("\n")[0].strip()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise RuntimeError("use `async with` around it")
        return self._process
