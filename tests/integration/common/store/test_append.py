"""append, register, release: what a stream accepts, on each supported server."""

import asyncio

import pytest

from common.ids import AgentId, DrainerId, Uid
from common.rank import Rank, waits_within_bytes
from common.store.dispatcher import Dispatcher
from common.store.model import (
    AgentState,
    Card,
    EndReason,
    Entry,
    Fenced,
    Home,
    Proceeding,
    Retention,
    Settled,
    Settlement,
    Verdict,
)
from common.store.writer import AgentWriter
from tests.integration.common.store.conftest import BUDGET_BYTES, Stage

A = AgentId("a" * 32)
B = AgentId("b" * 32)


async def test_a_record_is_accepted_once(stage: Stage) -> None:
    await stage.register(A)
    assert await stage.tell(A, "event-1") is Verdict.ACCEPTED
    assert await stage.tell(A, "event-1") is Verdict.DUPLICATE
    assert len(await stage.read(A)) == 1


async def test_only_a_newer_version_is_accepted(stage: Stage) -> None:
    await stage.register(A)
    verdicts = [await stage.tell(A, "event-1", version) for version in (2, 1, 2, 9, 10)]
    assert verdicts == ["accepted", "duplicate", "duplicate", "accepted", "accepted"]


async def test_versions_compare_as_numbers(stage: Stage) -> None:
    await stage.register(A)
    assert await stage.tell(A, "event-1", 9) is Verdict.ACCEPTED
    assert await stage.tell(A, "event-1", 10) is Verdict.ACCEPTED


async def test_a_repeat_within_one_call_is_a_duplicate(stage: Stage) -> None:
    await stage.register(A)
    entry = Entry(A, "event-1", 1, Home.EVENT, b"x")
    assert (await stage.append(entry, entry)).verdicts == [Verdict.ACCEPTED, Verdict.DUPLICATE]


async def test_agents_do_not_share_identities(stage: Stage) -> None:
    await stage.register(A)
    await stage.register(B)
    appended = await stage.append(
        Entry(A, "e", 1, Home.EVENT, b"1"), Entry(B, "e", 1, Home.EVENT, b"2"), Entry(A, "e", 2, Home.EVENT, b"3")
    )
    assert appended.verdicts == [Verdict.ACCEPTED] * 3
    assert [entry.payload for entry in await stage.read(A)] == [b"1", b"3"]
    assert [entry.payload for entry in await stage.read(B)] == [b"2"]


async def test_many_writers_at_once_accept_each_version_once(stage: Stage) -> None:
    await stage.register(A)
    verdicts = await asyncio.gather(*(stage.tell(A, f"e{i % 5}", payload=b"p") for i in range(50)))
    assert verdicts.count(Verdict.ACCEPTED) == 5


async def test_an_unknown_agent_is_said_and_nothing_is_kept(stage: Stage) -> None:
    assert await stage.tell(A, "event-1") is Verdict.UNKNOWN_AGENT
    await stage.register(A)
    assert await stage.tell(A, "event-1") is Verdict.ACCEPTED


async def test_an_event_identity_outlives_its_half_day(stage: Stage) -> None:
    await stage.register(A)
    await stage.tell(A, "event-1")
    ttls = [await stage.client.ttl(stage.keys.seen(A, half)) for half in (0, 1)]
    assert sorted(ttls)[0] == -2  # only the newer hash was written
    assert 12 * 3600 < max(ttls) <= 24 * 3600


