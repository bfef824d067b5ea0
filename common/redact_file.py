"""Read an operator's patterns of what must not be shown of a container's output. What is wrong is said with its line.

A file of one regular expression a line; empty lines and those that begin with `#` are passed over. The expressions are
those of the package `regex`, which are Python's and more, because it can end a search that takes too long. How long one
takes cannot be seen from its text, so each is bound in time wherever it is used (`SEARCH_WITHIN_S`), and one that fails
that on lines of no meaning is refused at the start. Decision: ADR 33.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import regex  # type: ignore[import-untyped]
from msgspec import Struct

from common.small_file import read_small

__all__ = ["LINE_MAX_CHARS", "SEARCH_WITHIN_S", "RedactFileError", "RedactPattern", "read_patterns"]

LINE_MAX_CHARS: Final = 4_096
"""Of a line that is searched."""
SEARCH_WITHIN_S: Final = 0.1
"""For one pattern in one line; a usual one takes some microseconds."""
FILE_MAX_BYTES: Final = 64 * 1024
PATTERNS_MAX: Final = 100
PATTERN_MAX_CHARS: Final = 500
_EXAMPLE: Final = r"example: corp-[0-9a-f]{32}"
_TRIALS: Final = tuple(
    (piece * LINE_MAX_CHARS)[: LINE_MAX_CHARS - 1] + end
    for piece in ("a", "0", " ", "-", "a ", "a=", "/a", "aA0_-.:")
    for end in ("!", "\0")
)
"""What repetitions within repetitions have most to try with."""


class RedactFileError(ValueError):
    """A file of patterns cannot be used. The text is one line: which line, what is wrong, and a right example."""


class RedactPattern(Struct, frozen=True):
    """One expression, and the line of the file that it stands in."""

    line: int
    text: str

    def compiled(self) -> regex.Pattern[str]:
        """Raises `regex.error`."""
        return regex.compile(self.text, regex.VERSION0)


def read_patterns(path: Path) -> tuple[RedactPattern, ...]:
    """The patterns in the file at `path`, in order. Raises RedactFileError."""
    content = read_small(path, FILE_MAX_BYTES, f"is larger than {FILE_MAX_BYTES} bytes", RedactFileError)
    try:
        rows = content.decode("utf-8").splitlines()
    except UnicodeDecodeError:
        raise RedactFileError(f"is not UTF-8 text; {_EXAMPLE}") from None
    patterns = tuple(
        RedactPattern(number, row.strip())
        for number, row in enumerate(rows, start=1)
        if row.strip() and not row.lstrip().startswith("#")
    )
    if not patterns:
        raise RedactFileError(f"holds no pattern; {_EXAMPLE}")
    if len(patterns) > PATTERNS_MAX:
        raise RedactFileError(f"holds {len(patterns)} patterns, more than {PATTERNS_MAX}")
    for pattern in patterns:
        _check(pattern)
    return patterns


def _check(pattern: RedactPattern) -> None:
    where = f"line {pattern.line}"
    if len(pattern.text) > PATTERN_MAX_CHARS:
        raise RedactFileError(f"{where}: has {len(pattern.text)} characters, more than {PATTERN_MAX_CHARS}")
    try:
        compiled = pattern.compiled()
    except (regex.error, ValueError, OverflowError, RecursionError) as error:
        raise RedactFileError(f"{where}: is no regular expression: {_one_line(str(error))}; {_EXAMPLE}") from None
    try:
        if compiled.search("", timeout=SEARCH_WITHIN_S):
            raise RedactFileError(f"{where}: matches even nothing, so all would be taken out; {_EXAMPLE}")
        for trial in _TRIALS:
            compiled.search(trial, timeout=SEARCH_WITHIN_S)
    except TimeoutError:
        raise RedactFileError(
            f"{where}: takes too long on a line of {LINE_MAX_CHARS} characters; do without repetitions inside of "
            f"repetitions such as (a+)+; {_EXAMPLE}"
        ) from None


def _one_line(text: str) -> str:
    return " ".join(text.split())[:200]
