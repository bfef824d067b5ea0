"""The summaries of starts: each is told when what Events say of the images is there, too, or is not to be waited for.

Pods and Events are separate watches, so a pod may be seen ready before the Events of its pulls are. They are waited for
as long as a watch may lag, so that the line is the same whichever came first. What Events said is kept with the pod
(`Known.pulls`), in Redis too, because their watch goes on behind them after a restart; and a summary that waits holds
its watch's saved position, so a crash does not lose it.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import takewhile
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from common.ids import Uid
from watcher.directory import Directory, Known
from watcher.objects import Event
from watcher.pulls import merged, pull_in
from watcher.timeline import Start, is_whole

__all__ = ["LAG_MAX_S", "LAG_S", "Ended", "Starts"]

LAG_S: Final = 10.0
"""Kubelets send the Events of a start before its status (recorded); by so much an Event may be late under load."""
LAG_MAX_S: Final = 120.0
"""By so much where Events cannot be read meanwhile."""


class Ended(Struct, frozen=True):
    """The start of a pod was seen to be over."""

    start: Start
    scope: str
    history: bool
    before: str
    """As those of `Router.look`."""
    since_s: float


class Starts:
    """What waits, and the memory of pulls. What a call answers is to be told now, with `Known.pulls` as it is then."""

    def __init__(self, directory: Directory) -> None:
        self.keep: Callable[[Known], None] = directory.put
        """Remember, and write down, what changed of a pod."""
        self._directory = directory
        # Both in the order of coming.
        self._waiting: dict[Uid, Ended] = {}
        self._by_scope: dict[str, dict[Uid, Ended]] = {}

    def __len__(self) -> int:
        """How many wait."""
        return len(self._waiting)

    def hear(self, event: Event) -> Ended | None:
        """Take in what `event`, about a pod, says of images."""
        pull = pull_in(event)
        if pull is None:
            return None
        known = self._directory.get(Uid(event.about))
        if known is None or known.begun or known.namespace != event.namespace:
            return None
        pulls = merged(known.pulls, pull)
        if pulls != known.pulls:
            self.keep(replace(known, pulls=pulls))
        ended = self._waiting.get(known.uid)
        return self.release(known.uid) if ended is not None and is_whole(ended.start, pulls) else None

    def see(self, known: Known, ended: Ended) -> Ended | None:
        """The status of `known` says that its start is over."""
        if known.begun or known.uid in self._waiting:
            return None
        if is_whole(ended.start, known.pulls):
            return ended
        self._waiting[known.uid] = self._by_scope.setdefault(ended.scope, {})[known.uid] = ended
        return None

    def settle(self, uid: Uid) -> None:
        """The start of `uid` has been told to all who are to hear it."""
        known = self._directory.get(uid)
        if known is not None and not known.begun:
            self.keep(replace(known, pulls=(), begun=True))

    def release(self, uid: Uid) -> Ended | None:
        """What waits of `uid`; it waits no longer."""
        ended = self._waiting.pop(uid, None)
        if ended is not None:
            in_scope = self._by_scope[ended.scope]
            del in_scope[uid]
            if not in_scope:
                del self._by_scope[ended.scope]
        return ended

    def due(self, now_s: float, *, can_hear: bool) -> list[Ended]:
        """What has waited long enough. `can_hear`: all Events were read of late."""
        lag_s = LAG_S if can_hear else LAG_MAX_S
        late = list(takewhile(lambda ended: now_s - ended.since_s >= lag_s, self._waiting.values()))
        for ended in late:
            self.release(Uid(ended.start.uid))
        return late

    def oldest_before(self, scope: str) -> str | None:
        """The position before the oldest look that waits in `scope`; None if none does."""
        waiting = self._by_scope.get(scope)
        return next(iter(waiting.values())).before if waiting else None

    def forget(self, scope: str, is_theirs: Callable[[str], bool]) -> None:
        """Let go what waits in `scope` of the namespaces that `is_theirs` names: it will be seen anew."""
        for uid, ended in list(self._by_scope.get(scope, {}).items()):
            if is_theirs(ended.start.namespace):
                self.release(uid)
