"""What is counted and logged of objects whose agent tokens cannot be used or read: once for each object."""

from __future__ import annotations

import structlog

from common.ids import Uid
from common.telemetry.metrics import WatcherMetrics
from watcher.directory import Known
from watcher.sightings import Sighting
from watcher.sought import NoToken

__all__ = ["Complaints"]


class Complaints:
    """Remembers of each object what was said of it, until it is forgotten."""

    def __init__(self, metrics: WatcherMetrics) -> None:
        self._without_token = {why: metrics.agents_without_token.labels(why.value) for why in NoToken}
        self._said: dict[Uid, set[NoToken]] = {}
        self._log = structlog.get_logger()

    def bare(self, kind: str, namespace: str, name: str) -> None:
        """An object names no token at all."""
        self._without_token[NoToken.NONE].inc()
        self._log.debug("an object without an agent token is passed over", kind=kind, namespace=namespace, name=name)

    def of(self, seen: Sighting) -> None:
        """An object is met: what is wrong with the tokens that it names itself."""
        if seen.ours and not seen.found:
            self.bare(seen.kind, seen.metadata.namespace, seen.metadata.name)
        for found in seen.found:
            if isinstance(found.where, NoToken):
                self._without_token[found.where].inc()
                self._log.warning(
                    "an agent token cannot be used",
                    why=found.where.value,
                    kind=seen.kind,
                    namespace=seen.metadata.namespace,
                    name=seen.metadata.name,
                    container=found.container,
                )

    def about(self, known: Known, why: NoToken) -> None:
        """A token that lies elsewhere cannot be read yet."""
        said = self._said.setdefault(known.uid, set())
        if why in said:
            return
        said.add(why)
        self._without_token[why].inc()
        self._log.warning(
            "an agent token cannot be read yet; tried again until it can",
            why=why.value,
            kind=known.kind,
            namespace=known.namespace,
            name=known.name,
        )

    def forget(self, uid: Uid) -> None:
        """The object is gone, or needs no more."""
        self._said.pop(uid, None)
