"""A territory ends although a library below has lost a cancellation, as they do when a deadline passes just then."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from random import Random
from typing import cast

import pytest

from common.ids import Unit
from common.store.ledger import Ledger
from tests.unit.watcher.rig import Rig, until
from watcher import cancelling
from watcher.lines import Oversized
from watcher.publisher import Publisher
from watcher.selectors import parse_fields, parse_labels
from watcher.territories import Territories
from watcher.territory import Parts

UNIT = Unit("ns")


class Deaf:
    """Has an empty list, and watches that say nothing and hear only the second cancellation."""

    def __init__(self) -> None:
        self.open = 0

    async def get(self, path: str, query: Mapping[str, str] | None = None) -> bytes:
        return b'{"metadata":{"resourceVersion":"5"},"items":[]}'

    async def watch(
        self, path: str, query: Mapping[str, str], *, inactivity_s: float
    ) -> AsyncGenerator[list[bytes | Oversized], None]:
        yield []
        self.open += 1
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await asyncio.Event().wait()


class Memory:
    """A ledger in which nothing was saved."""

    async def nothing(self, *_: object) -> dict[str, str]:
        return {}

    positions = floors = objects = nothing


@pytest.mark.timeout(20)
async def test_a_unit_is_lost_though_a_cancellation_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cancelling, "CANCEL_AGAIN_S", 0.01)
    rig, api = Rig(), Deaf()
    parts = Parts(
        api=api,
        ledger=cast(Ledger, Memory()),
        publisher=cast(Publisher, rig.outbox),
        directory=rig.directory,
        parking=rig.parking,
        router=rig.router,
        registrar=rig.registrar,
        absences=rig.absences,
        metrics=rig.metrics,
        clock=rig.clock,
        random=Random(1),
        labels=parse_labels(""),
        fields=parse_fields(""),
        watch_timeout_s=60.0,
    )

    async def vault() -> object:
        return rig.vault

    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        held = Territories(parts, group, "marker", vault, None)  # type: ignore[arg-type]  # never asked
        await held.take([UNIT])
        await until(lambda: api.open == 3)
        await held.lose([UNIT])
    assert held.trouble == ""
    assert rig.outbox.forgotten == {UNIT}


async def test_a_task_ends_that_hears_only_the_third_cancellation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cancelling, "CANCEL_AGAIN_S", 0.01)
    heard: list[str] = []

    async def deaf() -> None:
        for _ in range(2):
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                heard.append("lost")
        await asyncio.Event().wait()

    task = asyncio.create_task(deaf())
    await asyncio.sleep(0)
    try:
        async with asyncio.timeout(5):
            await cancelling.end(task, again=lambda: heard.append("again"))
        assert task.cancelled()
    finally:
        while not task.done():  # else the event loop would wait for it
            task.cancel()
            await asyncio.sleep(0)
    assert heard == ["lost", "again", "lost", "again"]


async def test_a_task_that_has_ended_is_left_as_it_is() -> None:
    async def fails() -> None:
        raise LookupError

    task = asyncio.create_task(fails())
    await asyncio.wait((task,))
    await cancelling.end(task)
    with pytest.raises(LookupError):
        await task
