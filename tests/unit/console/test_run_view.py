"""What `run` shows a person."""

from rich.console import Console

from console.log_lines import LogLine
from console.run_view import RunSnapshot, draw
from console.supervise import ProcessState, ProcessView
from console.totals import Totals

CALM = Totals(records=12, lines=12, dropped=0, waiting=0, oldest_due_s=0.0, held_agents=0, known_objects=3)


def picture(snapshot: RunSnapshot) -> str:
    console = Console(width=100, record=True, file=None, force_terminal=False, quiet=False)
    with console.capture() as captured:
        console.print(draw(snapshot))
    return captured.get()


def view(name: str, state: ProcessState = ProcessState.RUNNING, restarts: int = 0) -> ProcessView:
    return ProcessView(name, name.split("-")[0], state, 1, restarts)


def test_a_calm_picture_is_short() -> None:
    shown = picture(RunSnapshot("headline", [view("valkey"), view("shipper-1"), view("shipper-2")], CALM, []))
    assert [line.rstrip() for line in shown.splitlines()] == [
        "headline",
        "valkey     running",
        "shipper    2 of 2 running",
        "watched    3 objects with an agent",
        "delivered  12 lines of 12 records",
        "waiting    0 records",
    ]  # fmt: skip


def test_trouble_shows() -> None:
    totals = Totals(records=9, lines=5, dropped=1, waiting=4, oldest_due_s=7.4, held_agents=2, known_objects=3)
    line = LogLine("shipper", "warning", "Coder is away", {"timestamp": "2026-11-23T09:00:01Z", "error": "refused"})
    processes = [view("watcher", ProcessState.WAITING, restarts=2)]
    shown = picture(RunSnapshot("headline", processes, totals, [line]))
    for part in (
        "not running, started again 2×",
        "4 records, the oldest due for 7 s",
        "2 agents",
        "1 records",
        "09:00:01  shipper: Coder is away: refused",
    ):
        assert part in shown
