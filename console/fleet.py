"""Several processes as one program: one supervisor, one /metrics, one log output."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog
from prometheus_client import CollectorRegistry

from common.clock import SystemClock
from common.settings.base import LogLevel, TelemetrySettings
from common.telemetry.http import TelemetryServer
from common.telemetry.logging import configure_logging, wants_json
from common.telemetry.merged import MergedMetrics
from common.telemetry.metrics import SupervisorMetrics
from common.telemetry.process import ProcessUsage
from console.log_lines import JsonLines, Lines, LineStream, LogLine, TextLines, in_short, read_line
from console.probes import MergedProbes
from console.programs import Surroundings
from console.supervise import ChildRefused, NotReady, Program, Stage, Stop, Supervisor
from console.valkey import read_valkey_line

__all__ = ["Fleet", "log_output", "run_fleet"]

_SEVERITY: Final = {"debug": 10, "info": 20, "warning": 30, "error": 40, "critical": 50}

_SOCKET_PARENT_MAX_BYTES: Final = 50  # leaves as much for the folder and a child's name

log = structlog.get_logger()


@dataclass(frozen=True)
class Fleet:
    """A fleet that runs: what a view of it needs."""

    supervisor: Supervisor
    registry: CollectorRegistry


View = Callable[[Fleet], Awaitable[None]]
"""Shows the fleet until it is cancelled, or returns to end it."""


def log_output(telemetry: TelemetrySettings) -> Lines:
    """Log lines on stderr, in the form that the settings ask for."""
    return JsonLines(sys.stderr) if wants_json(telemetry.log_format, sys.stderr) else TextLines(sys.stderr)


async def run_fleet(
    name: str,
    telemetry: TelemetrySettings,
    stages: Callable[[Surroundings], Sequence[Stage]],
    output: Lines,
    *,
    environ: Mapping[str, str],
    view: View | None = None,
) -> int:
    """Run what `stages` makes until a signal comes or `view` ends, raising what it raises. Answers the exit code.

    `environ` is what the children's environment begins with.
    """
    stop = Stop()
    merge = _Merge(output, telemetry.log_level)
    configure_logging(name, json=True, level=telemetry.log_level, stream=LineStream(lambda text: merge.own(name, text)))
    with _private_folder() as folder:
        merged = MergedMetrics(folder)
        registry = merged.registry()
        supervisor = Supervisor(
            stages(Surroundings({**environ, **merged.environ}, sockets=folder)),
            on_line=merge.childs,
            on_exit=merged.forget,
            metrics=SupervisorMetrics(registry),
            clock=SystemClock(),
        )
        registry.register(ProcessUsage(lambda: {name: os.getpid(), **_pids(supervisor)}))
        probes = MergedProbes(supervisor.view)
        server = TelemetryServer(telemetry.metrics_addr, registry, probes.alive, probes.ready, telemetry.probe_addr)
        with server, stop.on_signals():
            return await _run(name, supervisor, stop, view(Fleet(supervisor, registry)) if view else None)


@contextlib.contextmanager
def _private_folder() -> Iterator[Path]:
    """A new folder of ours alone, removed at the end. In /tmp if the usual place is too deep for a socket's path."""
    usual = tempfile.gettempdir()
    with tempfile.TemporaryDirectory(
        prefix="coder-logstream-",
        dir=usual if len(os.fsencode(usual)) <= _SOCKET_PARENT_MAX_BYTES else "/tmp",  # noqa: S108
    ) as folder:
        yield Path(folder)


async def _run(name: str, supervisor: Supervisor, stop: Stop, view: Awaitable[None] | None) -> int:
    showing = asyncio.ensure_future(view) if view is not None else None
    if showing is not None:
        showing.add_done_callback(lambda _: stop.wanted.set())
    complaint = ""
    try:
        await supervisor.run(stop)
    except ChildRefused as error:
        complaint, code = _last_words(error), error.code
    except NotReady as error:
        complaint, code = f"{name}: {error}", 1
    else:
        code = 0
    if showing is not None:
        showing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await showing
    if complaint:
        sys.stderr.write(complaint + "\n")
    return code


def _last_words(refused: ChildRefused) -> str:
    """The refusal as the child wrote it, if it wrote for a person; its JSON line in short, if not."""
    line = read_line(refused.program.name, refused.last_line)
    return refused.last_line if line.event == refused.last_line else in_short(line)


def _pids(supervisor: Supervisor) -> dict[str, int]:
    """The children that run now, by name."""
    return {child.name: child.pid for child in supervisor.view() if child.pid is not None}


class _Merge:
    """Gives the lines of all processes to one output, those below the wanted level left out."""

    def __init__(self, output: Lines, level: LogLevel) -> None:
        self._output = output
        self._least = _SEVERITY[level]

    def own(self, name: str, text: str) -> None:
        self._take(read_line(name, text))

    def childs(self, program: Program, text: str) -> None:
        self._take((read_valkey_line if program.role == "valkey" else read_line)(program.name, text))

    def _take(self, line: LogLine) -> None:
        if _SEVERITY.get(line.level, 20) >= self._least:
            self._output.take(line)
