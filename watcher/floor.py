"""Where the history of a unit's resource ends and its present begins.

The floor is the resource version of a unit's very first list, saved before any append (what was there before we came is
registered, not told). It stays over restarts and changes of the holder, so a later relist can tell what was missed from
what was never to be told. A server behind the floor is another cluster: the floor starts anew.
"""

from __future__ import annotations

from collections.abc import Mapping

import structlog

from common.ids import Unit
from watcher.domain import Domain
from watcher.publisher import Publisher
from watcher.versions import is_newer

__all__ = ["Floors"]


class Floors:
    """The floors of one resource in all units of a domain; `known` are those that were saved."""

    def __init__(self, resource: str, domain: Domain, known: Mapping[Unit, str], publisher: Publisher) -> None:
        self._resource = resource
        self._domain = domain
        self._floors = dict(known)
        self._publisher = publisher
        self._first: frozenset[Unit] = frozenset()
        """The units that the list under way is the first one for."""

    async def begin(self, position: str) -> None:
        """A list began that shows the state at `position`; where it is the first, it sets the floor and waits until
        that is saved."""
        rebuilt = sorted(
            unit for unit, floor in self._floors.items() if unit in self._domain.units and is_newer(floor, position)
        )
        if rebuilt:
            structlog.get_logger().warning(
                "the cluster is behind what was read before: it was rebuilt, and is met anew",
                resource=self._resource,
                floor=self._floors[rebuilt[0]],
                now=position,
                units=len(rebuilt),
            )
        self._first = frozenset(rebuilt) | (self._domain.units - self._floors.keys())
        if self._first:
            await self._publisher.set_floors(self._resource, position, self._first)
            self._floors.update(dict.fromkeys(self._first, position))

    async def complete(self) -> None:
        """The list is over and its position to be saved; where it is the first one, wait until that is done. What comes
        and goes after a first list is read by whoever comes next, but only from a position.
        """
        if self._first:
            await self._publisher.flushed()

    def forget(self) -> None:
        """It is another cluster: the next list is the first one."""
        self._floors.clear()

    def shows(self, unit: Unit, version: str) -> bool:
        """Whether what the current list has at `version` is new since we first came."""
        return unit not in self._first and is_newer(version, self._floors.get(unit, "")) is not False
