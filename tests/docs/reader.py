"""Somebody who does what a page says: its blocks in a shell, in a folder of their own, with what the page presumes.

What lasts, such as a watcher, is left running as it would be in another terminal, until the page's end or until another
of its kind is started. It is ended by Ctrl-C.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, Self

import msgspec

from console.__main__ import with_command
from tests.docs.accounts import FILE, read_accounts
from tests.docs.blocks import Block, head_of
from tests.integration.console.commands import clean_environ, probed

__all__ = ["ROOT", "Lasting", "Reader", "StandIns", "checkout"]

ROOT: Final = Path(__file__).resolve().parents[2]
BLOCK_S: Final = 240.0
UP_S: Final = 240.0
"""Bounds against hanging, not measures: others may keep the processors busy."""
STOP_S: Final = 60.0
_PROGRAMS: Final = ("run", "watcher", "shipper")
_SERVED: Final = re.compile(r'"address": ?"([\d.:]+)"[^}]*"event": ?"probes are served"')
_ENDED_BY_CTRL_C: Final = (0, 130, -signal.SIGINT)
"""Make and Compose say so of themselves."""
_COMPOSES_RACE: Final = "panic: close of closed channel"
"""Seen of some Compose versions, as their last words: the containers ended while they were being stopped."""

StandIns = Mapping[str, Callable[[], str]]
"""A regular expression of what a page has as an example, and what the reader has; asked for where a page needs it."""


class PageFailed(AssertionError):
    """A command of a page did not do what the page says."""


class Lasting(msgspec.Struct, frozen=True):
    """What runs until Ctrl-C."""

    kind: str
    process: subprocess.Popen[bytes]
    log: Path
    probe: str
    """Its probe's address, if its flags name one; else its log does."""

    def output(self) -> str:
        return self.log.read_text(errors="replace")

    def until_ready(self) -> None:
        """Until it does its work: a program answers its probe, the demo has been played, a table is shown."""
        looks: dict[str, Callable[[], bool]] = {
            "docker": self._was_played,
            "status": lambda: "watchers" in self.output(),
        }
        look, deadline_s = looks.get(self.kind, self._answers), time.monotonic() + UP_S
        while not look():
            if self._is_over() or time.monotonic() > deadline_s:
                code = self.process.returncode
                how = f"is not at work after {UP_S:g} s" if code is None else f"ended with {code}"
                raise PageFailed(f"{self.kind} {how}:\n{self.output()[-3000:]}")
            time.sleep(0.05)

    def _is_over(self) -> bool:
        return self.process.poll() is not None

    def _was_played(self) -> bool:
        return "lost 0 · repeated 0" in self.output()

    def _answers(self) -> bool:
        served = [self.probe] if self.probe else _SERVED.findall(self.output())
        return bool(served) and probed(f"http://{served[0]}/readyz")[0] == 200

    def stop(self) -> None:
        """Ctrl-C, which all in the foreground get."""
        if not self._is_over():
            os.killpg(self.process.pid, signal.SIGINT)
        try:
            code = self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.kill()
            raise PageFailed(f"{self.kind} did not end within {STOP_S:g} s:\n{self.output()[-3000:]}") from None
        if code not in _ENDED_BY_CTRL_C and not (self.kind == "docker" and _COMPOSES_RACE in self.output()[-3000:]):
            raise PageFailed(f"{self.kind} ended with {code}:\n{self.output()[-3000:]}")

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


