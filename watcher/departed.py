"""Namespaces that Redis remembers and that are gone: deleted while nobody watched, or while their watcher died.

Only where namespaces are selected: elsewhere an operator names them, or they have no memory of their own. One that only
lost its label is left alone, it may get it back. One that is gone is read once more, so that the deletes of what was
known there are told and its agents are let go; when nothing is known there any more, its memory goes.
"""

from __future__ import annotations

from random import Random
from typing import Final

import structlog

from common.clock import Clock
from common.ids import Unit
from common.store.errors import StoreError
from common.store.ledger import Ledger
from common.store.model import Vacancy
from watcher.directory import ANY_NAMESPACE
from watcher.kube_errors import KubeError, NotFound
from watcher.paths import NAMESPACES, RESOURCES, collection_path
from watcher.reflector import Api
from watcher.selection import Selection
from watcher.shares import SLOTS

__all__ = ["LOOK_EVERY_S", "Departed"]

LOOK_EVERY_S: Final = 600.0
"""Nobody waits for it: a workspace whose namespace is gone has no log to be read."""
_SLOTS: Final = frozenset(SLOTS)


class Departed:
    """Asks for each namespace that is remembered and not selected, at a start and every now and then."""

    def __init__(self, api: Api, ledger: Ledger, selection: Selection, clock: Clock, random: Random) -> None:
        self._api = api
        self._ledger = ledger
        self._selection = selection
        self._clock = clock
        self._random = random

    async def run(self) -> None:
        """Look until cancelled, not before it is known what is selected."""
        await self._selection.listed()
        while True:
            try:
                await self.look()
            except (StoreError, KubeError) as error:
                structlog.get_logger().warning(
                    "cannot tell which of the namespaces remembered are gone; asked again later",
                    error=str(error),
                    retry_in_s=LOOK_EVERY_S,
                )
            # Spread, so that the watchers of a group do not all ask at once.
            await self._clock.sleep(LOOK_EVERY_S * self._random.uniform(0.8, 1.2))

    async def look(self) -> None:
        """Ask for each once, one after the other. Raises `StoreError`, `KubeError`."""
        for unit in sorted(await self._remembered()):
            if unit not in self._selection.units() and await self._is_gone(unit):
                await self._settle(unit)

    async def _remembered(self) -> set[Unit]:
        found: set[Unit] = set()
        for resource in RESOURCES:
            found.update(await self._ledger.met(resource))
        return found - _SLOTS

    async def _is_gone(self, unit: Unit) -> bool:
        try:
            await self._api.get(f"{collection_path(NAMESPACES, ANY_NAMESPACE)}/{unit}")
        except NotFound:
            return True
        return False

    async def _settle(self, unit: Unit) -> None:
        for resource in RESOURCES:
            match await self._ledger.vacate(resource, unit):
                case Vacancy.KNOWN:
                    structlog.get_logger().info("a namespace is gone; what was known of it is told", namespace=unit)
                    self._selection.close(unit)
                    return
                case Vacancy.HELD:
                    return
                case Vacancy.VACATED:
                    pass
