"""Samples over time, as a table and as curves of text. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from bench.tally import median

__all__ = ["Sample", "as_table", "growth", "growths", "sparkline"]

_BARS: Final = "▁▂▃▄▅▆▇█"


class Sample(msgspec.Struct, frozen=True):
    """One look at everything."""

    at_s: float
    """From the first arrival on."""
    sizes_bytes: Mapping[str, int]
    """Resident memory of each process, and what Redis says that it uses."""
    counts: Mapping[str, int]


def sparkline(values: Sequence[float]) -> str:
    """One bar a value, from nothing to the largest."""
    top = max(values, default=0)
    return "".join(_BARS[min(len(_BARS) - 1, int(value / top * len(_BARS)))] if top else _BARS[0] for value in values)


def growth(values: Sequence[float]) -> float:
    """The last third's median by the middle third's; not a number for fewer than three values."""
    third = len(values) // 3
    if not third:
        return float("nan")
    before = median(values[third : 2 * third])
    return median(values[2 * third :]) / before if before else float("nan")


def growths(samples: Sequence[Sample]) -> dict[str, float]:
    """The growth of each size. At least one sample."""
    return {name: growth([each.sizes_bytes[name] for each in samples]) for name in samples[0].sizes_bytes}


def as_table(samples: Sequence[Sample]) -> str:
    """A row a sample, then a curve a column. At least one sample."""
    columns: dict[str, list[float]] = {}
    for name in samples[0].sizes_bytes:
        columns[f"{name} MiB"] = [each.sizes_bytes[name] / 2**20 for each in samples]
    for name in samples[0].counts:
        columns[name] = [each.counts[name] for each in samples]
    heads = ["second", *columns]
    rows = [
        [
            f"{each.at_s:.0f}",
            *(f"{values[place]:.1f}" if "MiB" in name else f"{values[place]:.0f}" for name, values in columns.items()),
        ]
        for place, each in enumerate(samples)
    ]
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    table = ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in (heads, *rows)]
    name_width = max(map(len, columns))
    curves = [f"{name.ljust(name_width)}  {sparkline(values)}" for name, values in columns.items()]
    return "\n".join([*table, "", *curves])
