"""The table, as text and as JSON. Pure but for reading what machine this is."""

from __future__ import annotations

import math
import platform
from pathlib import Path

import msgspec
import psutil

from bench.figures import Figure

__all__ = ["Machine", "Report", "as_json", "as_text", "machine"]

_HEADS = ("scenario", "figure", "ours", "target", "", "forwarder", "ratio", "note")


class Machine(msgspec.Struct, frozen=True):
    """Where it was measured."""

    processor: str
    cores: int
    memory_gib: float
    system: str
    python: str
    load_before: float
    """Load average of the last minute, before the first run."""


class Report(msgspec.Struct, frozen=True):
    """Everything that is printed."""

    machine: Machine
    runs: int
    figures: list[Figure]


def machine() -> Machine:
    """This machine, now."""
    return Machine(
        processor=_processor(),
        cores=psutil.cpu_count() or 1,
        memory_gib=round(psutil.virtual_memory().total / 2**30, 1),
        system=f"{platform.system()} {platform.release().partition('-')[0]}",
        python=platform.python_version(),
        load_before=round(psutil.getloadavg()[0], 2),
    )


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:  # not Linux
        return platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def as_text(report: Report) -> str:
    """The machine and the table."""
    it = report.machine
    rows = [_HEADS, *(_row(figure) for figure in report.figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADS))]
    right = (False, False, True, True, False, True, True, False)
    lines = [
        "  ".join(
            cell.rjust(width) if to_right else cell.ljust(width)
            for cell, width, to_right in zip(row, widths, right, strict=True)
        ).rstrip()
        for row in rows
    ]
    runs = f"median of {report.runs} runs" if report.runs > 1 else "one run"
    head = (
        f"{it.processor}, {it.cores} cores, {it.memory_gib} GiB, {it.system}, Python {it.python}; "
        f"load {it.load_before} before; {runs}"
    )
    return "\n".join((head, "", lines[0], "-" * len(lines[0]), *lines[1:]))


def as_json(report: Report) -> bytes:
    """The same for programs; a number that is none becomes null."""
    return msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n"


def _row(figure: Figure) -> tuple[str, ...]:
    return (
        figure.scenario,
        figure.name,
        f"{_number(figure.value)} {figure.unit}".rstrip(),
        "" if figure.target is None else f"≤ {_number(figure.target)}",
        figure.verdict.value,
        "" if figure.forwarder is None else _number(figure.forwarder),
        "" if figure.ratio is None else f"{figure.ratio:.2f}",
        figure.note,
    )


def _number(value: float) -> str:
    if math.isnan(value) or math.isinf(value):
        return "–"
    if value == int(value) and abs(value) < 1e6:
        return str(int(value))
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
