"""How many Events about each object were not kept until it was known: bounded, in memory only. Pure.

An object that becomes known has its agents told in one line. One that never does has nobody to tell: its count is
pushed out by those of others, and the metric has it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from common.ids import Uid

__all__ = ["OBJECTS_MAX", "Unkept"]

OBJECTS_MAX: Final = 10_000
"""About 2 MB. Most objects of Events become no workspace, so the ones that matter must not be pushed out at once."""


class _Count:
    __slots__ = ("history", "namespace", "news", "scope")

    def __init__(self, scope: str, namespace: str) -> None:
        self.scope = scope
        self.namespace = namespace
        self.news = 0
        self.history = 0
        """Of what was there before we first came: missed only by those who were waiting then."""


class Unkept:
    """Counts by object; of at most `objects_max`, beyond which those that were counted longest ago go."""

    def __init__(self, objects_max: int = OBJECTS_MAX) -> None:
        self._objects_max = objects_max
        self._counts: OrderedDict[Uid, _Count] = OrderedDict()

    def __len__(self) -> int:
        return len(self._counts)

    def add(self, uid: Uid, scope: str, namespace: str, *, history: bool) -> None:
        """One more about `uid`, in `namespace` and heard by `scope`."""
        count = self._counts.pop(uid, None) or _Count(scope, namespace)
        self._counts[uid] = count
        if len(self._counts) > self._objects_max:
            self._counts.popitem(last=False)
        if history:
            count.history += 1
        else:
            count.news += 1

    def take(self, uid: Uid, *, history: bool) -> int:
        """How many there were, those of before we first came included only with `history`; they are forgotten."""
        count = self._counts.pop(uid, None)
        if count is None:
            return 0
        return count.news + (count.history if history else 0)

    def clear(self, scope: str, covers: Callable[[str], bool]) -> None:
        """Forget what `scope` heard about objects in namespaces that `covers` names: it will be heard again, or is
        another watcher's."""
        for uid in [uid for uid, each in self._counts.items() if each.scope == scope and covers(each.namespace)]:
            del self._counts[uid]