async def test_an_identity_in_the_older_hash_still_counts(stage: Stage) -> None:
    await stage.register(A)
    seconds, _ = await stage.client.time()
    older = (seconds // (12 * 3600) + 1) % 2
    await stage.client.hset(stage.keys.seen(A, older), "event-1", "3")
    assert await stage.tell(A, "event-1", 3) is Verdict.DUPLICATE
    assert await stage.tell(A, "event-1", 4) is Verdict.ACCEPTED


async def test_waiting_records_never_exceed_the_budget(stage: Stage) -> None:
    await stage.register(A)
    half = b"x" * (BUDGET_BYTES // 2)
    assert await stage.tell(A, "e1", payload=half) is Verdict.ACCEPTED
    assert await stage.tell(A, "e2", payload=half) is Verdict.ACCEPTED
    assert await stage.tell(A, "e3", payload=b"x") is Verdict.OVER_BUDGET
    assert await stage.tell(A, "e3", payload=b"x") is Verdict.DUPLICATE, "a refusal is counted once"
    assert (await stage.facts(A))["refused"] == "1"


async def test_what_matters_less_is_refused_sooner_and_ends_no_log(stage: Stage) -> None:
    await stage.register(A)
    verdicts = []
    for rank in Rank:
        within = waits_within_bytes(rank, BUDGET_BYTES)
        waiting = int((await stage.facts(A)).get("waiting", 0))
        fills = Entry(A, f"{rank}-1", 1, Home.EVENT, b"x" * (within - waiting), rank)
        verdicts += (await stage.append(fills, Entry(A, f"{rank}-2", 1, Home.EVENT, b"x", rank))).verdicts
    assert verdicts == [Verdict.ACCEPTED, Verdict.OVER_BUDGET] * len(Rank)
    facts = await stage.facts(A)
    assert (facts["waiting"], facts["left_out"], facts["refused"]) == (str(BUDGET_BYTES), "3", "1")


async def test_what_is_left_out_makes_the_agent_due_when_its_log_is_to_be_told(stage: Stage) -> None:
    await stage.register(A)
    for number, is_due in enumerate([True, True, False, True, False, False, False, True], start=1):
        entry = Entry(A, f"e{number}", 1, Home.EVENT, b"x" * BUDGET_BYTES, Rank.PASSING)
        assert (await stage.append(entry)).verdicts == [Verdict.OVER_BUDGET]
        leases = (await stage.claim()).leases
        assert bool(leases) is is_due
        for lease in leases:
            assert (lease.state.left_out, await stage.read(A)) == (number, [])
            await stage.settle(lease, state=AgentState(left_out_said=number))


async def test_what_is_left_out_during_a_claim_makes_the_agent_due_after_it(stage: Stage) -> None:
    await stage.register(A)
    await stage.tell(A, "e1")
    (lease,) = (await stage.claim()).leases
    await stage.append(Entry(A, "e2", 1, Home.EVENT, b"x" * BUDGET_BYTES, Rank.PASSING))
    done = (await stage.read(A))[0].id
    assert await stage.settle(lease, done, left_out_more=2) == Settled(0)
    (lease,) = (await stage.claim()).leases
    assert (lease.state.left_out, lease.state.left_out_said) == (3, 0)
    await stage.settle(lease, state=AgentState(ended=EndReason.QUOTA))
    assert (await stage.claim()).leases == [], "whose log has ended is told nothing"


async def test_how_much_is_left_out_is_changed_once(stage: Stage) -> None:
    await stage.register(A)
    await stage.tell(A, "e1")
    await stage.tell(A, "e2")
    (lease,) = (await stage.claim()).leases
    settlement = Settlement(
        A, lease.epoch, (await stage.read(A))[0].id, 1, AgentState(left_out_said=5), left_out_more=5
    )
    for _ in range(2):  # the first answer got lost
        assert isinstance(await stage.dispatcher.proceed(settlement), Proceeding)
    assert (await stage.facts(A))["left_out"] == "5"
    last = (await stage.read(A))[0].id
    await stage.settle(lease, last, state=AgentState(), left_out_more=-5)
    assert not {"left_out", "left_out_said"} & (await stage.facts(A)).keys()


async def test_what_coder_took_counts_against_the_budget(stage: Stage) -> None:
    await stage.register(A)
    await stage.tell(A, "e1")
    lease = (await stage.claim()).leases[0]
    entry = (await stage.read(A))[0]
    await stage.settle(lease, entry.id, state=AgentState(spent_bytes=BUDGET_BYTES - 5))
    assert await stage.tell(A, "e2", payload=b"123456") is Verdict.OVER_BUDGET
    assert await stage.tell(A, "e3", payload=b"12345") is Verdict.ACCEPTED


async def test_a_refusal_makes_the_agent_due_so_that_its_log_can_say_so(stage: Stage) -> None:
    await stage.register(A)
    await stage.tell(A, "e1", payload=b"x" * (BUDGET_BYTES + 1))
    (lease,) = (await stage.claim()).leases
    assert lease.state.refused == 1
    assert await stage.read(A) == []
    await stage.settle(lease, refused_said=1)
    assert (await stage.claim()).leases == []


@pytest.mark.parametrize("reason", [EndReason.QUOTA, EndReason.BUDGET, EndReason.INVALID_TOKEN])
async def test_an_ended_agent_takes_nothing_and_counts(stage: Stage, reason: EndReason) -> None:
    await stage.register(A)
    await stage.tell(A, "e1")
    lease = (await stage.claim()).leases[0]
    await stage.settle(lease, (await stage.read(A))[0].id, state=AgentState(ended=reason))
    assert await stage.tell(A, "e2") is Verdict.ENDED
    assert (await stage.claim()).leases == []
    facts = await stage.facts(A)
    assert (facts["unsaid"], facts["late"], facts.keys() & {"dropped", "refused"}) == ("1", "1", set())


async def test_what_the_log_was_not_told_of_is_known_to_a_claim_and_lowered_once(stage: Stage) -> None:
    await stage.register(A)
    for identity in ("e1", "e2"):
        await stage.tell(A, identity)
    (lease,) = (await stage.claim()).leases
    first = (await stage.read(A))[0].id
    state = AgentState(unsaid=3, unsaid_why="bad_line")
    await stage.settle(lease, first, state=state, dropped=3, unsaid_more=3)
    (lease,) = (await stage.claim()).leases
    assert (lease.state.unsaid, lease.state.unsaid_why) == (3, "bad_line")
    await stage.client.hincrby(stage.keys.facts(A), "unsaid", 1)  # refused while it was claimed
    last = (await stage.read(A))[0].id
    assert await stage.settle(lease, last, unsaid_more=-3) == Settled(0)
    assert isinstance(await stage.settle(lease, last, unsaid_more=-3), Fenced)
    facts = await stage.facts(A)
    assert (facts["unsaid"], "unsaid_why" in facts) == ("1", False)


async def test_an_agent_that_spent_its_budget_may_be_asked_about_after_its_time(stage: Stage) -> None:
    await stage.register(A)
    await stage.tell(A, "e1")
    lease = (await stage.claim()).leases[0]
    state = AgentState(ended=EndReason.BUDGET, spent_bytes=BUDGET_BYTES, retry_at_ms=lease.now_ms - 1)
    await stage.settle(lease, (await stage.read(A))[0].id, state=state)
    assert await stage.tell(A, "e2") is Verdict.ACCEPTED
    assert len((await stage.claim()).leases) == 1


async def test_an_unauthorized_agent_may_probe_after_its_time(stage: Stage) -> None:
    await stage.register(A)
    await stage.tell(A, "e1")
    lease = (await stage.claim()).leases[0]
    later = lease.now_ms + 3_600_000
    state = AgentState(ended=EndReason.UNAUTHORIZED, retry_at_ms=later)
    await stage.settle(lease, (await stage.read(A))[0].id, state=state)
    assert await stage.tell(A, "e2") is Verdict.ENDED
    await stage.client.hset(stage.keys.facts(A), "retry_at", str(lease.now_ms - 1))
    assert await stage.tell(A, "e3") is Verdict.ACCEPTED


async def test_an_object_is_counted_once_and_the_last_one_lets_the_keys_expire(stage: Stage) -> None:
    await stage.register(A, "u1")
    await stage.register(A, "u1")
    await stage.register(A, "u2")
    await stage.writer.release(A, Uid("u1"))
    assert await stage.client.ttl(stage.keys.agent(A)) == -1, "another object still has this agent"
    await stage.writer.release(A, Uid("u2"))
    await stage.writer.release(A, Uid("u2"))
    assert await stage.client.ttl(stage.keys.agent(A)) > 24 * 3600
    assert await stage.client.ttl(stage.keys.facts(A)) > 24 * 3600
    await stage.register(A, "u3")
    assert await stage.client.ttl(stage.keys.facts(A)) == -1


async def test_keys_stay_while_lines_wait_for_an_agent_without_objects(stage: Stage) -> None:
    await stage.register(A)
    await stage.tell(A, "e1")
    await stage.writer.release(A, Uid("u1"))
    assert await stage.client.ttl(stage.keys.agent(A)) == -1
    (lease,) = (await stage.claim()).leases
    await stage.finish(lease)
    assert await stage.client.ttl(stage.keys.agent(A)) > 24 * 3600
    assert not await stage.client.hexists(stage.keys.epoch, A)


async def test_what_is_kept_goes_when_its_time_is_over(stage: Stage) -> None:
    writer = AgentWriter(stage.client, stage.keys, budget_bytes=BUDGET_BYTES, retention=Retention(half_s=1, keep_s=2))
    await writer.register(A, Uid("u1"), Card(b"sealed", "ns", "pod-1"))
    await writer.append([Entry(A, "u1/created", 1, Home.OBJECT, b"x"), Entry(A, "e1", 1, Home.EVENT, b"x")])
    dispatcher = Dispatcher(stage.client, stage.keys, retention=Retention(half_s=1, keep_s=2))
    (lease,) = (await dispatcher.claim(DrainerId("d1"), 1)).leases
    await writer.release(A, Uid("u1"))
    done = (await stage.read(A))[-1].id
    assert await dispatcher.settle([Settlement(A, lease.epoch, done, 2, lease.state)]) == [Settled(0)]
    names = [stage.keys.agent(A), stage.keys.facts(A), stage.keys.seen(A, 0), stage.keys.seen(A, 1)]
    assert 1 <= await stage.client.ttl(names[0]) <= 2
    async with asyncio.timeout(30):
        while await stage.client.exists(*names):  # noqa: ASYNC110 - Redis tells nobody
            await asyncio.sleep(0.1)
    assert not await stage.client.hexists(stage.keys.epoch, A)


async def test_a_late_line_keeps_what_it_needs(stage: Stage) -> None:
    await stage.register(A)
    await stage.writer.release(A, Uid("u1"))
    assert await stage.tell(A, "killing") is Verdict.ACCEPTED
    assert await stage.client.ttl(stage.keys.agent(A)) == -1


async def test_a_fact_of_a_released_object_is_still_a_duplicate(stage: Stage) -> None:
    await stage.register(A, "u1")
    await stage.tell(A, "u1/created", home=Home.OBJECT)
    await stage.writer.release(A, Uid("u1"))
    assert not any(name.startswith("f:") for name in await stage.facts(A)), "facts of gone objects must not pile up"
    await stage.register(A, "u1")
    assert await stage.tell(A, "u1/created", home=Home.OBJECT) is Verdict.DUPLICATE
