"""How a demo looks."""

import io
import re
from collections.abc import AsyncIterator, Sequence

import pytest
from rich.console import Console

from console.demo_view import DemoSnapshot, LogRow, PeerView, WorkspaceLog, show_finished, show_growing

SILENT = PeerView([], "")


def rows(place: int, count: int) -> list[LogRow]:
    return [LogRow(0.0, "warn", f"ws{place} line {n}") for n in range(count)]


def snapshot(*counts: int, peer: PeerView = SILENT) -> DemoSnapshot:
    logs = [WorkspaceLog(f"owner/ws{at}", "has a title", rows(at, count), peer) for at, count in enumerate(counts)]
    return DemoSnapshot("the note", logs)


async def stream(snapshots: Sequence[DemoSnapshot]) -> AsyncIterator[DemoSnapshot]:
    for one in snapshots:
        yield one


def console(width: int = 130, height: int = 30, *, terminal: bool = True) -> Console:
    return Console(file=io.StringIO(), width=width, height=height, force_terminal=terminal, legacy_windows=False)


def output(of: Console) -> str:
    assert isinstance(of.file, io.StringIO)
    return of.file.getvalue()


def first_frame(of: Console) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", output(of)).split("the note")[1]


async def test_without_a_terminal_each_log_is_printed_once() -> None:
    plain = console(terminal=False, width=20)
    peer = PeerView([("debug", "Container started")], "how a container ended")
    await show_finished(plain, stream([snapshot(1, 0), snapshot(2, 1, peer=peer)]))
    shown = output(plain)
    theirs = [
        "  coder-logstream-kube would show:",
        "  │ debug Container started",
        "  and leave out how a container ended",
        "",
    ]
    assert [row.partition(" ")[2] if row[:1].isdigit() else row for row in shown.splitlines()] == [
        "the note", "",
        "owner/ws0 has a title", "warn  ws0 line 0", "warn  ws0 line 1", *theirs,
        "owner/ws1 has a title", "warn  ws1 line 0", *theirs,
    ]  # fmt: skip


@pytest.mark.parametrize(("width", "height"), [(130, 30), (80, 24), (40, 10)])
async def test_in_a_terminal_the_newest_lines_show_and_the_whole_stays(width: int, height: int) -> None:
    screen = console(width, height)
    await show_growing(screen, stream([snapshot(50, 1, 1, 1)]))
    drawn, _, kept = output(screen).partition("\x1b[?25h")
    assert "ws0 line 49" in drawn
    assert "ws0 line 20" not in drawn
    assert "ws3 line 0" in drawn
    assert "ws0 line 0" in kept
    assert "ws0 line 49" in kept


@pytest.mark.parametrize(("width", "beside"), [(140, True), (119, False)])
async def test_the_peers_newest_lines_stand_beside_ours_where_there_is_room(width: int, beside: bool) -> None:
    screen = console(width, 40)
    peer = PeerView([("debug", f"theirs {number}") for number in range(30)], "")
    await show_growing(screen, stream([snapshot(40, 9, peer=peer)]))
    drawn = first_frame(screen)
    theirs = [row for row in drawn.splitlines() if "theirs 29" in row]
    assert ["ws0 line 39" in row for row in theirs] == ([True, False] if beside else [])
    assert "theirs 2 " not in drawn


@pytest.mark.parametrize("height", [50, 24])
async def test_seven_workspaces_fit_into_a_terminal_each_with_its_title_and_newest_line(height: int) -> None:
    screen = console(100, height)
    await show_growing(screen, stream([snapshot(*[9] * 7)]))
    drawn = first_frame(screen)
    assert len(drawn.splitlines()) <= height
    assert all(f"owner/ws{place} has a title" in drawn and f"ws{place} line 8" in drawn for place in range(7))


async def test_no_snapshot_shows_nothing() -> None:
    plain = console(terminal=False)
    await show_finished(plain, stream([]))
    assert output(plain) == ""


async def test_of_lines_too_long_for_a_panel_the_newest_rows_show() -> None:
    long = [LogRow(0.0, "warn", f"line {number} " + "word " * 60 + f"end {number}") for number in range(20)]
    screen = console(130, 30)
    await show_growing(
        screen, stream([DemoSnapshot("the note", [WorkspaceLog("owner/ws", "has a title", long, SILENT)])])
    )
    drawn = output(screen).partition("\x1b[?25h")[0]
    assert "end 19" in drawn
    assert "line 1 " not in drawn
