"""Word what a pod's status says: why a container ended or waits, why a pod was ended or has no node. Pure;
golden-tested.

    💥 Container web was killed: out of memory (OOMKilled, limit 512 MiB, exit code 137 SIGKILL) after 12 s
    💥 Restart 3 of container web ended with exit code 1 after 1 s
    📦 Image registry.example.com/team/nope:1 of container web cannot be pulled: not found (ErrImagePull)
    ⏳ No node for the pod yet: 0/5 nodes: 3 insufficient memory, 2 had untolerated taint {gpu: true}

These are our own lines and begin with a pictograph. Kubernetes' word for the thing stands in brackets, because it is
what one searches for. What a program left as its termination message follows in lines of its own, each quoted: it may
say anything. The words are tables, so that they can be changed in one place. How a pod started is worded in
`text_timeline.py`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from common.record import Aspect, Details, LogRecord
from common.scheduling import condensed
from shipper.sanitise import to_lines
from shipper.text_timeline import STARTS, timeline_row

__all__ = ["QUOTE", "status_rows"]

QUOTE: Final = "› "
"""Before words that are not ours."""

_SIGNALS: Final = {
    1: "SIGHUP", 2: "SIGINT", 3: "SIGQUIT", 4: "SIGILL", 5: "SIGTRAP", 6: "SIGABRT", 7: "SIGBUS", 8: "SIGFPE",
    9: "SIGKILL", 10: "SIGUSR1", 11: "SIGSEGV", 12: "SIGUSR2", 13: "SIGPIPE", 14: "SIGALRM", 15: "SIGTERM",
    24: "SIGXCPU", 25: "SIGXFSZ", 31: "SIGSYS",
}  # fmt: skip
"""Of Linux, whatever the shipper runs on."""
_ROLES: Final = {"init": "init container", "sidecar": "sidecar", "ephemeral": "ephemeral container"}
_NOT_STARTED: Final = frozenset(("StartError", "ContainerCannotRun"))
_PLAIN: Final = frozenset(("", "Error", "Completed"))
"""Reasons that say no more than the exit code."""
_POD_ENDS: Final = {
    "Evicted": "🚫 The pod was evicted",
    "NodeLost": "🔌 The pod's node was lost",
    "Preempting": "🚫 The pod had to make room for a more important one",
    "Terminated": "🔌 The pod was ended because its node is shut down",
    "Shutdown": "🔌 The pod was ended because its node is shut down",
    "NodeShutdown": "🔌 The pod was ended because its node is shut down",
    "NodeAffinity": "🚫 The node does not fit the pod",
    "UnexpectedAdmissionError": "🚫 The node refused the pod",
    "DeadlineExceeded": "⌛ The pod ran longer than it may",
}
_POD_END: Final = "🚫 The pod was ended"
_DISRUPTIONS: Final = {
    "PreemptionByScheduler": "🚫 The pod has to make room for a more important one",
    "DeletionByTaintManager": "🚫 The pod has to leave its node, which got a taint",
    "EvictionByEvictionAPI": "🚫 The pod is about to be evicted",
    "DeletionByPodGC": "🔌 The pod is about to be removed, as its node is gone",
    "TerminationByKubelet": "🚫 The pod's node is about to end it",
}
_DISRUPTION: Final = "🚫 The pod is about to be ended"
_IMAGES: Final = {
    "ErrImageNeverPull": "is not on the node and may not be pulled",
    "InvalidImageName": "has a name that is not valid",
    "ImageInspectError": "cannot be looked at",
    "SignatureValidationFailed": "has no valid signature",
}
_IMAGE: Final = "cannot be pulled"
_WAITS: Final = {
    "CreateContainerConfigError": "cannot be made, its configuration is incomplete",
    "CreateContainerError": "cannot be made",
    "RunContainerError": "cannot be started",
    "PostStartHookError": "was stopped, the hook that follows its start failed",
}
_WAIT: Final = "is kept waiting"
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


def status_rows(record: LogRecord) -> list[str]:
    """The rows of `record`, at least one; the first begins with a pictograph and all others are quoted."""
    details = record.details or Details("")
    if details.aspect == Aspect.ENDED:
        return _ended(record, details)
    if details.aspect in STARTS and details.timeline is not None:
        return [timeline_row(details.aspect, details.timeline)]
    if details.aspect == Aspect.LAST_WORDS:
        return _last_words(record, details)
    word = _SENTENCES.get(details.aspect, _unknown)
    return [_with_reason(word(record, details), record.reason)]


def _back_off(record: LogRecord, details: Details) -> str:
    pause = f" after a pause of {_span(details.pause_s * 1000)}" if details.pause_s else ""
    return f"⏳ {_capital(_container(record, details))} ended too soon and is started again{pause}"


def _image(record: LogRecord, details: Details) -> str:
    image, trouble = _in_one(details.image) or "?", _IMAGES.get(record.reason, _IMAGE)
    # The message of what may not be pulled says just that.
    cause = _pull_cause(record.message, details.image) if record.reason != "ErrImageNeverPull" else ""
    return f"📦 Image {image} of {_container(record, details)} {trouble}{_because(cause)}"


def _waiting(record: LogRecord, details: Details) -> str:
    trouble = _WAITS.get(record.reason, _WAIT)
    return f"🚧 {_capital(_container(record, details))} {trouble}{_because(_start_cause(record.message))}"


def _pod_ended(record: LogRecord, _details: Details) -> str:
    return _POD_ENDS.get(record.reason, _POD_END) + _because(record.message)


def _disrupted(record: LogRecord, _details: Details) -> str:
    return _DISRUPTIONS.get(record.reason, _DISRUPTION) + _because(record.message)


def _unscheduled(record: LogRecord, _details: Details) -> str:
    return "⏳ No node for the pod yet" + _because(condensed(record.message))


def _unready(record: LogRecord, _details: Details) -> str:
    said = _SILENT_NODE if record.reason in _BY_NODE_CONTROLLER else record.message
    return "🔌 The pod was ready and is not any more" + _because(said)


def _sandbox(record: LogRecord, _details: Details) -> str:
    return "🔌 The pod lost its network and is set up again" + _because(record.message)


def _unknown(record: LogRecord, _details: Details) -> str:
    """What only a newer watcher knows of."""
    return f"🐳 {_in_one(record.object.kind)} {_in_one(record.object.name)}{_because(record.message)}"


_SENTENCES: Final[dict[str, Callable[[LogRecord, Details], str]]] = {
    Aspect.BACK_OFF: _back_off,
    Aspect.IMAGE: _image,
    Aspect.WAITING: _waiting,
    Aspect.POD_ENDED: _pod_ended,
    Aspect.DISRUPTED: _disrupted,
    Aspect.UNSCHEDULED: _unscheduled,
    Aspect.UNREADY: _unready,
    Aspect.SANDBOX: _sandbox,
}


def _ended(record: LogRecord, details: Details) -> list[str]:
    who, code = _container(record, details), _exit(details)
    if details.restarts:
        who = f"restart {details.restarts} of {who}"
    reason, after = _in_one(record.reason), _ran(record, details)
    said = to_lines(record.message)
    if record.reason == "OOMKilled":
        limit = f", limit {_size(details.limit_bytes)}" if details.limit_bytes else ""
        text = f"💥 {_capital(who)} was killed: out of memory (OOMKilled{limit}, {code}){after}"
    elif record.reason in _NOT_STARTED:
        return [f"💥 {_capital(who)} could not be started{_because(_start_cause(' '.join(said)))} ({reason}, {code})"]
    elif record.reason == "ContainerStatusUnknown":
        text = f"💥 {_capital(who)} is gone, and how it ended is not known ({reason})"
    elif details.exit_code == 0:
        text = f"🏁 {_capital(who)} ended ({code}){after}"
    elif details.expected:
        text = f"🏁 {_capital(who)} ended with the pod ({code}){after}"
    else:
        word = f" ({reason})" if record.reason not in _PLAIN else ""
        text = f"💥 {_capital(who)} ended with {code}{word}{after}"
    return [text, *(QUOTE + row for row in said)]


def _last_words(record: LogRecord, details: Details) -> list[str]:
    """It comes some time after the line of the ending, so it says itself which one it is."""
    who, said = _container(record, details), to_lines(record.message)
    if details.restarts:
        who = f"restart {details.restarts} of {who}"
    which = "Last line" if len(said) == 1 else f"Last {len(said)} lines"
    return [f"📜 {which} of {who}, which ended with {_exit(details)}:", *(QUOTE + row for row in said)]


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


def _with_reason(text: str, reason: str) -> str:
    word = _in_one(reason)
    return text if not word or word in text else f"{text} ({word})"


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
