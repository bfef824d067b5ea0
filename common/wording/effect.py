"""What of an entry can have no effect, whatever Kubernetes says: that is a mistake, and is said as one. Pure.

Only what is certain counts. Reasons are open: runtimes, controllers and whoever may create Events make up their own, so
of a reason only that is known which Kubernetes and the usual autoscalers give to Events and to nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from common.meant import closest, did_you_mean
from common.record import Aspect, Level, Origin
from common.wording.table import ASPECTS, ENDED_WITH_POD, WORRYING, Entry, Figures

__all__ = ["KINDS", "Effects"]

KINDS: Final = ("Pod", "ReplicaSet", "Deployment", "StatefulSet", "Job", "PersistentVolumeClaim", "Node")
"""What records are about."""

_EVENT: Final = frozenset((Origin.EVENT.value,))
_ENDINGS: Final = frozenset((Aspect.ENDED.value, ENDED_WITH_POD))
_COUNTED: Final = frozenset((Origin.EVENT.value, Origin.OBJECT.value))
"""Whose records say how often: Events, and how many of them were not kept."""
_SILENT: Final = frozenset((Origin.OBJECT.value, Aspect.STARTED.value, Aspect.NOT_STARTED.value))
"""They have no message in which a text might occur."""
_EVENTS_ONLY: Final = frozenset(
    name.casefold()
    for name in (
        # The kubelet; of a status the same trouble has another reason (ErrImagePull, CrashLoopBackOff).
        "Pulling", "Pulled", "Started", "Killing", "BackOff", "InspectFailed", "Unhealthy", "ProbeWarning",
        "FailedMount", "FailedAttachVolume", "FailedMapVolume", "SuccessfulAttachVolume", "FailedCreatePodSandBox",
        "SandboxChanged", "FailedPostStartHook", "FailedPreStopHook", "NetworkNotReady", "FailedKillPod", "FailedSync",
        # The scheduler and controllers.
        "Scheduled", "FailedScheduling", "FailedCreate", "FailedDelete", "SuccessfulCreate", "SuccessfulDelete",
        "ScalingReplicaSet", "BackoffLimitExceeded", "FailedBinding", "WaitForFirstConsumer", "WaitForPodScheduled",
        "ExternalProvisioning", "Provisioning", "ProvisioningSucceeded", "ProvisioningFailed", "ClaimLost",
        "VolumeResizeFailed", "FileSystemResizeSuccessful", "TaintManagerEviction",
        # Nodes and autoscalers.
        "NodeReady", "Rebooted", "SystemOOM", "OOMKilling", "ScaleDown", "TriggeredScaleUp",
        "NotTriggerScaleUp", "FailedScaleUp", "Nominated", "SpotInterrupted", "SpotInterruption",
    )
)  # fmt: skip


class Effects:
    """The entries of one file, each looked at beside those before it."""

    def __init__(self) -> None:
        self._scopes: list[_Scope] = []
        self._by_reason: dict[str, list[_Scope]] = {}
        """Those that name a reason, by each one."""
        self._for_any: list[_Scope] = []
        self._worries = False
        """Some entry makes lines warnings or errors."""

    def lack_of(self, entry: Entry) -> str | None:
        """What of `entry`, the next one of the file, can have no effect, why, and what helps; None if nothing."""
        scope = _Scope(entry, len(self._scopes) + 1)
        why = _unknown(entry) or _impossible(entry) or _idle(entry) or self._hushed(entry) or self._overlaid(scope)
        self._scopes.append(scope)
        self._worries = self._worries or entry.level in WORRYING
        if not scope.reasons:
            self._for_any.append(scope)
        for reason in scope.reasons:
            self._by_reason.setdefault(reason, []).append(scope)
        return why

    def _hushed(self, entry: Entry) -> str | None:
        """A hint where the entry itself, and no other, decides on a level that no hint follows."""
        advises = entry.hint is not None and bool(entry.hint.user or entry.hint.admin)
        if not advises or entry.level is None or entry.level in WORRYING or self._worries:
            return None
        return (
            f"hint: can have no effect at level {entry.level}: hints follow {' and '.join(WORRYING)} only; "
            f"write level: {Level.WARN}, or take hint out"
        )

    def _overlaid(self, scope: _Scope) -> str | None:
        """Earlier entries that hold for all that this one holds for, and decide all that it mentions."""
        named = self._by_reason.get(next(iter(scope.reasons)), ()) if scope.reasons else ()
        left, over = scope.mentioned, []
        for each in (*self._for_any, *named):
            if left & each.mentioned and each.covers(scope):
                left -= each.mentioned
                over.append(each.number)
                if not left:
                    return (
                        f"can have no effect: {_entries(sorted(over))} wherever this one does, and of each thing the "
                        "first entry decides; put this one before, or take it out"
                    )
        return None


def _entries(numbers: Sequence[int]) -> str:
    return f"entry {numbers[0]} holds" if len(numbers) == 1 else f"entries {' and '.join(map(str, numbers))} hold"


class _Scope:
    """For what an entry holds, and what it decides."""

    def __init__(self, entry: Entry, number: int) -> None:
        self.number: Final = number
        self.mentioned: Final = _mentioned(entry)
        self.reasons: Final = frozenset(_texts(entry.reason))
        self._equal: Final[tuple[frozenset[str] | frozenset[int], ...]] = (
            self.reasons,
            *(frozenset(_texts(value)) for value in (entry.kind, entry.component, entry.aspect)),
            frozenset((entry.exit_code,) if isinstance(entry.exit_code, int) else entry.exit_code),
        )
        self._all_of: Final = tuple(_texts(entry.contains))
        self._any_of: Final = tuple(_texts(entry.contains_any))
        self._at_least: Final = entry.at_least
        self._held: Final = "\n".join(self._all_of)
        """What is in each message that it holds for; no text of an entry has a line break."""

    def covers(self, narrow: _Scope) -> bool:
        """Whether all conditions hold wherever those of `narrow` do."""
        for text in self._all_of:  # first, as it tells most apart
            if text not in narrow._held:
                return False
        for wanted, given in zip(self._equal, narrow._equal, strict=True):
            if wanted and not (given and given <= wanted):
                return False
        if self._at_least > narrow._at_least:
            return False
        return (
            not self._any_of
            or any(text in narrow._held for text in self._any_of)
            or (bool(narrow._any_of) and all(any(text in each for text in self._any_of) for each in narrow._any_of))
        )


def _unknown(entry: Entry) -> str | None:
    given: tuple[tuple[str, str | tuple[str, ...], tuple[str, ...]], ...] = (
        ("kind", entry.kind, KINDS),
        ("aspect", entry.aspect, ASPECTS),
    )
    for name, value, known in given:
        by_fold = {each.casefold(): each for each in known}
        for text in (value,) if isinstance(value, str) else value:
            if text.casefold() not in by_fold:
                meant = did_you_mean(by_fold.get(closest(text.casefold(), by_fold), ""))
                return f"{name}: no line is about the {name} {_short(text)}{meant}; one of {', '.join(known)}"
    return None


def _impossible(entry: Entry) -> str | None:
    """Two conditions of which never both hold."""
    aspects: frozenset[str] = frozenset(ASPECTS)
    because = ""
    for name, possible in _possible(entry):
        if not aspects & possible:
            return f"can have no effect: {because} and {name} never hold of the same line; take one of them out"
        if not aspects <= possible:
            aspects, because = aspects & possible, name
    return None


def _possible(entry: Entry) -> Iterator[tuple[str, frozenset[str]]]:
    """For each condition, what the lines tell of that it can hold for."""
    every = frozenset(ASPECTS)
    if entry.aspect:
        yield f"aspect {_listed(entry.aspect)}", frozenset(_texts(entry.aspect))
    kinds = frozenset(_texts(entry.kind))
    if kinds and "pod" not in kinds:
        own = frozenset((Origin.OBJECT.value,)) if "replicaset" in kinds else frozenset[str]()
        yield f"kind {_listed(entry.kind)}", _EVENT | own
    if entry.component:
        yield f"component {_listed(entry.component)} (only Events have one)", _EVENT
    if entry.exit_code != ():
        yield "exit_code", _ENDINGS
    if entry.contains or entry.contains_any:
        yield ("contains" if entry.contains else "contains_any"), every - _SILENT
    if entry.at_least > 1:
        yield "at_least", _COUNTED
    reasons = frozenset(_texts(entry.reason))
    if reasons and reasons <= _EVENTS_ONLY:
        yield f"reason {_listed(entry.reason)} (only Events have it)", _EVENT


def _idle(entry: Entry) -> str | None:
    """Something to be done that no line for which `entry` holds has a place for."""
    holds_for = frozenset(ASPECTS)
    for name, possible in _possible(entry):
        holds_for &= possible
        if entry.emoji is not None and holds_for <= _EVENT:
            return f"emoji: can have no effect: {name} is of an Event, whose line has no pictograph; take emoji out"
        memory = entry.hint is not None and entry.hint.figures is Figures.MEMORY
        if memory and not holds_for & _ENDINGS:
            return f"hint: figures: can have no effect: {name} is of nothing that has a memory limit; take figures out"
    return None


def _mentioned(entry: Entry) -> frozenset[str]:
    said = {name: getattr(entry, name) for name in ("words", "level", "emoji", "show")}
    if entry.hint is not None:
        said |= {"user": entry.hint.user, "admin": entry.hint.admin, "figures": entry.hint.figures}
    return frozenset(name for name, value in said.items() if value is not None)


def _texts(value: str | tuple[str, ...]) -> Iterator[str]:
    """As they are compared."""
    return (text.casefold() for text in ((value,) if isinstance(value, str) else value))


def _listed(value: str | tuple[str, ...]) -> str:
    return _short(", ".join((value,) if isinstance(value, str) else value))


def _short(text: str) -> str:
    cut = text if len(text) <= 60 else text[:60] + "…"
    return cut.encode("unicode_escape").decode("ascii")
