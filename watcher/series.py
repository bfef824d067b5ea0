"""Tries of an owner to make a pod, each with an Event of its own: what they have in common, and how many. Pure.

A ReplicaSet or Job makes up another name for each pod. Where none may be made (a quota, a limit range, an admission
webhook) the name stands in the message of each `FailedCreate`, so each try is another Event to Kubernetes, until after
ten of them its client combines what follows (read: client-go's `EventCorrelator`, tools/record; names: apiserver's
`names.SimpleNameGenerator`, controller's `GetPodsPrefix`). To the reader all that differ only in that name are one
thing that repeats: a *cause*, with a running count.

Which Event belongs to which cause, and which of them is the newest, follows from the Events alone: a cause is named by
its owner and its message without the name, its versions are resource versions. So whoever reads, in whatever order and
however often, Redis takes no try for another, none twice and none after a later one (guarantee 3). Only the count needs
memory (`Tried`): without it a count is too low, and nothing else is wrong.

Numbers in a message (`used: pods=3`) are news: another cause. But where they differ each time, so that an owner has
`EXACT_MAX` causes within the hour, further messages are told apart without numbers and ids. Who has no memory of those
four tells such a message once more, as a cause of its own.
"""

from __future__ import annotations

import re
from typing import Final

from msgspec import Struct
from msgspec.structs import asdict

from watcher.facts import digest, unvarying
from watcher.objects import Event
from watcher.versions import order_key

__all__ = ["EXACT_MAX", "QUIET_MS", "ROUGH_MAX", "UNTRIED", "Cause", "Tried", "Try", "as_told", "counted", "is_try"]

EXACT_MAX: Final = 4
ROUGH_MAX: Final = 4
QUIET_MS: Final = 3_600_000
"""A cause that was silent for so long begins anew: so long Kubernetes keeps an Event that is not written again."""
SEEN_MAX: Final = 4
_OWNERS: Final = ("ReplicaSet", "Job")
"""Whose pods have generated names, and whose Events are told at all."""
_VERSION_MAX: Final = 2**53
"""Redis compares versions as floating point numbers."""
_BASE_MAX_CHARS: Final = 58
"""Of a generated name, before its suffix."""
_SUFFIX: Final = "(?:[0-9]+-)?[bcdfghjklmnpqrstvwxz2456789]{5}"
"""Of an indexed Job the index goes before it."""
_COMBINED: Final = "(combined from similar events): "
"""How client-go begins the message of an Event that stands for many: our count says so."""
_QUANTITY: Final = re.compile(r"(?<![0-9A-Za-z])[0-9]+(?:\.[0-9]+)?(?:[munkKMGTPE]i?)?(?![0-9A-Za-z])")


class Cause(Struct, frozen=True, array_like=True):
    """Why an owner's pods cannot be made, in one wording. It is kept in Redis: fields are only appended."""

    name: str
    count: int
    """How many tries said so."""
    newest: int
    """Resource version of the newest one."""
    since_ms: int = 0
    """Unix time of the first one, 0 if unknown."""
    at_ms: int = 0
    """Likewise of the newest."""
    seen: tuple[tuple[str, int], ...] = ()
    """The Events that stand for several tries: UID and count, so that the next count is known to be one more."""
    rough: bool = False
    """Numbers and ids make no difference to it."""


class Tried(Struct, frozen=True, array_like=True):
    """All tries of one owner. Likewise."""

    newest: int = 0
    """All Events up to this resource version are counted."""
    causes: tuple[Cause, ...] = ()
    """The one that was counted last is the last."""


UNTRIED: Final = Tried()


class Try(Event, frozen=True, kw_only=True):
    """The newest Event of a cause, to be told as a repeat of it."""

    topic: str
    times: int
    version: int
    since_ms: int


def is_try(event: Event) -> bool:
    """Whether `event` says that a pod could not be made for which a name was made up."""
    return _text(event) is not None


def counted(tried: Tried, event: Event) -> Tried:
    """`tried` with `event`, if it is a try and newer than all that are counted: else `tried` itself."""
    version, text = order_key(event.metadata.resource_version), _text(event)
    if text is None or version <= tried.newest:
        return tried
    at_ms = event.at_ms
    causes = [each for each in tried.causes if at_ms - each.at_ms < QUIET_MS]
    exact, rough = _names(event, text)
    name, most = exact, EXACT_MAX
    if not _has(causes, exact) and sum(not each.rough for each in causes) >= EXACT_MAX:
        name, most = rough, ROUGH_MAX
    cause = next((each for each in causes if each.name == name), Cause(name, 0, 0, event.since_ms, rough=name == rough))
    more = event.times - dict(cause.seen).get(event.metadata.uid, 0)
    if more <= 0:
        return Tried(version, tried.causes)  # it was written again for another reason
    seen = tuple(each for each in cause.seen if each[0] != event.metadata.uid)
    if event.times > 1 or (event.message or "").startswith(_COMBINED):
        seen = (*seen[1 - SEEN_MAX :], (event.metadata.uid, event.times))
    cause = Cause(name, cause.count + more, version, cause.since_ms, at_ms, seen, cause.rough)
    others = [each for each in causes if each.name != name]
    alike = [each for each in others if each.rough == cause.rough]
    others = [each for each in others if each not in alike[: max(0, len(alike) + 1 - most)]]
    return Tried(version, (*others, cause))


def as_told(tried: Tried, event: Event) -> Event | None:
    """How `event`, which is counted in `tried`, is to be told; None if a later try tells it, too."""
    text = _text(event)
    if text is None:
        return event
    version = order_key(event.metadata.resource_version)
    exact, rough = _names(event, text)
    cause = next((each for name in (exact, rough) for each in tried.causes if each.name == name), None)
    if cause is None:  # it is of before the others
        cause = Cause(exact, event.times, version, event.since_ms)
    if version < cause.newest:
        return None
    said = asdict(event) | {"message": (event.message or "").removeprefix(_COMBINED)}
    topic = f"{event.about}/tries/{cause.name}"
    return Try(**said, topic=topic, times=cause.count, version=cause.newest, since_ms=cause.since_ms)


def _has(causes: list[Cause], name: str) -> bool:
    return any(each.name == name for each in causes)


def _text(event: Event) -> str | None:
    """What all tries of one cause have in common of their message; None if `event` is none."""
    about = event.involved_object
    if event.reason != "FailedCreate" or about.kind not in _OWNERS or not about.name:
        return None
    if about.namespace != event.metadata.namespace:
        return None  # nobody counts in another namespace
    if not 0 < order_key(event.metadata.resource_version) < _VERSION_MAX:
        return None
    base = re.escape(f"{about.name}-"[:_BASE_MAX_CHARS])
    message = (event.message or "").removeprefix(_COMBINED)
    text, names = re.subn(rf"(?<![0-9A-Za-z.-]){base}{_SUFFIX}(?![0-9A-Za-z-])", "…", message)
    return text if names else None


def _names(event: Event, text: str) -> tuple[str, str]:
    """Of the cause that has exactly this text, and of the one to which numbers and ids make no difference."""
    rough = unvarying(_QUANTITY.sub("#", text))
    return digest(event.component, text), digest("rough", event.component, rough)
