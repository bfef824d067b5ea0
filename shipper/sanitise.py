"""Make text from the cluster harmless to show: control characters are seen, not obeyed. Pure.

Messages are attacker-controlled text (FACTS 2), and Coder keeps newlines, ANSI sequences and NUL as they come,
where NUL in one line fails a whole request on servers before April 2026 (FACTS 1). So:

- C0 controls and DEL become their Unicode pictures (ESC is `␛`, NUL is `␀`); a tab stays;
- C1 controls, bidirectional overrides and isolates, and the byte order mark become `\\x9b`, `\\u202e`, ...;
- lone surrogates become U+FFFD;
- a newline of any kind ends a line: Coder's log view shows one entry a row, and a stack trace read as rows is what
  a reader wants. Blank rows are left out. Past `LINES_MAX` rows the rest stays together, joined by `↵`, so that no
  message can fill the view or grow a request without bound.

Joiners (U+200D) and combining marks stay: emoji and many scripts need them.
"""

from __future__ import annotations

import re
from typing import Final

__all__ = ["LINES_MAX", "NEWLINE_MARK", "to_lines", "visible"]

LINES_MAX: Final = 50
"""Most lines that one message is laid out in, before its lines are split for length."""
NEWLINE_MARK: Final = "↵"

_NEWLINE: Final = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
_KEPT: Final = frozenset("\t\n\r\x85\u2028\u2029")
_BIDI: Final = ("\u061c", "\u200e", "\u200f", *map(chr, range(0x202A, 0x202F)), *map(chr, range(0x2066, 0x206A)))


def _pictures() -> dict[int, str]:
    table = {code: chr(0x2400 + code) for code in range(0x20)}
    table[0x7F] = "␡"
    table |= {code: f"\\x{code:02x}" for code in range(0x80, 0xA0)}
    table |= {ord(char): f"\\u{ord(char):04x}" for char in (*_BIDI, "\ufeff")}
    table |= dict.fromkeys(range(0xD800, 0xE000), "\ufffd")
    return {code: text for code, text in table.items() if chr(code) not in _KEPT}


_PICTURES: Final = _pictures()


def visible(text: str) -> str:
    """`text` with everything that a viewer might obey or hide replaced; tabs and newlines are left. O(n)."""
    return text if text.isprintable() else text.translate(_PICTURES)


def to_lines(text: str) -> list[str]:
    """The rows in which `text` is shown, at most `LINES_MAX`, none of them blank; none if the text is blank."""
    if text.isprintable():
        return [text] if text.strip() else []
    rows = [row for row in (row.rstrip() for row in _NEWLINE.split(visible(text))) if row]
    if len(rows) <= LINES_MAX:
        return rows
    return [*rows[: LINES_MAX - 1], NEWLINE_MARK.join(rows[LINES_MAX - 1 :])]