class Reader:
    """`with Reader(folder, stand_ins) as reader:`, then `reader.do(block)`. `folder` is where the reader is."""

    def __init__(self, folder: Path, stand_ins: StandIns, environ: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        given = {**(environ or {}), "HOME": str(folder), **_path(folder)}
        self.environ = _without_makes_own({**_without_arguments(clean_environ()), **given})
        self._stand_ins = stand_ins
        self._accounts = read_accounts(FILE.read_text(encoding="utf-8"))
        self._lasting: dict[str, Lasting] = {}
        self._logs = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, failure: object, *_: object) -> None:
        try:
            for kind in reversed(list(self._lasting)):
                if failure is None:
                    self.end(kind)
        finally:
            for lasting in self._lasting.values():
                lasting.kill()

    def do(self, block: Block) -> None:
        """Run the block's commands. Raises PageFailed."""
        *_, last = block.commands
        if any(kind_of(command) for command in block.commands[:-1]):
            raise PageFailed(f"{block.place}: a command that lasts is followed by others")
        script = self._script(block)
        if kind := kind_of(last):
            self.start(kind, script)
            return
        output = self._run(block, script)
        for pattern in self._accounts.patterns(block):
            if not pattern.search(output):
                raise PageFailed(f"{block.place}: the output has nothing like {pattern.pattern!r}:\n{output}")

    def start(self, kind: str, script: str) -> Lasting:
        """Run `script` in the background, in the place of another of its kind; returns when it works."""
        self.end(kind)
        self._logs += 1
        log = self.folder / f"log-{self._logs}"
        with log.open("wb") as output:
            process = subprocess.Popen(
                ["bash", "-euc", script], cwd=self.folder, env=self.environ, stdin=subprocess.DEVNULL, stdout=output,
                stderr=output, start_new_session=True,
            )  # fmt: skip
        probe = re.search(r"--(?:probe|metrics)-addr (\S+)", script)
        self._lasting[kind] = Lasting(kind, process, log, probe[1] if probe else "")
        self._lasting[kind].until_ready()
        return self._lasting[kind]

    def running(self, kind: str) -> Lasting | None:
        return self._lasting.get(kind)

    def written(self) -> list[str]:
        """What was written by what runs, to its output or to a file of the page's name for it."""
        files = [lasting.log for lasting in self._lasting.values()] + list(self.folder.glob("*.jsonl"))
        return [file.read_text(errors="replace") for file in files]

    def end(self, kind: str) -> None:
        """Ctrl-C, if one of this kind runs."""
        if kind in self._lasting:
            self._lasting[kind].stop()
            del self._lasting[kind]

    def _script(self, block: Block) -> str:
        lines = [line for command in block.commands for line in self._accounts.done_for(command)]
        script = "\n".join(lines)
        for example, own in self._stand_ins.items():
            if re.search(example, script):
                script = re.sub(example, own().replace("\\", r"\\"), script)
        return script

    def _run(self, block: Block, script: str) -> str:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script], cwd=self.folder, env=self.environ, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=BLOCK_S, check=False,
        )  # fmt: skip
        if done.returncode:
            raise PageFailed(f"{block.place}: ended with {done.returncode}:\n{script}\n---\n{done.stdout[-4000:]}")
        return done.stdout


def kind_of(command: str) -> str:
    """What kind of thing that lasts `command` starts, "" if it ends by itself."""
    words = shlex.split(command)[len(_assignments(command)) :]
    match words:
        case ["coder-logstream", *rest]:
            name, *flags = with_command(rest)
            if name == "status":
                return "status" if "--watch" in flags else ""
            return name if name in _PROGRAMS else ""
        case ["make", "run", *_]:
            return "run"
        case ["docker", "compose", *rest] if "up" in rest and "--detach" not in rest:
            return "docker"
        case _:
            return ""


def _assignments(command: str) -> Sequence[str]:
    return command[: command.index(head_of(command))].split()


def _without_makes_own(environ: Mapping[str, str]) -> dict[str, str]:
    """The tests themselves may run under `make test ARGS=…`, which tells it to every make below."""
    return {name: value for name, value in environ.items() if not name.startswith(("MAKE", "MFLAGS"))}


def _without_arguments(environ: Mapping[str, str]) -> dict[str, str]:
    """Those of the `make test ARGS=…` under which the tests run."""
    return {name: value for name, value in environ.items() if name != "ARGS"}


def _path(folder: Path) -> Mapping[str, str]:
    """The commands of this very installation first, and a `make` that works in the tree with it."""
    bin_folder = folder / "bin"
    bin_folder.mkdir(parents=True, exist_ok=True)
    make = bin_folder / "make"
    make.write_text(
        "#!/bin/sh\n"
        f"PATH={shlex.quote(os.environ['PATH'])} exec make --directory {shlex.quote(str(ROOT))} "
        f'--old-file {shlex.quote(sys.prefix)}/.ready VENV={shlex.quote(sys.prefix)} "$@"\n'
    )
    make.chmod(0o755)
    return {"PATH": f"{bin_folder}:{Path(sys.prefix) / 'bin'}:{os.environ['PATH']}"}


def checkout(folder: Path) -> Path:
    """A copy of what of a checkout the pages name by relative paths."""
    folder.mkdir(exist_ok=True)
    for name in ("charts", ".github", "compose"):
        shutil.copytree(ROOT / name, folder / name)
    for name in ("compose.yaml", "compose.host.yaml", ".env.example"):
        shutil.copy(ROOT / name, folder)
    (folder / ".venv").symlink_to(sys.prefix)
    return folder
