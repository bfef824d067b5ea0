"""Show a demo: panels that grow in a terminal, or each workspace's finished log elsewhere, the peer's beside ours.

A view takes an iterator of snapshots and knows nothing of where they come from: another one (a web page) needs only
this module's data.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

__all__ = ["DemoSnapshot", "LogRow", "PeerView", "WorkspaceLog", "keep_last", "show_finished", "show_growing"]

_LEVEL_STYLES: Final = {"trace": "dim", "debug": "bright_black", "info": "blue", "warn": "yellow", "error": "red"}
_PEER: Final = "coder-logstream-kube"
_BESIDE_FROM: Final = 120
"""So many columns have room for the peer's log beside ours."""
_OURS: Final = 3, 5
"""Our share of them."""
_FRAME_ROWS: Final = 2
_FRAME_COLUMNS: Final = 4
_FRAMED_FROM: Final = 5
"""With fewer rows for a log the frame is left out."""
_LEAST_ROWS: Final = 2  # its title and its newest line


@dataclass(frozen=True)
class LogRow:
    """A line as Coder shows it."""

    at_unix_s: float
    level: str
    text: str


@dataclass(frozen=True)
class PeerView:
    """What coder-logstream-kube would write, as far as it would have come."""

    rows: Sequence[tuple[str, str]]
    """Level and text of each line."""
    left_out: str
    """What of the same it does not say, in words; "" if nothing."""


@dataclass(frozen=True)
class WorkspaceLog:
    """One workspace and its log so far."""

    workspace: str
    title: str
    """What is about to happen to it."""
    rows: Sequence[LogRow]
    peer: PeerView


@dataclass(frozen=True)
class DemoSnapshot:
    """All workspaces at one moment. `note` says what the demo is doing."""

    note: str
    workspaces: Sequence[WorkspaceLog]


async def show_growing(console: Console, snapshots: AsyncIterator[DemoSnapshot]) -> None:
    """Panels with each log's newest lines, redrawn at each snapshot; at the end the whole logs stay on the screen."""

    async def drawn() -> AsyncIterator[DemoSnapshot]:
        with Live(console=console, auto_refresh=False, transient=True) as live:
            async for snapshot in snapshots:
                live.update(_panels(snapshot, console), refresh=True)
                yield snapshot

    await show_finished(console, drawn())


async def show_finished(console: Console, snapshots: AsyncIterator[DemoSnapshot]) -> None:
    """Each log once, when the last snapshot has come."""
    last = await keep_last(snapshots)
    if last is not None:
        _print_logs(console, last)


async def keep_last(snapshots: AsyncIterator[DemoSnapshot]) -> DemoSnapshot | None:
    """The last of them, None if there is none."""
    last: DemoSnapshot | None = None
    async for snapshot in snapshots:
        last = snapshot
    return last


def _print_logs(console: Console, snapshot: DemoSnapshot) -> None:
    console.print(Text(snapshot.note, "bold"), soft_wrap=True)
    console.print()
    for log in snapshot.workspaces:
        console.print(_title(log), soft_wrap=True)
        for row in log.rows:
            console.print(_line(row), soft_wrap=True)
        console.print(Text(f"  {_PEER} would show:", "dim"), soft_wrap=True)
        for level, text in log.peer.rows:
            console.print(Text("  │ ", "dim") + _worded(level, text), soft_wrap=True)
        if log.peer.left_out:
            console.print(Text(f"  and leave out {log.peer.left_out}", "dim"), soft_wrap=True)
        console.print()


def _panels(snapshot: DemoSnapshot, console: Console) -> RenderableType:
    note = Text(snapshot.note, "bold")
    headline_rows = len(note.wrap(console, console.width)) + 1  # and one where the cursor stands
    rows = max(_LEAST_ROWS, (console.height - headline_rows) // max(1, len(snapshot.workspaces)))
    beside = console.width >= _BESIDE_FROM
    ours, of_all = _OURS
    width = console.width * ours // of_all if beside else console.width
    grid = Table.grid()
    for log in snapshot.workspaces:
        mine = _panel(_title(log), map(_line, log.rows[-rows:]), console, (width, rows))
        theirs = (_worded(*row) for row in log.peer.rows[-rows:])
        size = (console.width - width, rows)
        title = Text(f"{_PEER} would show")
        grid.add_row(*[mine, *([_panel(title, theirs, console, size)] if beside else [])])
    return Group(note, grid)


def _panel(title: Text, lines: Iterable[Text], console: Console, size: tuple[int, int]) -> RenderableType:
    """The end of `lines` in so many columns and rows, long lines wrapped as Coder does, framed if there is room."""
    width, rows = size
    framed = rows >= _FRAMED_FROM
    inside = rows - (_FRAME_ROWS if framed else 1)
    newest = [part for line in lines for part in line.wrap(console, width - _FRAME_COLUMNS)][-inside:]
    body = Group(*newest, *[Text()] * (inside - len(newest)))
    if framed:
        return Panel(body, title=title, title_align="left", width=width, border_style="dim")
    title.truncate(width, pad=True)
    return Group(title, body)


def _title(log: WorkspaceLog) -> Text:
    return Text.assemble((log.workspace, "bold"), f" {log.title}")


def _line(row: LogRow) -> Text:
    at = datetime.fromtimestamp(row.at_unix_s).astimezone()
    return Text(f"{at:%H:%M:%S} ", "dim") + _worded(row.level, row.text)


def _worded(level: str, text: str) -> Text:
    style = _LEVEL_STYLES.get(level, "")
    return Text.assemble((f"{level:<5} ", style), (text, style))
