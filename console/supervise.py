"""Keep child processes running, and stop them in order.

Stages start in the order given, each when the one before is ready, and stop in the reverse order. A child that ends is
started again after a back-off. One that refuses stops everything, as it would refuse again: it ended with exit code 2
(a wrong setting) or 141 (nobody reads what it is run for), or it failed as soon as it was first started. Children run
in sessions of their own: a terminal's Ctrl-C reaches only us, so that we decide the order.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from asyncio.subprocess import DEVNULL, PIPE, STDOUT, Process
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from random import Random
from typing import Final

import structlog

from common.backoff import Backoff
from common.clock import Clock
from common.settings.flags import EXIT_UNREAD, EXIT_USAGE
from common.telemetry.metrics import SupervisorMetrics
from console.orphans import die_with

__all__ = ["ChildRefused", "NotReady", "ProcessState", "ProcessView", "Program", "Stage", "Stop", "Supervisor"]

_HEALTHY_AFTER_S: Final = 60.0  # having run that long, the next failure is a first one again
_REFUSES_WITHIN_S: Final = 30.0  # on a busy machine an interpreter takes seconds to start
_LAST_OUTPUT_S: Final = 1.0  # a grandchild may hold the pipe open after the child has ended
_EXIT_NOT_FOUND: Final = 127  # as a shell says it
_LINE_MAX_BYTES: Final = 1024 * 1024

log = structlog.get_logger()


@dataclass(frozen=True)
class Program:
    """What to run. `name` is unique; programs of one `role` do the same work."""

    name: str
    role: str
    command: tuple[str, ...]
    environ: Mapping[str, str]
    grace_s: float
    """How long it may take over a SIGTERM before it is killed."""
    probe: Path | None = None
    """The unix socket on which it serves /livez and /readyz, if it does."""
    speaks: bool = False
    """Its stdout is what it is run for, and goes to ours; only its stderr is a log."""


@dataclass(frozen=True)
class Stage:
    """Programs that start and stop together. `ready` returns when the next stage may start, or raises NotReady."""

    programs: tuple[Program, ...]
    ready: Callable[[], Awaitable[None]] | None = None


class ProcessState(StrEnum):
    """Where a child is in its life."""

    NOT_STARTED = "not started"
    RUNNING = "running"
    WAITING = "waiting to start again"
    STOPPED = "stopped"


@dataclass(frozen=True)
class ProcessView:
    """One child as a person would ask for it."""

    name: str
    role: str
    state: ProcessState
    pid: int | None
    restarts: int
    probe: Path | None = None
    """As its program's."""


class ChildRefused(Exception):
    """A child will not do its work, however often it is started. Holds its last line."""

    def __init__(self, program: Program, code: int, last_line: str) -> None:
        super().__init__(f"{program.name} ended with {code}: {last_line}")
        self.program = program
        self.code = code
        self.last_line = last_line


class NotReady(Exception):
    """A stage did not become ready. The text says why, for the operator."""


class Stop:
    """The wish to stop, once politely and twice at once."""

    def __init__(self) -> None:
        self.wanted = asyncio.Event()
        self.at_once = asyncio.Event()

    def ask(self) -> None:
        """Stop in order; asked again, kill what still runs."""
        (self.at_once if self.wanted.is_set() else self.wanted).set()

    @contextlib.contextmanager
    def on_signals(self) -> Iterator[None]:
        """Inside the block, SIGINT, SIGTERM and SIGHUP ask."""
        loop = asyncio.get_running_loop()
        signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        for number in signals:
            loop.add_signal_handler(number, self.ask)
        try:
            yield
        finally:
            for number in signals:
                loop.remove_signal_handler(number)


class Supervisor:
    """Runs `stages` until asked to stop. `on_line` gets each line that a child writes to stdout or stderr."""

    def __init__(
        self,
        stages: Sequence[Stage],
        *,
        on_line: Callable[[Program, str], None],
        on_exit: Callable[[int], None],
        metrics: SupervisorMetrics,
        clock: Clock,
        backoff: Backoff = Backoff(base_s=0.5, cap_s=30.0),  # noqa: B008 - frozen
    ) -> None:
        """`on_exit` gets the pid of each process that has ended."""
        self._stages = [
            (stage, [_Child(program, on_line, on_exit, clock, backoff) for program in stage.programs])
            for stage in stages
        ]
        self._metrics = metrics
        for stage in stages:
            for program in stage.programs:
                metrics.process_restarts.labels(program.role)  # an increase needs the zero before it

    def view(self) -> list[ProcessView]:
        """All children as they are now, in order of start."""
        return [child.view() for _, children in self._stages for child in children]

    async def run(self, stop: Stop) -> None:
        """Returns when all children have stopped. Raises ChildRefused, NotReady."""
        not_ready: NotReady | None = None
        async with asyncio.TaskGroup() as tasks:
            try:
                await self._start_all(tasks, stop)
                await stop.wanted.wait()
            except NotReady as error:
                not_ready = error
            finally:
                stop.wanted.set()
                await self._stop_all(stop)
        for _, children in self._stages:
            for child in children:
                if child.refusal is not None:
                    raise child.refusal
        if not_ready is not None:
            raise not_ready

    async def _start_all(self, tasks: asyncio.TaskGroup, stop: Stop) -> None:
        for stage, children in self._stages:
            for child in children:
                tasks.create_task(self._keep(child, stop))
            if stage.ready is not None:
                await _first(stage.ready(), stop.wanted.wait())
            if stop.wanted.is_set():
                return

    async def _keep(self, child: _Child, stop: Stop) -> None:
        role = child.program.role
        while not stop.wanted.is_set():
            with self._metrics.processes.labels(role).track_inprogress():
                delay_s = await child.run_once(stop)
            if child.refusal is not None:
                stop.wanted.set()
            if not stop.wanted.is_set():
                self._metrics.process_restarts.labels(role).inc()
                await _first(asyncio.sleep(delay_s), stop.wanted.wait())

    async def _stop_all(self, stop: Stop) -> None:
        for _, children in reversed(self._stages):
            await asyncio.gather(*(child.stop(stop) for child in children))


