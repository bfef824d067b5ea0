"""Word a record as the lines that a workspace's owner reads. Pure; golden-tested.

What the users of the Go peer know stays: «🐳 Created pod: NAME», «🐳 Queued pod from ReplicaSet: NAME»,
«🗑️ Deleted pod: NAME», «🗑️ Deleted ReplicaSet: NAME», and each event's message (FACTS 3).

An event's line is its message, and what the message leaves out:

    Pulling image "app:1.0"
    Successfully assigned dev/web-1 to node-a (Scheduled)
    Container started (init-db)
    FailedScheduling: 0/3 nodes are available: 3 Insufficient cpu. ×4 over 1m
    Back-off restarting failed container main in pod web-1 ×9 over 12m

- A warning opens with its reason, because that is the word to search for; a normal event, which is read in passing,
  carries it at the end in brackets. Either way only if the message does not say the word already: «Pulling: Pulling
  image» helps nobody. «Back-off …» says BackOff.
- The container's name follows in brackets if the message does not hold it; so does, of an Event about what stands
  beside the pod, the name of that: «(volume claim home)».
- `×4 over 1m` from the second occurrence on: how often so far, and from the first to the latest.
- Coder stamps a line with the time it receives it (FACTS 1), so a line that comes late ends with its own time.

Who may create Events may write any message, so theirs must not pass for ours: each line of our own begins with a
pictograph, and no line of an Event does. One that would begin with anything but a letter, a digit or punctuation is
quoted: «› 🐳 Created pod: web-1».

What a status says is worded in `text_status.py`.

No colours: a level says how bad it is, and ANSI is for terminals. The level comes with the record.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Final, assert_never

import msgspec

from common.record import Level, LogRecord, Origin
from common.wording.table import WORRYING, Ruling
from shipper.hold import SEVERAL
from shipper.reasons import Reason
from shipper.sanitise import to_lines
from shipper.split import LINE_MAX_CHARS, split_line
from shipper.text_status import PLAIN_MARK, QUOTE, status_rows

__all__ = ["LATE_MS", "Line", "budget_line", "gap_line", "render", "thinned_line"]

LATE_MS: Final = 6_000
"""From this age on a line carries its own time: «a few seconds», and one because events have whole seconds."""

_NEIGHBOURS: Final = {
    "persistentvolumeclaim": "volume claim",
    "node": "node",
    "deployment": "Deployment",
    "statefulset": "StatefulSet",
    "job": "Job",
}
_WHY_MISSING: Final[Mapping[str, str]] = {
    Reason.UNREACHABLE: "Coder could not be reached for too long",
    Reason.OUTCOME_UNKNOWN: "Coder did not answer for too long",
    Reason.SERVER_ERROR: "Coder failed for too long",
    Reason.UPLOAD_FAILED: "refused by Coder's database",
    Reason.UNAUTHORIZED: "Coder did not know this agent for too long",
    Reason.BODY_TOO_LARGE: "too large for Coder",
    Reason.BAD_LINE: "refused by Coder",
    Reason.QUOTA: "the log before this one was full",
    Reason.BUDGET: "the log before this one had no room left for them",
    Reason.INVALID_TOKEN: "Coder refused the agent's token",
    Reason.UNREADABLE: "not readable",
    Reason.NO_TOKEN: "the agent's token was lost",
    SEVERAL: "for several reasons",
}
"""For each reason for which records are dropped."""
_FILLERS: Final = frozenset("\u115f\u1160\u3164\uffa0")
"""Letters that show as nothing."""
_APART: Final = re.compile(r"[\W_]+")
"""What stands between words."""


class Line(msgspec.Struct, frozen=True):
    """One line as Coder gets it: at most 1,024 characters, nothing in it that a viewer obeys."""

    text: str
    level: Level


def render(record: LogRecord, ruling: Ruling, now_ms: int) -> list[Line]:
    """The lines of `record`, at least one, in order, as `ruling` has them: level, words and pictograph. `now_ms` is
    Unix time by Redis, for the age of the record."""
    split: Callable[[str], list[str]]
    match record.origin:
        case Origin.EVENT:
            rows, split = _event_rows(record, ruling), _split_quoted
        case Origin.OBJECT:
            rows, split = _object_rows(record, ruling), split_line
        case Origin.STATUS:
            rows, split = status_rows(record, ruling), _split_ours
        case _:
            assert_never(record.origin)
    rows[0] += _own_time(record.last_at_ms, now_ms)
    return [Line(piece, ruling.level) for row in rows for piece in split(row)]


def budget_line(budget_bytes: int, hidden: int) -> Line:
    """The last line that an agent gets from us; `hidden` records (>= 0) are known not to be shown."""
    known = f" ({hidden} so far)" if hidden else ""
    return Line(
        f"🛑 The {budget_bytes // 1024} KiB for Kubernetes messages in this log are used up: "
        f"later ones are not shown{known}.",
        Level.WARN,
    )


def thinned_line(budget_bytes: int, left_out: int) -> Line:
    """`left_out` records (>= 1) so far are left out because others matter more."""
    messages, are = ("message", "is") if left_out == 1 else ("messages", "are")
    return Line(
        f"✂️ {left_out} lesser {messages} so far {are} left out to keep room for errors "
        f"in the {budget_bytes // 1024} KiB of this log.",
        Level.WARN,
    )


def gap_line(missing: int, why: str) -> Line:
    """Where `missing` records (>= 1) should have been shown, dropped for the reason `why`, as `AgentState` keeps it."""
    because = f": {_WHY_MISSING[why]}" if why in _WHY_MISSING else ""
    return Line(f"⚠️ {_missing(missing, 'of Kubernetes')}{because}.", Level.WARN)


def _missing(number: int, which: str) -> str:
    messages, are = ("message", "is") if number == 1 else ("messages", "are")
    return f"{number} earlier {messages} {which} {are} missing here"


def _object_rows(record: LogRecord, ruling: Ruling) -> list[str]:
    reason, name, words = record.reason.lower(), record.object.name, ruling.words
    mark = ruling.emoji or PLAIN_MARK
    if reason == "notkept":
        why = f": {words}" if words else ""
        return [_in_one(f"{mark} {_missing(record.count, f'about {name}')}{why}.")]
    if reason == "notfollowed":
        why = f": {words}" if words else ""
        return [_in_one(f"{mark} Messages about {name} are missing here{why}.")]
    if words:
        return [_in_one(f"{mark} {words}: {name}"), *to_lines(record.message)]
    return to_lines(record.message) or [_in_one(f"{mark} {record.reason} {record.object.kind}: {name}")]


def _in_one(text: str) -> str:
    """`text` as one row, whatever is in it."""
    return " ".join(to_lines(text))


def _event_rows(record: LogRecord, ruling: Ruling) -> list[str]:
    reason = ruling.words or " ".join(to_lines(record.reason))
    rows = to_lines(record.message) or [reason or "Kubernetes event without a message"]
    text = rows[0]
    if len(rows) == 1:
        text = text.rstrip(" :") or text  # a probe that prints nothing: «Liveness probe failed: »
    warns = ruling.level in WORRYING
    unsaid = reason if not _says(text, reason) else ""
    if unsaid and warns:
        text = f"{unsaid}: {text}"
    container = " ".join(to_lines(record.container))
    asides = [
        unsaid if not warns else "",
        container if container not in _names(text) else "",
        _neighbour(record, text),
    ]
    if any(asides):
        text += f" ({', '.join(filter(None, asides))})"
    return [text + _repeats(record), *rows[1:]]


def _neighbour(record: LogRecord, text: str) -> str:
    """What an Event is about that is neither the pod nor its ReplicaSet, unless `text` names it."""
    what = _NEIGHBOURS.get(record.object.kind.lower())
    name = " ".join(to_lines(record.object.name))
    if what is None or re.search(rf"(?<![\w.-]){re.escape(name)}(?![\w-])", text):
        return ""
    return f"{what} {name}"


def _split_ours(row: str) -> list[str]:
    """`row`, which is ours, as lines; what follows a split may be anybody's words."""
    first, *rest = split_line(row)
    return [first, *(_split_quoted("".join(rest)) if rest else ())]


