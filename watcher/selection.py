"""The namespaces that carry the labels wanted: what watchers share that are given a selector for namespaces.

They are read as everything else is, by a list and a watch; nothing of them is saved, a start lists them. Watchers whose
views differ for a moment do not fight: who is to read a namespace depends on that one and on who lives, not on the
other namespaces.

A namespace that loses the label is given up at once. One that was deleted stays for a while: what was in it went before
it, but comes on other connections, and what is still known there is asked for by name.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from random import Random
from typing import Final, assert_never

import structlog

from common.clock import Clock
from common.ids import Uid, Unit
from common.telemetry.metrics import WatcherMetrics
from watcher.directory import ANY_NAMESPACE
from watcher.objects import Delta, Namespace, Verb
from watcher.paths import NAMESPACES, collection_path
from watcher.reflection import Began, Change, Changed, Completed, Found, Rebuilt, Rejected
from watcher.reflector import Api, Reflector, Target
from watcher.selectors import LabelSelector

__all__ = ["CLOSING_S", "Selection"]

CLOSING_S: Final = 5.0
"""How long a deleted namespace stays: more than one watch lags behind another, and time to ask for what is known."""


class Selection:
    """A sink of Namespaces, and the reflector that fills it."""

    def __init__(
        self,
        wanted: LabelSelector,
        api: Api,
        metrics: WatcherMetrics,
        clock: Clock,
        random: Random,
        *,
        watch_timeout_s: float,
    ) -> None:
        self.position = ""
        self.on_gone: Callable[[Unit], None] = _nobody_asks
        """Told of a namespace that was deleted, or may have been."""
        self._clock = clock
        self._selected: dict[Uid, Unit] = {}
        self._listing: dict[Uid, Unit] = {}
        self._closing: dict[Unit, float] = {}
        """Namespaces that stay although they are gone, and until when (monotonic)."""
        self._first_list = asyncio.Event()
        self._log = structlog.get_logger()
        path = collection_path(NAMESPACES, ANY_NAMESPACE)
        target = Target(Namespace, NAMESPACES, ANY_NAMESPACE, path, {"labelSelector": wanted.text}, _all_are_ours)
        self._reflector = Reflector(target, api, self, metrics, clock, random, watch_timeout_s=watch_timeout_s)

    @property
    def trouble(self) -> str:
        """Why it is not known which namespaces there are, "" if it is."""
        if self._reflector.synced:
            return ""
        return str(self._reflector.trouble or "their list is under way")

    def units(self) -> frozenset[Unit]:
        """The namespaces to be read."""
        now_s = self._clock.monotonic_s()
        self._closing = {unit: until_s for unit, until_s in self._closing.items() if until_s > now_s}
        return frozenset(self._selected.values()) | self._closing.keys()

    def close(self, unit: Unit) -> None:
        """`unit` is gone: have it read for a little while, for the sake of what is still known there."""
        self._closing[unit] = self._clock.monotonic_s() + CLOSING_S
        self.on_gone(unit)

    async def listed(self) -> None:
        """Return when all namespaces were seen once."""
        await self._first_list.wait()

    async def run(self) -> None:
        """Follow the namespaces until cancelled."""
        await self._reflector.run()

    async def take(self, change: Change[Namespace]) -> None:
        match change:
            case Began():
                self._listing = {}
            case Found(objects):
                self._listing.update((Uid(each.metadata.uid), Unit(each.metadata.name)) for each in objects)
            case Completed(position):
                self._replace()
                self.position = position
            case Changed(deltas, position):
                for delta in deltas:
                    self._changed(delta)
                self.position = position
            case Rejected(count, why):
                self._log.warning("namespaces that could not be decoded were left out", count=count, why=why)
            case Rebuilt():
                pass  # no position is saved that could be another cluster's
            case _:
                assert_never(change)

    def _replace(self) -> None:
        """A list is complete. What it lacks may have lost the label or be gone, which it does not tell."""
        before, self._selected, self._listing = self._selected, self._listing, {}
        here = set(self._selected.values())
        for unit in set(before.values()) - here:
            self._log.info("a namespace is not selected any more", namespace=unit)
            self.close(unit)
        if not self._first_list.is_set():
            self._log.info("namespaces selected", namespaces=len(here))
            self._first_list.set()

    def _changed(self, delta: Delta[Namespace]) -> None:
        metadata = delta.object.metadata
        uid, unit = Uid(metadata.uid), Unit(metadata.name)
        if delta.verb is not Verb.DELETED:
            if uid not in self._selected:
                self._log.info("a namespace is selected", namespace=unit)
            self._selected[uid] = unit
        elif self._selected.pop(uid, None) is not None:
            self._log.info("a namespace is not selected any more", namespace=unit)
            # One that only lost the label comes as deleted too, in the last state that had it.
            if metadata.deletion_timestamp is not None:
                self.close(unit)


def _all_are_ours(_namespace: str) -> bool:
    return True


def _nobody_asks(_unit: Unit) -> None:
    return
