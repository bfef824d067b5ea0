"""The territories that a program reads just now; units are taken and given while it runs.

Namespaces that are named or selected are read one by one, each a territory. The slots of the whole cluster are read
together, by one set of watches: when slots come to it, the watches begin anew at the oldest position that one of them
was left at, and pass over what the others had heard already.

Redis found empty (another marker than before): everyone known is written down again under the names that the new
data set gives, and every territory is listed anew, its floor at the position held in memory. What waited in Redis
is lost, and said.

Redis fallen back to an earlier state (a fail-over, a restart): memory is forgotten for what Redis remembers, as after
a crash, and all is read on from there.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Collection
from math import inf
from typing import Final

import structlog

from common.crypto import TokenVault, WrongTokenKey
from common.ids import AgentId, Unit
from common.store.errors import StoreError, StoreUnavailable
from watcher.cancelling import end
from watcher.directory import ANY_NAMESPACE, Place
from watcher.domain import Named, Slots
from watcher.intake import Start
from watcher.paths import EVENTS, PLURALS, scope_name
from watcher.publisher import Introduction
from watcher.territory import Parts, Territory

__all__ = ["Territories"]

LOAD_AGAIN_S: Final = 1.0


class _Held:
    """A territory, and the task that reads it."""

    __slots__ = ("deaf_at_s", "task", "territory", "unheard_at_s", "unread")

    def __init__(self, territory: Territory, unread: frozenset[Unit]) -> None:
        self.territory = territory
        self.unread = unread
        """Units whose memory could not be loaded from Redis yet."""
        self.task: asyncio.Task[None] | None = None
        self.unheard_at_s = -inf
        """When objects of it could not be read that Events may wait for, as far as anybody looked."""
        self.deaf_at_s = -inf
        """When not all of it could be heard that may be, likewise."""


class Territories:
    """Each one is read by a task of `group`. `open_vault` reads how the present data set names agents."""

    def __init__(
        self,
        parts: Parts,
        group: asyncio.TaskGroup,
        marker: str,
        open_vault: Callable[[TokenVault], Awaitable[TokenVault]],
        slots: Slots | None,
    ) -> None:
        """`slots`: the domain of the whole cluster; None if the units are namespaces."""
        self._parts = parts
        self._marker = marker
        self._open_vault = open_vault
        self._slots = slots
        self._held: dict[str, _Held] = {}
        self._renamed: dict[AgentId, AgentId] = {}
        self.on_read_anew: Callable[[], None] = _nothing_else
        """Told when memory is forgotten for what Redis remembers, for what is read beside the units."""
        self._changing = asyncio.Lock()
        self._group = group
        self._log = structlog.get_logger()

    @property
    def trouble(self) -> str:
        """What keeps a territory from being read, "" if nothing does."""
        for held in self._held.values():
            if not held.territory.synced:
                place = "the cluster" if self._slots else "a namespace"
                trouble = held.territory.trouble or "its first list is under way"
                return f"{place}: {_unnamed(trouble, held.territory.namespace)}"
        return ""

    async def take(self, units: Collection[Unit]) -> None:
        """Read `units`, too, from where they were left."""
        async with self._changing:
            await self._take(units)

    async def give(self, units: Collection[Unit]) -> None:
        """Read `units` no more, and write down all that is known of them: another watcher goes on from there."""
        async with self._changing:
            await self._part(frozenset(units))
        await self._parts.publisher.flushed()  # the publisher itself may have to start over meanwhile

    async def lose(self, units: Collection[Unit]) -> None:
        """Another watcher reads `units` already; what we would write down of them is refused."""
        async with self._changing:
            await self._part(frozenset(units))
            self._parts.publisher.forget(units)

    async def read_anew(self) -> None:
        """Go on from what Redis remembers: it has fallen back to before what we remember."""
        async with self._changing:
            units = frozenset(unit for held in self._held.values() for unit in held.territory.domain.units)
            await self._part(units)
            self._parts.publisher.saving = True
            await self._take(units)
            self.on_read_anew()

    async def stop(self) -> None:
        """Read no more; what is held back is told."""
        async with self._changing:
            for held in self._held.values():
                await _end(held)
                held.territory.leave()

    def doubt(self, namespace: Unit) -> None:
        """`namespace` seems to be gone: ask by name for what is known there, in case its deletes were not heard."""
        for kind in PLURALS:
            for uid in self._parts.directory.uids(Place(kind, namespace)):
                self._parts.absences.suspect(uid)

    def tick(self) -> None:
        for held in self._held.values():
            held.territory.tick()

    def heard_nothing(self, now_s: float) -> None:
        """Until `now_s` the program stood still, or had no room: what happened meanwhile is still to be read."""
        for held in self._held.values():
            held.unheard_at_s = held.deaf_at_s = now_s

    def unheard(self, now_s: float, within_s: float) -> list[str]:
        """The scopes of events whose objects could not all be read just now, or at a look within the last `within_s`.

        ReplicaSets that are forbidden do not count: it may be meant so.
        """
        for held in self._held.values():
            if held.territory.may_miss_objects:
                held.unheard_at_s = now_s
        return [
            scope_name(EVENTS, held.territory.namespace)
            for held in self._held.values()
            if held.unheard_at_s > now_s - within_s
        ]

    def hears_all(self, now_s: float, within_s: float) -> bool:
        """Whether all could be read just now and at each look within the last `within_s`, but for what is forbidden."""
        for held in self._held.values():
            if not held.territory.synced:
                held.deaf_at_s = now_s
        return all(held.deaf_at_s <= now_s - within_s for held in self._held.values())

    async def check_marker(self) -> bool:
        """Start over if Redis was emptied; whether it was. Raises `StoreError`."""
        async with self._changing:
            marker = await self._parts.ledger.marker()
            if marker == self._marker:
                return False
            await self._start_over()
            self._marker = marker
            return True

    async def emptied(self) -> bool:
        """Like `check_marker`, however long Redis takes to answer."""
        while True:
            try:
                return await self.check_marker()
            except WrongTokenKey:
                raise
            except StoreError as error:
                self._log.warning("cannot tell whether Redis was emptied; asked again", error=str(error))
                await self._parts.clock.sleep(LOAD_AGAIN_S)

    async def introduce(self, agent: AgentId) -> Introduction:
        """Who `agent` is, whom Redis does not know; perhaps because it was emptied. Retries until Redis answers.

        Whose object is gone, or another watcher's by now, may have been registered in time, under the name of today.
        """
        await self.emptied()
        while agent in self._renamed:
            agent = self._renamed[agent]
        return Introduction(agent, self._parts.registrar.card_of(agent))

    async def _take(self, units: Collection[Unit]) -> None:
        if self._slots is None:
            for unit in units:
                territory = Territory(unit, Named(unit), self._parts)
                self._held[unit] = _Held(territory, territory.domain.units)
                self._read(self._held[unit])
        elif units:
            held = self._held.get(ANY_NAMESPACE)
            if held is None:
                territory = Territory(ANY_NAMESPACE, self._slots, self._parts)
                held = self._held[ANY_NAMESPACE] = _Held(territory, frozenset())
            await _end(held)
            self._slots.take(units)
            held.unread |= frozenset(units)
            self._read(held)

    async def _part(self, units: frozenset[Unit]) -> None:
        if self._slots is not None:
            held = self._held.get(ANY_NAMESPACE)
            if held is not None:
                held.territory.part(units & (self._slots.units - held.unread))
                held.unread -= units
            self._slots.drop(units)
            return
        for unit in units:
            held = self._held.pop(unit, None)
            if held is not None:
                await _end(held)
                held.territory.leave()
                held.territory.part(units & (held.territory.domain.units - held.unread))

    def _read(self, held: _Held) -> None:
        held.task = self._group.create_task(self._load_and_run(held))

    async def _load_and_run(self, held: _Held) -> None:
        """Read a territory from where it was left, as soon as Redis says where that is."""
        starts: dict[str, Start] | None = None
        while starts is None:
            try:
                starts = await held.territory.load(held.unread)
            except StoreUnavailable as error:
                self._log.warning("saved positions cannot be read; tried again", error=str(error))
                await self._parts.clock.sleep(LOAD_AGAIN_S)
        held.unread = frozenset()
        await held.territory.run(starts)

    async def _start_over(self) -> None:
        vault = await self._open_vault(self._parts.registrar.vault)
        # From here on nothing fails for good: saving and registering insist.
        self._parts.publisher.saving = True
        self._parts.publisher.forget_recent()
        self._log.error("Redis was emptied: what waited there is lost; all that is known is written down again")
        names = self._parts.registrar.start_over(vault)
        self._parts.router.renamed()
        self._renamed.update({old: new for old, new in names.items() if old != new})
        for name, old in list(self._held.items()):
            await _end(old)
            old.territory.leave()
            starts = old.territory.from_floors()
            for resource, start in starts.items():
                for position in set(start.floors.values()):
                    await self._parts.publisher.set_floors(resource, position, start.floors)
            fresh = self._held[name] = _Held(
                Territory(old.territory.namespace, old.territory.domain, self._parts), old.unread
            )
            if starts and not old.unread:
                fresh.task = self._group.create_task(fresh.territory.run(starts))
            else:
                self._read(fresh)


def _unnamed(text: str, namespace: str) -> str:
    """`text` without the name of `namespace`, which the log tells: probes may be open to more than it is."""
    return text if namespace == ANY_NAMESPACE else re.sub(rf"(?<![\w-]){re.escape(namespace)}(?![\w-])", "…", text)


async def _end(held: _Held) -> None:
    """Read it no more."""
    if held.task is not None:
        await end(held.task, again=held.territory.interrupt)


def _nothing_else() -> None:
    return
