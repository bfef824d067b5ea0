"""Word what the start of a pod went on. Pure; golden-tested.

    ⏱️ Pod started in 42 s — scheduled 1 s · volumes and network 6 s · image 28 s (1.2 GB) · containers 7 s
    ⏱️ Pod started in 3 s — image cached · containers 3 s
    ⏱️ Pod failed after 9 s — images 4 s (310 MB, 1 of 2 cached) · init containers 5 s

Never «ready», and nothing green: the start-up script may still run, and the workspace is ready when Coder says so.
Seconds are rounded where a phase ends, not each for itself, so that they add up to the whole. A phase that took less
than a second, or that nobody knows of, is left out; images are not, because from a cache or not is what one asks first.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Final

from common.record import Timeline

__all__ = ["timeline_row"]

_UNITS: Final = ((10**9, "GB"), (10**6, "MB"), (10**3, "kB"))
"""Decimal, as registries count."""


def timeline_row(words: str, timeline: Timeline) -> str:
    """The row that begins with `words`, without its pictograph."""
    phases = " · ".join(_phases(timeline))
    whole = _seconds(_rounded(timeline.total_ms)) or "less than a second"
    return f"{words} {whole}" + (f" — {phases}" if phases else "")


def _phases(timeline: Timeline) -> Iterator[str]:
    spans_ms = (
        timeline.scheduled_ms,
        timeline.volumes_ms,
        timeline.images_ms,
        timeline.inits_ms,
        timeline.containers_ms,
    )
    ends_s, end_ms = [0], 0
    for span_ms in spans_ms:
        end_ms += span_ms or 0
        ends_s.append(_rounded(end_ms))
    scheduled, volumes, images, inits, containers = (_seconds(end - begin) for begin, end in pairwise(ends_s))
    if scheduled:
        yield f"scheduled {scheduled}"
    if volumes:
        yield f"volumes and network {volumes}"
    if timeline.images_ms is not None:
        yield _images(timeline, images)
    if inits:
        yield f"init containers {inits}"
    if containers:
        yield f"containers {containers}"


def _images(timeline: Timeline, span: str) -> str:
    number = timeline.pulled + timeline.cached
    word = "image" if number == 1 else "images"
    if not timeline.pulled:
        return f"{word} cached"
    notes = [_size(timeline.pulled_bytes)] if timeline.pulled_bytes else []
    if timeline.cached:
        notes.append(f"{timeline.cached} of {number} cached")
    return f"{word} {span or 'under 1 s'}" + (f" ({', '.join(notes)})" if notes else "")


def _rounded(span_ms: int) -> int:
    return (span_ms + 500) // 1_000


def _seconds(span_s: int) -> str:
    """`42 s`, `3 min 5 s`, `2 h 1 min`; empty for none."""
    if span_s < 120:
        return f"{span_s} s" if span_s else ""
    minutes, seconds = divmod(span_s, 60)
    if minutes < 120:
        return f"{minutes} min {seconds} s" if seconds else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def _size(size_bytes: int) -> str:
    for factor, unit in _UNITS:
        if size_bytes >= factor:
            number = size_bytes / factor
            return f"{number:.0f} {unit}" if number >= 9.95 else f"{number:.1f} {unit}".replace(".0 ", " ")
    return f"{size_bytes} bytes"
