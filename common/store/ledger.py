"""A watcher's memory over restarts: the objects it knows and how far it has read, by resource and unit.

A unit is what watchers share among themselves. Whoever takes one over goes on from what is kept here; an epoch keeps a
watcher that has lost a unit without noticing from writing over its successor's memory.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Mapping
from typing import Any

import redis.asyncio

from common.ids import Epoch, Uid, Unit
from common.store.connect import keep_first, translated
from common.store.funnel import Funnel
from common.store.keys import Keys
from common.store.lineage import Lineage
from common.store.model import Vacancy
from common.store.wire import Argument

__all__ = ["Ledger"]


class Ledger:
    """Raises `StoreError`s only; every method may be repeated."""

    def __init__(self, client: redis.asyncio.Redis, keys: Keys, lineage: Lineage | None = None) -> None:
        """With a `lineage` objects and positions are read and saved in that one only, else `StoreChanged` is raised."""
        self._lineage = lineage
        self._client = client
        self._keys = keys
        self._funnel = Funnel(client, lineage)

    async def objects(self, resource: str, unit: Unit) -> dict[Uid, bytes]:
        """What was saved of each known object."""
        packed = await self._hash(self._keys.objects(resource, unit))
        return {Uid(uid.decode()): value for uid, value in packed.items()}

    async def positions(self, resource: str, units: Collection[Unit]) -> dict[Unit, str]:
        """The resource version up to which everything was appended, of those of `units` that ever had one."""
        return await self._versions(self._keys.positions(resource), units)

    async def floors(self, resource: str, units: Collection[Unit]) -> dict[Unit, str]:
        """The resource version of the very first list of each of `units` that was listed."""
        return await self._versions(self._keys.floors(resource), units)

    async def met(self, resource: str) -> set[Unit]:
        """All units that were ever listed."""
        return {Unit(unit.decode()) for unit in await self._hash(self._keys.floors(resource))}

    async def _versions(self, key: str, units: Collection[Unit]) -> dict[Unit, str]:
        if not units:
            return {}
        versions: list[bytes | None] = await self._funnel.command("HMGET", key, *units)
        return {unit: version.decode() for unit, version in zip(units, versions, strict=True) if version is not None}

    async def _hash(self, key: str) -> dict[bytes, bytes]:
        raw: Any = await self._funnel.command("HGETALL", key)
        # A map in version 3 of the protocol, a flat list in version 2.
        return raw if isinstance(raw, dict) else dict(zip(raw[::2], raw[1::2], strict=True))

    async def save(
        self, resource: str, unit: Unit, epoch: Epoch | None, *, put: Mapping[Uid, bytes], remove: Collection[Uid]
    ) -> bool:
        """Save changes of known objects. False: the unit has got another holder than that of `epoch` (None: asks
        nobody), and nothing was changed.
        """
        arguments: list[Argument] = [unit, "" if epoch is None else epoch, len(put)]
        for uid, packed in put.items():
            arguments += (uid, packed)
        keys = (self._keys.reigns, self._keys.objects(resource, unit))
        return bool(await self._funnel.call("save", keys, (*arguments, *remove)))

    async def advance(self, resource: str, position: str, units: Mapping[Unit, Epoch | None]) -> set[Unit]:
        """Save one position for all of `units`; answers those that have got another holder."""
        arguments: list[Argument] = [position]
        for unit, epoch in units.items():
            arguments += (unit, "" if epoch is None else epoch)
        keys = (self._keys.reigns, self._keys.positions(resource))
        return {Unit(unit.decode()) for unit in await self._funnel.call("advance", keys, arguments)}

    async def set_floors(self, resource: str, floor: str, units: Collection[Unit]) -> None:
        """Put the floor of `units` at `floor`."""
        if units:
            with translated("saving a floor"):
                await self._client.hset(self._keys.floors(resource), mapping=dict.fromkeys(map(str, units), floor))

    async def vacate(self, resource: str, unit: Unit) -> Vacancy:
        """Forget position and floor of `unit`, which is gone for good, unless somebody reads it or it has objects."""
        keys = self._keys
        own = (keys.objects(resource, unit), keys.positions(resource), keys.floors(resource))
        answer: bytes = await self._funnel.call("vacate", (keys.holders, keys.terms, keys.reigns, *own), (unit,))
        return Vacancy(answer.decode())

    async def marker(self) -> str:
        """A random word that lives as long as the data set: another one means that Redis was emptied or changed."""
        fresh = secrets.token_hex(8)
        with translated("reading the marker"):
            kept = await keep_first(self._client, self._keys.marker, fresh.encode())
        return kept.decode()

    async def check_lineage(self) -> None:
        """Raise `StoreChanged` if another history of the data goes on than the one that was written to."""
        answer = await self._funnel.command("INFO", "replication")
        if self._lineage is not None:
            self._lineage.meet(answer)