class _Child:
    """One program, and the process that runs it at present."""

    def __init__(
        self,
        program: Program,
        on_line: Callable[[Program, str], None],
        on_exit: Callable[[int], None],
        clock: Clock,
        backoff: Backoff,
    ) -> None:
        self.program = program
        self.refusal: ChildRefused | None = None
        self._last_line = ""
        self._on_line = on_line
        self._on_exit = on_exit
        self._clock = clock
        self._backoff = backoff
        self._random = Random()  # noqa: S311 - spreads restarts
        self._process: Process | None = None
        self._state = ProcessState.NOT_STARTED
        self._starting = asyncio.Lock()
        self._ended = asyncio.Event()
        self._failures = 0
        self._restarts = 0

    def view(self) -> ProcessView:
        pid = self._process.pid if self._process is not None else None
        program = self.program
        return ProcessView(program.name, program.role, self._state, pid, self._restarts, program.probe)

    async def run_once(self, stop: Stop) -> float:
        """Start the process and wait for its end. Answers how long to wait before the next start."""
        started_s = self._clock.monotonic_s()
        self._restarts += self._state is not ProcessState.NOT_STARTED
        code = await self._run_process()
        if stop.wanted.is_set():
            self._state = ProcessState.STOPPED
            return 0.0
        self._state = ProcessState.WAITING
        ran_s = self._clock.monotonic_s() - started_s
        at_once = code > 0 and self._restarts == 0 and ran_s < _REFUSES_WITHIN_S
        if code in (EXIT_USAGE, EXIT_UNREAD) or at_once:
            self.refusal = ChildRefused(self.program, code, self._last_line)
            return 0.0
        if ran_s >= _HEALTHY_AFTER_S:
            self._failures = 0
        delay_s = self._backoff.delay_s(self._failures, self._random)
        self._failures += 1
        # Its own last words have been logged already, through `on_line`.
        log.warning("a process ended, starting it again", name=self.program.name, code=code, after_s=round(delay_s, 2))
        return delay_s

    async def _run_process(self) -> int:
        """The exit code; negative: the signal that ended it."""
        try:
            process = await self._start()
        except OSError as error:
            self._last_line = f"{self.program.command[0]}: {error.strerror}"
            return _EXIT_NOT_FOUND
        pump = asyncio.create_task(self._pump(process))
        try:
            return await process.wait()
        finally:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(pump, _LAST_OUTPUT_S)
            self._process = None
            self._ended.set()
            self._on_exit(process.pid)

    async def _start(self) -> Process:
        """`stop` waits for the lock, so it never overlooks a process that is about to be."""
        async with self._starting:
            self._process = await asyncio.create_subprocess_exec(
                *self.program.command,
                env=self.program.environ,
                stdin=DEVNULL,
                stdout=None if self.program.speaks else PIPE,
                stderr=PIPE if self.program.speaks else STDOUT,
                limit=_LINE_MAX_BYTES,
                start_new_session=True,
                preexec_fn=die_with(os.getpid()),
            )
            self._state = ProcessState.RUNNING
            self._ended.clear()
            return self._process

    async def _pump(self, process: Process) -> None:
        pipe = process.stderr if self.program.speaks else process.stdout
        if pipe is None:
            raise RuntimeError("the process was started without a pipe")
        while True:
            try:
                raw = await pipe.readline()
            except ValueError:  # longer than the limit; asyncio has thrown the piece away
                raw = b"(a line of over 1 MiB was dropped)\n"
            if not raw:
                return
            self._last_line = raw.decode(errors="replace").rstrip("\r\n")
            self._on_line(self.program, self._last_line)

    async def stop(self, stop: Stop) -> None:
        """End the process: ask, wait for the grace (not if it must be at once), kill."""
        async with self._starting:
            process = self._process
        if process is None:
            self._state = ProcessState.STOPPED
            return
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await _first(self._ended.wait(), stop.at_once.wait(), asyncio.sleep(self.program.grace_s))
        if not self._ended.is_set():
            log.warning("a process did not stop, killing it", name=self.program.name, grace_s=self.program.grace_s)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # a session of its own: its children go with it
            await self._ended.wait()


async def _first(*waits: Awaitable[object]) -> None:
    """Return when one of `waits` is over, cancelling the others; its exception is raised."""
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
