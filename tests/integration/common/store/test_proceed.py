"""A claim that goes on: what is done is written down, what is left is answered, the lease begins anew."""

import asyncio

import msgspec

from common.ids import AgentId, StreamId
from common.store.model import AgentState, EndReason, Entry, Fenced, Home, Lease, Proceeding, Settled, Settlement
from tests.integration.common.store.conftest import LEASE_S, Stage

A = AgentId("a" * 32)


async def claimed(stage: Stage, *payloads: bytes) -> Lease:
    """A claim of A, for which `payloads` wait."""
    await stage.register(A)
    await stage.append(*(Entry(A, f"e{i}", 1, Home.EVENT, payload) for i, payload in enumerate(payloads)))
    (lease,) = (await stage.claim()).leases
    return lease


async def proceed(stage: Stage, lease: Lease, done: int, **words: object) -> Proceeding | Settled | Fenced:
    """Proceed after the first `done` records that wait."""
    finished = (await stage.read(A))[:done]
    return await stage.dispatcher.proceed(settlement(lease, finished[-1].id, done, **words))


def settlement(lease: Lease, done: StreamId, done_bytes: int, **words: object) -> Settlement:
    made = Settlement(agent=A, epoch=lease.epoch, done=done, done_bytes=done_bytes, state=lease.state)
    return msgspec.structs.replace(made, **words)


async def test_what_is_left_is_answered_in_order_and_what_is_done_is_gone(stage: Stage) -> None:
    lease = await claimed(stage, b"1", b"2", b"3")
    answer = await proceed(stage, lease, 1, state=AgentState(lines=1, spent_bytes=7))
    assert isinstance(answer, Proceeding)
    assert ([each.payload for each in answer.waiting], answer.whole, answer.refused) == ([b"2", b"3"], True, 0)
    assert answer.waiting == await stage.read(A)
    facts = await stage.facts(A)
    assert (facts["lines"], facts["spent"], facts["waiting"]) == ("1", "7", "2")
    assert await stage.client.hget(stage.keys.census, "waiting") == b"2"


async def test_the_lease_begins_anew_and_nobody_else_can_claim(stage: Stage) -> None:
    lease = await claimed(stage, b"1", b"2", b"3")
    for _ in range(2):
        await asyncio.sleep(LEASE_S * 0.7)  # Redis' clock decides; together longer than one lease
        assert isinstance(await proceed(stage, lease, 1), Proceeding)
        assert (await stage.claim("d2")).leases == []
    assert await stage.dispatcher.renew([(A, lease.epoch)]) == set()


async def test_with_nothing_left_the_claim_is_over(stage: Stage) -> None:
    lease = await claimed(stage, b"1")
    assert await proceed(stage, lease, 1) == Settled(0)
    assert isinstance(await stage.settle(lease), Fenced)
    assert not await stage.client.exists(stage.keys.log(A))
    assert await stage.client.zscore(stage.keys.due, A) is None
    assert await stage.tell(A, "late") == "accepted"
    (again,) = (await stage.claim()).leases
    assert not again.unsettled


async def test_a_stale_epoch_proceeds_with_nothing(stage: Stage) -> None:
    first = await claimed(stage, b"1", b"2")
    await asyncio.sleep(LEASE_S)
    (second,) = (await stage.claim("d2")).leases
    assert await proceed(stage, first, 1) == Fenced(second.epoch)
    assert len(await stage.read(A)) == 2


async def test_a_call_made_again_counts_nothing_twice(stage: Stage) -> None:
    """Its answer may get lost; the caller then cannot know that it took effect."""
    lease = await claimed(stage, b"1", b"2", b"3")
    done = (await stage.read(A))[0].id
    await stage.client.hset(stage.keys.facts(A), "unsaid", "9")
    answers = [await stage.dispatcher.proceed(settlement(lease, done, 1, dropped=1, unsaid_more=-3)) for _ in range(2)]
    assert answers[0] == answers[1]
    facts = await stage.facts(A)
    assert (facts["waiting"], facts["dropped"], facts["unsaid"]) == ("2", "1", "6")
    assert await stage.client.hget(stage.keys.census, "waiting") == b"2"


async def test_a_long_queue_is_answered_in_part_and_says_so(stage: Stage) -> None:
    lease = await claimed(stage, *(b"x" for _ in range(80)))
    answer = await proceed(stage, lease, 1)
    assert isinstance(answer, Proceeding)
    assert (len(answer.waiting), answer.whole) == (64, False)


async def test_records_refused_meanwhile_are_known_to_the_claim(stage: Stage) -> None:
    lease = await claimed(stage, b"1", b"2")
    await stage.tell(A, "big", payload=b"x" * 5_000)
    answer = await proceed(stage, lease, 1)
    assert isinstance(answer, Proceeding)
    assert answer.refused == 1


async def test_refused_records_alone_make_the_agent_due_again(stage: Stage) -> None:
    lease = await claimed(stage, b"1")
    await stage.tell(A, "big", payload=b"x" * 5_000)
    assert await proceed(stage, lease, 1) == Settled(0)
    assert len((await stage.claim()).leases) == 1


def test_a_settlement_leads_on_unless_something_speaks_against_it() -> None:
    lease = Lease(agent=A, epoch=1, card=None, state=AgentState(), unsettled=False, now_ms=0)  # type: ignore[arg-type]
    good = settlement(lease, StreamId("1-0"), 1)
    assert good.leads_on
    assert not msgspec.structs.replace(good, done=None).leads_on
    assert not msgspec.structs.replace(good, delay_s=0.1).leads_on
    assert not msgspec.structs.replace(good, state=AgentState(ended=EndReason.BUDGET)).leads_on
