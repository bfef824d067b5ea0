"""Which facts of which pods went on from here already. Pure; memory only: what is true of all watchers, Redis knows.

The status of a pod shows its facts again at each look. Kept is the newest fact of each topic, as three numbers: some
300 bytes for a pod in trouble, nothing for a healthy one. Forgetting costs a question to Redis, no repeat.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from common.ids import Uid
from watcher.facts import Fact

__all__ = ["Reported"]

_Newest = tuple[int, int, int]
"""Hash of the identity, version, hash of the sign."""


class Reported:
    """What was taken is not taken again. `len` counts pods."""

    def __init__(self) -> None:
        self._newest: dict[Uid, dict[str, _Newest]] = {}

    def __len__(self) -> int:
        return len(self._newest)

    def take(self, uid: Uid, facts: Sequence[Fact]) -> list[Fact]:
        """Those of `facts`, all of the pod `uid`, that are new; they count as reported from now on."""
        topics = self._newest.get(uid, {})
        fresh = []
        for fact in facts:
            before = topics.get(fact.topic)
            if before is None or _is_news(before, fact):
                topics[fact.topic] = (hash(fact.identity), fact.version, hash(fact.sign))
                fresh.append(fact)
        if topics:
            self._newest[uid] = topics
        return fresh

    def settle(self, uid: Uid, topic: str) -> None:
        """There will be no more facts of `topic`, and something else remembers that."""
        topics = self._newest.get(uid, {})
        topics.pop(topic, None)
        if not topics:
            self.forget(uid)

    def forget(self, uid: Uid) -> None:
        self._newest.pop(uid, None)

    def forget_all(self, covers: Callable[[Uid], bool]) -> None:
        """Forget each pod that `covers` names."""
        for uid in [uid for uid in self._newest if covers(uid)]:
            del self._newest[uid]


def _is_news(before: _Newest, fact: Fact) -> bool:
    identity, version, sign = before
    if fact.vague:
        return False
    if identity != hash(fact.identity):
        return True
    return fact.version > version and not (fact.sign and sign == hash(fact.sign))
