"""claim, renew, settle, leave, sweep: who may send what when, on each supported server."""

import asyncio

from common.ids import AgentId, DrainerId, Uid
from common.store.keys import Keys
from common.store.model import AgentState, EndReason, Entry, Fenced, Home, Settled, Verdict
from tests.integration.common.store.conftest import BUDGET_BYTES, LEASE_S, Stage

A = AgentId("a" * 32)
B = AgentId("b" * 32)
C = AgentId("c" * 32)
D = AgentId("d" * 32)
D1, D2 = DrainerId("d1"), DrainerId("d2")


def first_record(agent: AgentId) -> Entry:
    return Entry(agent, "e1", 1, Home.EVENT, b"x")


async def waiting_for(stage: Stage, *agents: AgentId) -> None:
    for agent in agents:
        await stage.register(agent)
        await stage.tell(agent, "e1")


async def test_an_agent_is_claimed_by_one_drainer_only(stage: Stage) -> None:
    await waiting_for(stage, A)
    first, second = await asyncio.gather(stage.claim("d1"), stage.claim("d2"))
    assert len(first.leases) + len(second.leases) == 1


async def test_a_claim_gives_no_more_than_its_places_and_oldest_first(stage: Stage) -> None:
    await waiting_for(stage, A)
    await asyncio.sleep(0.002)  # due times have a resolution of 1 ms
    await waiting_for(stage, B)
    claimed = await stage.claim(places=1)
    assert [lease.agent for lease in claimed.leases] == [A]


async def test_an_append_never_moves_a_leased_agents_time(stage: Stage) -> None:
    await waiting_for(stage, A)
    await stage.claim("d1")
    await stage.tell(A, "e2")
    assert (await stage.claim("d2")).leases == []


async def test_an_expired_lease_makes_the_agent_claimable_and_says_that_it_was_unsettled(stage: Stage) -> None:
    await waiting_for(stage, A)
    (first,) = (await stage.claim("d1")).leases
    await asyncio.sleep(LEASE_S)  # Redis' clock decides
    (second,) = (await stage.claim("d2")).leases
    assert (first.unsettled, second.unsettled) == (False, True)
    assert second.epoch > first.epoch


async def test_facts_that_somebody_overwrote_are_none_and_keep_nobody_from_being_served(stage: Stage) -> None:
    await waiting_for(stage, A, B)
    await stage.client.hset(
        stage.keys.facts(A),
        mapping={"spent": b"much", "tries": b"\xff", "ended": b"\xfe", "held_since": b"9" * 5_000, "source": b"\x80",
                 "refused": b"some", "unsaid": b"1.5", "left_out": b"\xff", "left_out_said": b"-"},
    )  # fmt: skip
    claimed = {lease.agent: lease for lease in (await stage.claim()).leases}
    assert set(claimed) == {A, B}
    assert claimed[A].state == AgentState()
    waiting = await stage.read(A)
    more = {"unsaid_more": 1, "left_out_more": 1, "refused_said": 1, "dropped": 1}
    assert await stage.settle(claimed[A], waiting[-1].id, **more) == Settled(left=0)
    assert await stage.finish(claimed[B]) == Settled(left=0)
    assert await stage.tell(A, "e2") is Verdict.ACCEPTED


async def test_a_stale_epoch_settles_nothing(stage: Stage) -> None:
    await waiting_for(stage, A)
    (first,) = (await stage.claim("d1")).leases
    await asyncio.sleep(LEASE_S)
    (second,) = (await stage.claim("d2")).leases
    assert await stage.finish(first) == Fenced(second.epoch)
    assert len(await stage.read(A)) == 1
    assert await stage.finish(second) == Settled(0)


async def test_a_claim_settles_once(stage: Stage) -> None:
    await waiting_for(stage, A)
    (lease,) = (await stage.claim()).leases
    assert await stage.settle(lease, delay_s=0) == Settled(1)
    assert isinstance(await stage.settle(lease), Fenced)


