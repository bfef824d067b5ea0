"""What of the cluster is this watcher's, by unit: a namespace that is named, or some slots of all namespaces. Pure.

`units` is replaced, never changed, so it may be kept as a key.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from common.ids import Unit
from watcher.shares import slot_of

__all__ = ["Domain", "Named", "Slots"]


class Domain(Protocol):
    """What one set of watches is read for."""

    @property
    def units(self) -> frozenset[Unit]: ...

    def unit_of(self, namespace: str) -> Unit | None:
        """The unit of `namespace`; None if it is not ours."""


class Named:
    """One namespace."""

    def __init__(self, namespace: str) -> None:
        self._unit = Unit(namespace)
        self.units = frozenset((self._unit,))

    def unit_of(self, namespace: str) -> Unit | None:
        return self._unit if namespace == self._unit else None


class Slots:
    """Those slots of the whole cluster that are held just now."""

    def __init__(self, units: Collection[Unit] = ()) -> None:
        self.units = frozenset(units)

    def take(self, units: Collection[Unit]) -> None:
        self.units = self.units.union(units)

    def drop(self, units: Collection[Unit]) -> None:
        self.units = self.units.difference(units)

    def unit_of(self, namespace: str) -> Unit | None:
        unit = slot_of(namespace)
        return unit if unit in self.units else None
