"""How often each owner has tried in vain to make a pod, kept where it outlives this process as far as it can.

Of a ReplicaSet that is followed the counts are kept with it (`Known.tries`), so in Redis before the position of its
Events is saved: who reads on counts on. A Job is not followed; what is counted of it, and of owners that are gone, is
only in memory. What that costs says `watcher/series.py`.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Final

from msgspec.structs import replace

from common.ids import Uid
from watcher.directory import Directory, Known
from watcher.neighbours import BESIDE
from watcher.objects import Event
from watcher.series import UNTRIED, Tried, as_told, counted, is_try
from watcher.versions import order_key

__all__ = ["ELSEWHERE_MAX", "Tries"]

ELSEWHERE_MAX: Final = 1_000
"""Owners that are not followed; about 1 MB."""
_Owner = tuple[str, str]
"""Namespace and UID."""


class Tries:
    """Counts tries, and says how each is to be told."""

    def __init__(self, directory: Directory) -> None:
        self.keep: Callable[[Known], None] = directory.put
        """Remember, and write down, what changed of a ReplicaSet."""
        self._directory = directory
        self._elsewhere: OrderedDict[_Owner, Tried] = OrderedDict()

    def foresee(self, events: Iterable[Event]) -> None:
        """Count the tries among `events`, which are told after this: of each cause only the newest is."""
        tries = (event for event in events if is_try(event))
        for event in sorted(tries, key=lambda event: order_key(event.metadata.resource_version)):
            self._count(event)

    def take(self, event: Event) -> Event | None:
        """`event` as it is to be told, None if a later one tells it, too. It is about an owner that is or was known,
        or stands beside somebody.
        """
        return as_told(self._count(event), event) if is_try(event) else event

    def _count(self, event: Event) -> Tried:
        known = self._directory.find(Uid(event.about), event.namespace)
        waits = event.involved_object.kind not in BESIDE if known is None else bool(known.awaited and not known.seats)
        if waits:
            return UNTRIED  # with others that may have come before it, and are counted first
        is_live = known is not None and self._directory.get(known.uid) is known
        owner = event.namespace, event.about
        before = known.tries if known is not None else UNTRIED
        if not is_live:
            before = self._elsewhere.get(owner, before)
        after = counted(before, event)
        if after is before:
            return before
        if known is not None and is_live:
            self.keep(replace(known, tries=after))
        else:
            self._elsewhere[owner] = after
            self._elsewhere.move_to_end(owner)
            if len(self._elsewhere) > ELSEWHERE_MAX:
                self._elsewhere.popitem(last=False)
        return after
