"""What a watcher has not told yet, or let go: asked of its own parts, which are remembered as they are made.

Nothing outside shows it: Redis does not know of an event that waits for its pod, or of a count that is held back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final
from weakref import WeakKeyDictionary

from tests.faults.process import Process
from watcher.directory import ANY_NAMESPACE, Directory
from watcher.errands import Errands
from watcher.parking import Parked, Parking
from watcher.paths import EVENTS, scope_name
from watcher.repeats import Repeats

__all__ = ["REMEMBERED", "expired", "in_hand"]

_parts_of: WeakKeyDictionary[Process, list[object]] = WeakKeyDictionary()


class _Parking(Parking):
    """One that remembers what it dropped."""

    def __init__(self, max_events: int) -> None:
        super().__init__(max_events)
        self.dropped: list[str] = []
        """The UIDs of Events."""

    def _note(self, parked: Parked) -> None:
        self.dropped.append(parked.event.topic)
        super()._note(parked)


def _remembered(kind: type[Any]) -> Callable[..., Any]:
    def make(*arguments: Any, **named: Any) -> Any:
        made = kind(*arguments, **named)
        process = Process.current()
        if process is not None:
            _parts_of.setdefault(process, []).append(made)
        return made

    return make


REMEMBERED: Final = {
    "watcher.parts.Directory": _remembered(Directory),
    "watcher.parts.Parking": _remembered(_Parking),
    "watcher.parts.Repeats": _remembered(Repeats),
    "watcher.absence.Errands": _remembered(Errands),
    "watcher.sources.Errands": _remembered(Errands),
}
"""To be put in place of these names."""


def expired(process: Process) -> list[str]:
    """The UIDs of the Events that the watcher that is `process` waited for in vain."""
    return [uid for part in _parts_of.get(process, ()) if isinstance(part, _Parking) for uid in part.dropped]


def in_hand(process: Process, namespaces: Iterable[str]) -> list[str]:
    """What is still to come of the watcher that is `process`, in words; empty if nothing is."""
    scopes = [scope_name(EVENTS, namespace) for namespace in (*namespaces, ANY_NAMESPACE)]
    held = []
    for part in _parts_of.get(process, ()):
        match part:
            case Directory():
                held += [f"{len(part.awaiting)} objects await a token"] if part.awaiting else []
            case Parking():
                held += [f"{len(part)} events wait for their object"] if len(part) else []
            case Repeats():
                held += [f"repeats of {scope} are held" for scope in scopes if part.oldest_before(scope) is not None]
            case Errands():
                held += [f"{len(part)} look-ups are under way"] if len(part) else []
            case _:
                raise AssertionError(f"{part!r} is not remembered")
    return held
