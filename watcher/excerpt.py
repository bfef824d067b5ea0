"""The last lines of a container's output as they may be shown: few, short, without what looks like a secret. Pure.

Control characters stay as they are: the shipper makes all text visible. Figures: ADR 33.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from watcher.redactor import Redacted, Redactor

__all__ = ["CONTEXT_LINES", "EXCERPT_MAX_BYTES", "ROW_MAX_CHARS", "excerpt", "is_end_of"]

CONTEXT_LINES: Final = 60
"""So many lines ahead of the shown ones are read: a private key has some fifty, and it is the first that says so."""
ROW_MAX_CHARS: Final = 960
"""Of one line; with its quotation mark and what is missing it still fits a line of Coder's."""
EXCERPT_MAX_BYTES: Final = 8 * 1024
"""Of all together: a thirtieth of an agent's budget by default."""

_NEWLINE: Final = re.compile("\r\n|[\n\r\x85\u2028\u2029]")


def excerpt(body: bytes, lines: int, redactor: Redactor, known: Iterable[str]) -> Redacted:
    """The last `lines` (>= 1) lines of `body` that are not blank; fewer if they are long, none if there are none.

    `known`: secrets by themselves. O(size of `body` × patterns): to be kept off the event loop.
    """
    rows = _rows(body.decode("utf-8", "replace"))
    redacted = redactor(rows[-lines - CONTEXT_LINES :], known, ROW_MAX_CHARS)
    left_bytes, kept = EXCERPT_MAX_BYTES, []
    for row in reversed(redacted.rows[-lines:]):
        left_bytes -= len(row.encode("utf-8", "surrogatepass")) + 1
        if left_bytes < 0:
            break
        kept.append(row)
    return Redacted(kept[::-1], redacted.slow)


def is_end_of(message: str, body: bytes, lines: int) -> bool:
    """Whether the termination message `message` says the last `lines` lines of `body`, or all that there are.

    So it is with `terminationMessagePolicy: FallbackToLogsOnError`: the kubelet takes the log's last 80 lines, of those
    the last 2,048 bytes, so the first one may lack its beginning.
    """
    said, wrote = _rows(message), _rows(body.decode("utf-8", "replace"))[-lines:]
    if not wrote or len(said) < len(wrote):
        return False
    first, *rest = said[-len(wrote) :]
    return wrote[0].endswith(first) and rest == wrote[1:]


def _rows(text: str) -> list[str]:
    return [row for row in _NEWLINE.split(text) if row and not row.isspace()]