async def test_a_renewed_lease_holds_and_a_lost_one_is_named(stage: Stage) -> None:
    await waiting_for(stage, A)
    (first,) = (await stage.claim("d1")).leases
    for _ in range(3):
        await asyncio.sleep(LEASE_S / 2)
        assert await stage.dispatcher.renew([(A, first.epoch)]) == set()
    assert (await stage.claim("d2")).leases == []
    await asyncio.sleep(LEASE_S)
    (second,) = (await stage.claim("d2")).leases
    assert await stage.dispatcher.renew([(A, first.epoch), (A, second.epoch)]) == {A}


async def test_a_settled_claim_cannot_be_renewed(stage: Stage) -> None:
    await waiting_for(stage, A)
    (lease,) = (await stage.claim()).leases
    await stage.settle(lease)
    assert await stage.dispatcher.renew([(A, lease.epoch)]) == {A}


async def test_settle_trims_what_is_done_and_keeps_the_rest_in_order(stage: Stage) -> None:
    await waiting_for(stage, A)
    for i in range(2, 5):
        await stage.tell(A, f"e{i}", payload=str(i).encode())
    (lease,) = (await stage.claim()).leases
    waiting = await stage.read(A)
    assert await stage.settle(lease, waiting[1].id, done_bytes=2) == Settled(2)
    assert [entry.payload for entry in await stage.read(A)] == [b"3", b"4"]
    (again,) = (await stage.claim()).leases
    assert not again.unsettled


async def test_a_record_appended_during_a_claim_is_not_trimmed(stage: Stage) -> None:
    await waiting_for(stage, A)
    (lease,) = (await stage.claim()).leases
    waiting = await stage.read(A)
    await stage.tell(A, "e2", payload=b"late")
    assert await stage.settle(lease, waiting[-1].id) == Settled(1)
    (lease,) = (await stage.claim()).leases
    assert [entry.payload for entry in await stage.read(A)] == [b"late"]


async def test_a_delay_is_kept_and_new_records_do_not_shorten_it(stage: Stage) -> None:
    await waiting_for(stage, A)
    (lease,) = (await stage.claim()).leases
    await stage.settle(lease, delay_s=0.2)
    await stage.tell(A, "e2")
    claimed = await stage.claim()
    assert claimed.leases == []
    assert claimed.next_due_s is not None
    assert 0 < claimed.next_due_s <= 0.2
    await asyncio.sleep(claimed.next_due_s)
    assert len((await stage.claim()).leases) == 1


async def test_a_due_time_far_ahead_comes_from_a_jumped_clock_and_counts_as_due(stage: Stage) -> None:
    await waiting_for(stage, A)
    seconds, _ = await stage.client.time()
    await stage.client.zadd(stage.keys.due, {A: seconds * 1000 + 86_400_000})
    assert len((await stage.claim()).leases) == 1


async def test_an_epoch_is_never_reused_even_if_the_clock_goes_back(stage: Stage) -> None:
    await waiting_for(stage, A)
    future = 9_000_000_000_000_000
    await stage.client.hset(stage.keys.epoch, A, str(future))
    (lease,) = (await stage.claim()).leases
    assert lease.epoch == future + 1


async def test_the_state_is_kept_and_defaults_cost_nothing(stage: Stage) -> None:
    await waiting_for(stage, A)
    (lease,) = (await stage.claim()).leases
    state = AgentState(
        spent_bytes=7, lines=2, held_since_ms=5, held_why="unauthorized", tries=3, source="s", retry_at_ms=9,
        ended=EndReason.UNAUTHORIZED, hinted=("0a1b2c3d", "4e5f6071"),
    )  # fmt: skip
    await stage.settle(lease, state=state)
    (lease,) = (await stage.claim()).leases
    assert lease.state == state
    await stage.settle(lease, state=AgentState())
    assert set(await stage.facts(A)) == {"objects", "o:u1", "waiting"}


async def test_the_card_comes_with_the_lease_and_its_loss_is_seen(stage: Stage) -> None:
    await waiting_for(stage, A)
    (lease,) = (await stage.claim()).leases
    assert lease.card is not None
    assert (lease.card.sealed_token, lease.card.workspace) == (b"sealed", "dev")
    await stage.settle(lease)
    await stage.client.set(stage.keys.agent(A), b"\xc1garbage")
    (lease,) = (await stage.claim()).leases
    assert lease.card is None


