"""What became of records at Redis: counted, and said to whoever wants to know of one whether it was news. No I/O."""

from __future__ import annotations

from collections.abc import Callable

from common.store.model import Entry, Verdict
from common.telemetry.metrics import WatcherMetrics

__all__ = ["Verdicts"]

_NO_NEWS = (Verdict.DUPLICATE, Verdict.UNKNOWN_AGENT)


class Verdicts:
    def __init__(self, metrics: WatcherMetrics) -> None:
        self._outcomes = {verdict: metrics.records.labels(verdict.value) for verdict in Verdict}
        self._awaited: dict[str, Callable[[], None]] = {}

    def expect(self, identity: str, on_new: Callable[[], None]) -> None:
        """Call `on_new` if the first entry of `identity` from now on was news; what Redis refuses it remembers, too.

        So of all that ever tell a fact one is called, unless it ends before Redis' answer, or Redis forgets.
        """
        self._awaited[identity] = on_new

    def note(self, entry: Entry, verdict: Verdict) -> None:
        """Redis, or in the end nobody, took `entry`."""
        self._outcomes[verdict].inc()
        on_new = self._awaited.pop(entry.identity, None)
        if on_new is not None and verdict not in _NO_NEWS:
            on_new()
