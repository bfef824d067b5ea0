"""Merge the log lines of several processes into one output.

Children log JSON; each line becomes a `LogLine` and is written as JSON again or as text for a person. What is no JSON
(an interpreter's last words, Valkey's log) is kept as a line's message. All output passes `redact_text` once more:
a child may write what its own redaction never saw.
"""

from __future__ import annotations

import io
import json
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol, TextIO

import msgspec
import structlog

from common.telemetry.redact import redact_text

__all__ = ["JsonLines", "LineStream", "Lines", "LogLine", "RecentWarnings", "TextLines", "in_short", "read_line"]

_STANDARD: Final = frozenset({"event", "level", "timestamp", "program", "process"})
_SERIOUS: Final = frozenset({"warning", "error", "critical"})


@dataclass(frozen=True)
class LogLine:
    """One message of one process. `fields` has all that was said, `event`, `level` and `timestamp` included."""

    process: str
    level: str
    event: str
    fields: Mapping[str, Any]


class Lines(Protocol):
    """Where lines go."""

    def take(self, line: LogLine) -> None: ...


def read_line(process: str, text: str) -> LogLine:
    """The line that `process` wrote. Never raises."""
    try:
        fields = msgspec.json.decode(text, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeEncodeError):
        fields = {"event": text, "level": "info"}
    event, level = str(fields.get("event", "")), str(fields.get("level", "info"))
    return LogLine(process, level, event, {**fields, "process": process})


def in_short(line: LogLine) -> str:
    """`line` for a person who needs only the trouble: process, message, what else was said, on one line."""
    said = [str(value) for name, value in line.fields.items() if name not in _STANDARD and value not in (None, "")]
    text = ": ".join([line.process, line.event, *said])
    return redact_text(" ".join(text.splitlines()))


class JsonLines:
    """One JSON object a line."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def take(self, line: LogLine) -> None:
        # With a blank after each comma, as `redact_text` tells where a URL ends by white space.
        self._stream.write(redact_text(json.dumps(line.fields, ensure_ascii=False)) + "\n")
        self._stream.flush()


class TextLines:
    """Time, level, message, key=value; in colour if `stream` is a terminal."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._render = structlog.dev.ConsoleRenderer(colors=stream.isatty())

    def take(self, line: LogLine) -> None:
        fields = {name: value for name, value in line.fields.items() if name != "program"}
        self._stream.write(redact_text(str(self._render(None, line.level, fields))) + "\n")
        self._stream.flush()


class RecentWarnings:
    """Keeps the last few lines of level warning or worse, for a view that has no room for all."""

    def __init__(self, most: int) -> None:
        self._kept: deque[LogLine] = deque(maxlen=most)

    def take(self, line: LogLine) -> None:
        if line.level in _SERIOUS:
            self._kept.append(line)

    @property
    def kept(self) -> list[LogLine]:
        """Oldest first."""
        return list(self._kept)


class LineStream(io.TextIOBase):
    """A text stream for this process's own logging, so that its lines go the same way as the children's."""

    def __init__(self, take: Callable[[str], None]) -> None:
        self._take = take
        self._begun = ""

    def write(self, text: str) -> int:
        *whole, self._begun = (self._begun + text).split("\n")
        for line in whole:
            if line:
                self._take(line)
        return len(text)
