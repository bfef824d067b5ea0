"""Data whose key is lost go, all of them and no others', and never under a watcher that runs."""

import pytest

from common.ids import AgentId, Unit, WatcherId
from common.store.forget import Forgotten, StillInUse, forget_release
from common.store.keys import Keys
from common.store.ledger import Ledger
from common.store.tenures import Tenures
from tests.integration.common.store.conftest import Stage

A, B = AgentId("a" * 32), AgentId("b" * 32)


async def test_all_of_a_release_goes_and_nothing_of_another(stage: Stage) -> None:
    neighbour = Stage(stage.client, Keys(stage.keys.prefix + "-2"))
    await neighbour.register(A)
    await stage.register(A)
    await stage.register(B)
    for identity in ("1", "2"):
        await stage.tell(A, identity)
    await stage.tell(B, "3")
    await Ledger(stage.client, stage.keys).marker()
    await stage.client.set(stage.keys.digest, b"wrapped")
    assert await forget_release(stage.client, stage.keys) == Forgotten(3, 2)
    assert [key async for key in stage.client.scan_iter(match=f"{stage.keys.tag}*")] == []
    assert await stage.client.exists(neighbour.keys.agent(A))
    assert await forget_release(stage.client, stage.keys) == Forgotten(0, 0)


async def test_a_watcher_that_lives_keeps_its_data(stage: Stage) -> None:
    tenures = Tenures(stage.client, stage.keys, "group", lease_s=60)
    await tenures.hold(WatcherId("one"), [Unit("u")])
    await stage.register(A)
    with pytest.raises(StillInUse, match="1 watchers still use"):
        await forget_release(stage.client, stage.keys)
    assert await stage.client.exists(stage.keys.agent(A))
    await tenures.retire(WatcherId("one"))
    await forget_release(stage.client, stage.keys)
    assert not await stage.client.exists(stage.keys.agent(A))