async def test_refusals_during_a_claim_are_said_by_the_next(stage: Stage) -> None:
    await waiting_for(stage, A)
    (lease,) = (await stage.claim()).leases
    await stage.tell(A, "big", payload=b"x" * (BUDGET_BYTES + 1))
    await stage.finish(lease)
    (lease,) = (await stage.claim()).leases
    assert lease.state.refused == 1


async def test_what_waits_is_counted_and_settled_to_zero(stage: Stage) -> None:
    await waiting_for(stage, A, B)
    assert (await stage.dispatcher.backlog()).waiting_records == 2
    for lease in (await stage.claim()).leases:
        await stage.finish(lease)
    backlog = await stage.dispatcher.backlog()
    assert (backlog.waiting_records, backlog.scheduled_agents, backlog.claimed_agents) == (0, 0, 0)
    assert "waiting" not in await stage.facts(A)


async def test_an_append_rings_once_while_the_bell_is_under_way(stage: Stage) -> None:
    await stage.register(A)
    await stage.register(B)
    assert (await stage.append(first_record(A))).ring
    assert not (await stage.append(first_record(B))).ring


async def test_an_answered_bell_may_be_rung_again(stage: Stage) -> None:
    await waiting_for(stage, A, B, C, D)
    assert (await stage.claim("d1", places=1)).ring, "more is due than one drainer can carry"
    assert not (await stage.claim("d1", places=1)).ring, "the bell is under way"
    assert (await stage.claim("d2", places=1)).ring, "d2 answered it and is full as well"


async def test_an_append_wakes_one_sleeper_and_rings_no_bell(stage: Stage) -> None:
    assert (await stage.claim("d1")).leases == []
    assert (await stage.claim("d2")).leases == []
    await stage.register(A)
    await stage.register(B)
    assert not (await stage.append(first_record(A))).ring
    assert not (await stage.append(first_record(B))).ring
    woken = [await stage.dispatcher.wait(drainer, 0.05) for drainer in (D1, D2)]
    assert sorted(woken) == [False, True], "the one that was woken promised to look at everything"


async def test_a_sleeper_that_missed_its_promise_is_not_counted_on(stage: Stage) -> None:
    await stage.claim("d1")
    await stage.client.zadd(stage.keys.asleep, {"d1": 1.0})
    await stage.register(A)
    assert (await stage.append(first_record(A))).ring


async def test_a_drainer_that_leaves_is_not_woken_and_hands_over_what_is_due(stage: Stage) -> None:
    await stage.claim("d1")
    assert not await stage.dispatcher.leave(D1)
    await waiting_for(stage, A)
    await stage.claim("d2", places=1)
    await stage.client.delete(stage.keys.rung)
    await waiting_for(stage, B)
    await stage.client.delete(stage.keys.rung)
    assert await stage.dispatcher.leave(D2), "B is due and nobody else is there"


async def test_the_sweep_rings_for_what_a_dead_drainer_promised(stage: Stage) -> None:
    await stage.claim("d1")
    await waiting_for(stage, A)  # wakes d1, which dies now
    assert not await stage.dispatcher.sweep(), "its promise is still alive"
    seconds, _ = await stage.client.time()
    await stage.client.zadd(stage.keys.due, {A: (seconds - 5) * 1000})
    await stage.client.zadd(stage.keys.looking, {"d1": (seconds - 1) * 1000})
    assert await stage.dispatcher.sweep()
    assert not await stage.dispatcher.sweep(), "a bell is under way"


async def test_another_prefix_is_another_world(stage: Stage) -> None:
    other = Stage(stage.client, Keys(stage.keys.prefix + "-2"))
    await waiting_for(stage, A)
    assert (await other.claim()).leases == []
    await other.writer.release(A, Uid("u1"))
    assert len((await stage.claim()).leases) == 1


async def test_scripts_are_loaded_again_after_the_server_forgot_them(stage: Stage) -> None:
    await waiting_for(stage, A)
    await stage.client.script_flush()
    assert len((await stage.claim()).leases) == 1
