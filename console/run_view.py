"""What `run` shows: a small table that is redrawn in a terminal, a status line in the log once a minute elsewhere."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import structlog
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from console.log_lines import LogLine, in_short
from console.supervise import ProcessState, ProcessView
from console.totals import Totals

__all__ = ["RunSnapshot", "draw", "log_status", "show_live"]

_REDRAW_S: Final = 1.0
_STATUS_LINE_S: Final = 60.0

log = structlog.get_logger()


@dataclass(frozen=True)
class RunSnapshot:
    """How things stand."""

    headline: str
    processes: Sequence[ProcessView]
    totals: Totals
    warnings: Sequence[LogLine]


async def show_live(console: Console, snapshot: Callable[[], RunSnapshot]) -> None:
    """Redraw until cancelled; the last picture stays on the screen."""
    last = snapshot()
    with Live(draw(last), console=console, auto_refresh=False) as live:
        try:
            while True:
                await asyncio.sleep(_REDRAW_S)
                last = _keep_figures(last, snapshot())
                live.update(draw(last), refresh=True)
        finally:
            live.update(draw(_keep_figures(last, snapshot())), refresh=True)


async def log_status(snapshot: Callable[[], RunSnapshot]) -> None:
    """Log the figures once a minute until cancelled."""
    while True:
        await asyncio.sleep(_STATUS_LINE_S)
        now = snapshot()
        log.info(
            "status",
            processes={role: f"{running}/{total}" for role, (running, total) in _roles(now.processes).items()},
            waiting=now.totals.waiting,
            oldest_due_s=round(now.totals.oldest_due_s, 1),
            lines=now.totals.lines,
            dropped=now.totals.dropped,
            held_agents=now.totals.held_agents,
        )


def draw(snapshot: RunSnapshot) -> RenderableType:
    """The picture of `snapshot`."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim")
    table.add_column()
    for role, (running, total) in _roles(snapshot.processes).items():
        style = "green" if running == total else "yellow"
        restarts = sum(view.restarts for view in snapshot.processes if view.role == role)
        again = f", started again {restarts}×" if restarts else ""
        count = "running" if total == 1 else f"{running} of {total} running"
        stopped = all(view.state is ProcessState.STOPPED for view in snapshot.processes if view.role == role)
        state = Text("stopped", "dim") if stopped else Text(count if running else "not running", style)
        table.add_row(role, state + Text(again, "dim"))
    totals = snapshot.totals
    late = f", the oldest due for {totals.oldest_due_s:.0f} s" if totals.oldest_due_s >= 1 else ""
    table.add_row("watched", f"{totals.known_objects} objects with an agent")
    table.add_row("delivered", f"{totals.lines} lines of {totals.records} records")
    table.add_row("waiting", f"{totals.waiting} records{late}")
    if totals.held_agents:
        table.add_row("held", Text(f"{totals.held_agents} agents", "yellow"))
    if totals.dropped:
        table.add_row("dropped", Text(f"{totals.dropped} records", "red"))
    return Group(Text(snapshot.headline, "bold"), table, *map(_warning, snapshot.warnings))


def _keep_figures(last: RunSnapshot, now: RunSnapshot) -> RunSnapshot:
    """`now`, but with the figures of `last` once processes stop: what they gauged goes with them."""
    stopping = any(view.state is ProcessState.STOPPED for view in now.processes)
    return replace(now, totals=last.totals) if stopping else now


def _roles(views: Sequence[ProcessView]) -> dict[str, tuple[int, int]]:
    """By role: how many run, of how many."""
    running = Counter(view.role for view in views if view.state is ProcessState.RUNNING)
    return {role: (running[role], total) for role, total in Counter(view.role for view in views).items()}


def _warning(line: LogLine) -> Text:
    clock = str(line.fields.get("timestamp", ""))[11:19]
    style = "yellow" if line.level == "warning" else "red"
    return Text(f"{clock}  {in_short(line)}", style, overflow="ellipsis", no_wrap=True)
