"""Word what a pod's status says: why a container ended or waits, why a pod was ended or has no node. Pure;
golden-tested.

    💥 Container web was killed: out of memory (OOMKilled, limit 512 MiB, exit code 137 SIGKILL) after 12 s
    💥 Restart 3 of container web ended with exit code 1 after 1 s
    📦 Image registry.example.com/team/nope:1 of container web cannot be pulled: not found (ErrImagePull)
    ⏳ No node for the pod yet: 0/5 nodes: 3 insufficient memory, 2 had untolerated taint {gpu: true}

These are our own lines and begin with a pictograph. Kubernetes' word for the thing stands in brackets, because it is
what one searches for. What a program left as its termination message follows in lines of its own, each quoted: it may
say anything. How a pod started is worded in `text_timeline.py`.

Words and pictographs are the table's (`common/wording/lines.yaml`, an operator's file over it). Here is what goes
around them: names, figures, causes; and the sentences that a figure is part of, for where the table has no words. With
words those figures stand in brackets, so that any words will do.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from common.record import Aspect, Details, LogRecord
from common.scheduling import condensed
from common.wording.table import Ruling
from shipper.sanitise import to_lines
from shipper.text_timeline import timeline_row

__all__ = ["PLAIN_MARK", "QUOTE", "status_rows"]

QUOTE: Final = "› "
"""Before words that are not ours."""
PLAIN_MARK: Final = "🐳"
"""Where the table has no pictograph."""

_SIGNALS: Final = {
    1: "SIGHUP", 2: "SIGINT", 3: "SIGQUIT", 4: "SIGILL", 5: "SIGTRAP", 6: "SIGABRT", 7: "SIGBUS", 8: "SIGFPE",
    9: "SIGKILL", 10: "SIGUSR1", 11: "SIGSEGV", 12: "SIGUSR2", 13: "SIGPIPE", 14: "SIGALRM", 15: "SIGTERM",
    24: "SIGXCPU", 25: "SIGXFSZ", 31: "SIGSYS",
}  # fmt: skip
"""Of Linux, whatever the shipper runs on."""
_ROLES: Final = {"init": "init container", "sidecar": "sidecar", "ephemeral": "ephemeral container"}
_OOM_KILLED: Final = "OOMKilled"
_LOST: Final = "ContainerStatusUnknown"
_NOT_STARTED: Final = frozenset(("StartError", "ContainerCannotRun"))
"""The message is the runtime's, not the program's."""
_PLAIN: Final = frozenset(("", "Error", "Completed"))
"""Reasons that say no more than the exit code."""
_SILENT_NODE: Final = "its node is not ready"
_BY_NODE_CONTROLLER: Final = ("NodeNotReady", "")
"""Without a reason it comes from a watcher of the release before."""
_PULL_NOISE: Final = re.compile(
    r'(?:rpc error: code = \w+ desc = |failed to (?:pull and unpack|pull) image "[^"]*": '
    r'|failed to resolve (?:reference|image) "[^"]*": |failed to do request: |Error response from daemon: )+'
)
_START_NOISE: Final = re.compile(
    r"failed to create (?:containerd )?task(?: for container)?: |failed to create shim task: "
    r"|OCI runtime create failed: |runc create failed: |(?:: unknown)+$"
)
"""What container runtimes say before, and after, they come to the point."""


def status_rows(record: LogRecord, ruling: Ruling) -> list[str]:
    """The rows of `record`, at least one, in the words of `ruling`; the first begins with a pictograph and all others
    are quoted."""
    details = record.details or Details("")
    first, *said = _ROWS.get(details.aspect, _about_pod)(record, details, ruling.words)
    return [f"{ruling.emoji or PLAIN_MARK} {first}", *(QUOTE + row for row in said)]


def _back_off(record: LogRecord, details: Details, words: str) -> list[str]:
    who = _capital(_container(record, details))
    pause = _span(details.pause_s * 1000) if details.pause_s else ""
    if words:
        return [f"{who} {words}{_brackets(_unsaid(record.reason, words), pause and f'pause {pause}')}"]
    after = f" after a pause of {pause}" if pause else ""
    return [_with_reason(f"{who} ended too soon and is started again{after}", record.reason)]


def _image(record: LogRecord, details: Details, words: str) -> list[str]:
    image = _in_one(details.image) or "?"
    # The message of what may not be pulled says just that.
    cause = _pull_cause(record.message, details.image) if record.reason != "ErrImageNeverPull" else ""
    what = f"Image {image} of {_container(record, details)}"
    return [_with_reason(_joined(what, words) + _because(cause), record.reason)]


def _waiting(record: LogRecord, details: Details, words: str) -> list[str]:
    who = _capital(_container(record, details))
    return [_with_reason(_joined(who, words) + _because(_start_cause(record.message)), record.reason)]


def _unscheduled(record: LogRecord, _details: Details, words: str) -> list[str]:
    return [_with_reason((words or _whole(record)) + _because(condensed(record.message)), record.reason)]


def _unready(record: LogRecord, _details: Details, words: str) -> list[str]:
    said = _SILENT_NODE if record.reason in _BY_NODE_CONTROLLER else record.message
    return [_with_reason((words or _whole(record)) + _because(said), record.reason)]


def _about_pod(record: LogRecord, _details: Details, words: str) -> list[str]:
    """What is said of a pod as a whole; what only a newer watcher knows of, too."""
    return [_with_reason((words or _whole(record)) + _because(record.message), record.reason)]


def _start(record: LogRecord, details: Details, words: str) -> list[str]:
    if details.timeline is None:
        return _about_pod(record, details, "")
    return [timeline_row(words or _whole(record), details.timeline)]


def _ended(record: LogRecord, details: Details, words: str) -> list[str]:
    who, code = _capital(_which(record, details)), _exit(details)
    reason, after, said = _unsaid(record.reason, words), _ran(record, details), to_lines(record.message)
    if record.reason in _NOT_STARTED:
        return [f"{_joined(who, words)}{_because(_start_cause(' '.join(said)))}{_brackets(reason, code)}"]
    if record.reason == _LOST:  # its exit code is made up
        return [f"{_joined(who, words)}{_brackets(reason)}", *said]
    if record.reason in _PLAIN:
        reason = ""
    if not words:
        return [f"{who} ended with {code}{_brackets(reason)}{after}", *said]
    limit = f"limit {_size(details.limit_bytes)}" if record.reason == _OOM_KILLED and details.limit_bytes else ""
    return [f"{who} {words}{_brackets(reason, limit, code)}{after}", *said]


def _last_words(record: LogRecord, details: Details, words: str) -> list[str]:
    """It comes some time after the line of the ending, so it says itself which one it is."""
    said = to_lines(record.message)
    what = words or ("Last line" if len(said) == 1 else f"Last {len(said)} lines")
    return [f"{what} of {_which(record, details)}, which ended with {_exit(details)}:", *said]


_ROWS: Final[dict[str, Callable[[LogRecord, Details, str], list[str]]]] = {
    Aspect.ENDED: _ended,
    Aspect.BACK_OFF: _back_off,
    Aspect.IMAGE: _image,
    Aspect.WAITING: _waiting,
    Aspect.UNSCHEDULED: _unscheduled,
    Aspect.UNREADY: _unready,
    Aspect.STARTED: _start,
    Aspect.NOT_STARTED: _start,
    Aspect.LAST_WORDS: _last_words,
}
"""By aspect, the row without its pictograph, and what somebody else said below it."""


def _whole(record: LogRecord) -> str:
    return f"{_in_one(record.object.kind)} {_in_one(record.object.name)}"


def _which(record: LogRecord, details: Details) -> str:
    who = _container(record, details)
    return f"restart {details.restarts} of {who}" if details.restarts else who


def _exit(details: Details) -> str:
    """`exit code 137 SIGKILL`; by convention 128 and more is 128 and the signal that ended the program."""
    code = details.exit_code or 0
    number = details.signal or (code - 128 if code > 128 else 0)
    signal = _SIGNALS.get(number, f"signal {details.signal}" if details.signal else "")
    return f"exit code {code} {signal}".rstrip()


def _ran(record: LogRecord, details: Details) -> str:
    if details.started_at_ms <= 0 or record.last_at_ms < details.started_at_ms:
        return ""
    return f" after {_span(record.last_at_ms - details.started_at_ms)}"


def _container(record: LogRecord, details: Details) -> str:
    return f"{_ROLES.get(details.role, 'container')} {_in_one(record.container)}"


def _pull_cause(message: str, image: str) -> str:
    cause = _PULL_NOISE.sub("", message)
    return cause.removeprefix(f"{image}: ") if image else cause


def _start_cause(message: str) -> str:
    return _START_NOISE.sub("", message)


def _because(message: str) -> str:
    text = _in_one(message).strip()
    return f": {text}" if text else ""


def _joined(who: str, words: str) -> str:
    return f"{who} {words}" if words else who


def _unsaid(reason: str, text: str) -> str:
    """`reason`, unless `text` says it."""
    word = _in_one(reason)
    return "" if word in text else word


def _with_reason(text: str, reason: str) -> str:
    return text + _brackets(_unsaid(reason, text))


def _brackets(*notes: str) -> str:
    said = ", ".join(filter(None, notes))
    return f" ({said})" if said else ""


def _in_one(text: str) -> str:
    """`text` as one row, whatever is in it."""
    return " ".join(to_lines(text))


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _span(span_ms: int) -> str:
    seconds = span_ms // 1000
    if seconds < 120:
        return f"{seconds} s" if seconds else "less than a second"
    if seconds < 2 * 3600:
        return f"{round(seconds / 60)} min"
    return f"{round(seconds / 3600)} h" if seconds < 2 * 86_400 else f"{round(seconds / 86_400)} days"


def _size(size_bytes: int) -> str:
    for unit, factor in (("GiB", 1024**3), ("MiB", 1024**2), ("KiB", 1024)):
        if size_bytes >= factor:
            return f"{size_bytes / factor:.4g} {unit}"
    return f"{size_bytes} bytes"