def _split_quoted(row: str) -> list[str]:
    """`row` as lines of which none begins as ours do, wherever it had to be split."""
    row = _quoted(row)
    pieces = split_line(row)
    if any(map(_poses, pieces)):
        pieces = [_quoted(piece) for piece in split_line(row, LINE_MAX_CHARS - len(QUOTE))]
    return pieces


def _quoted(text: str) -> str:
    return QUOTE + text if _poses(text) else text


def _poses(text: str) -> bool:
    """Whether `text` begins with something that is, or hides, or looks like a pictograph."""
    first = text.lstrip()[:1]
    if first.isascii():
        return False
    return unicodedata.category(first)[0] not in "LNP" or first in _FILLERS


def _says(text: str, reason: str) -> bool:
    """Whether `text` holds the words of `reason` in its own spelling: «Back-off» says BackOff."""
    bare = _APART.sub("", reason.casefold())
    return bare in _APART.sub("", text.casefold()) if bare else reason in text


def _names(text: str) -> list[str]:
    return [*re.findall(r"[0-9A-Za-z-]+", text), ""]


def _repeats(record: LogRecord) -> str:
    if record.count < 2:
        return ""
    span_s = (record.last_at_ms - record.first_at_ms) // 1000
    over = f" over {_span(span_s)}" if record.first_at_ms > 0 and span_s > 0 else ""
    return f" ×{record.count}{over}"


def _span(seconds: int) -> str:
    if seconds < 60:
        return f"{seconds}s"
    if seconds < 2 * 3600:
        return f"{round(seconds / 60)}m"
    if seconds < 2 * 86_400:
        return f"{round(seconds / 3600)}h"
    return f"{round(seconds / 86_400)}d"


def _own_time(at_ms: int, now_ms: int) -> str:
    if at_ms <= 0 or now_ms - at_ms < LATE_MS:
        return ""
    at, now = (datetime.fromtimestamp(ms / 1000, UTC) for ms in (at_ms, now_ms))
    return f" (at {at:%H:%M:%S} UTC)" if at.date() == now.date() else f" (on {at:%Y-%m-%d} at {at:%H:%M:%S} UTC)"
