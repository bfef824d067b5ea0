"""Each transition of docs/explanation/agent-states.md: what moves an agent from one state to the next, in Redis.

A state is read from the keys alone. Where only Coder's word moves an agent a real drainer serves it.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import msgspec
import pytest

from common.ids import DrainerId
from common.record import Level
from common.store.dispatcher import Dispatcher
from common.store.glance import AgentPhase, Glance, phase_of
from common.store.model import EndReason, Lease, Proceeding, Settled, Settlement, Verdict
from console.doubles.coder_control import ClaimPrebuild, MakeReady
from console.doubles.faults import Answer, Hang, Injection
from shipper.hold import PROBE_EVERY_MS, Windows
from shipper.text import thinned_line
from tests.integration.shipper.rig import BUDGET_BYTES, Hands, Rig, record, shipping, until_async

LEASE_S = 0.4
FULL = Answer(413, '{"message":"Logs limit exceeded"}')
NO_TOKEN = Answer(401, '{"message":"Workspace agent token invalid."}')
OFTEN = 1_000


async def phase(rig: Rig, token: str) -> AgentPhase:
    """What the agent's keys say."""
    glance = Glance(rig.client, rig.keys)
    agent = rig.vault.agent_id(token)
    seen = next((each for each in await glance.agents() if each.agent == agent), None)
    return AgentPhase.IDLE if seen is None else phase_of(seen, await glance.now_ms())


async def until_phase(rig: Rig, token: str, wanted: AgentPhase) -> None:
    async def there() -> bool:
        return await phase(rig, token) is wanted

    await until_async(there)


def dispatcher(rig: Rig) -> Dispatcher:
    return Dispatcher(rig.client, rig.keys, lease_s=LEASE_S)


async def claimed(rig: Rig, *messages: str) -> tuple[str, Lease]:
    """An agent for which `messages` wait, and a claim of it."""
    token = await rig.agent()
    await rig.say(token, *messages)
    (lease,) = (await dispatcher(rig).claim(DrainerId("d"), 1)).leases
    assert await phase(rig, token) is AgentPhase.CLAIMED
    return token, lease


async def settle(rig: Rig, lease: Lease, done: int, delay_s: float = 0.0) -> Settled:
    """End the claim with the first `done` records."""
    waiting = (await dispatcher(rig).read(lease.agent, 1 << 20))[:done]
    (answer,) = await dispatcher(rig).settle(
        [
            Settlement(
                agent=lease.agent,
                epoch=lease.epoch,
                done=waiting[-1].id if waiting else None,
                done_bytes=sum(len(each.payload) for each in waiting),
                state=lease.state,
                delay_s=delay_s,
            )
        ]
    )
    assert isinstance(answer, Settled)
    return answer


@contextlib.asynccontextmanager
async def served(rig: Rig, redis_url: str, windows: Windows | None = None) -> AsyncIterator[Hands]:
    """A drainer at work for as long as the block lasts."""
    async with shipping(rig, redis_url, windows=windows) as hands, asyncio.TaskGroup() as tasks:
        work = tasks.create_task(hands.work())
        yield hands
        work.cancel()


async def ended(rig: Rig, redis_url: str) -> str:
    """An agent that Coder says has no room left."""
    token = await rig.agent()
    await rig.say(token, "one")
    rig.coder.faults.add(Injection(FULL, where={"endpoint": "logs"}))
    async with served(rig, redis_url):
        await until_phase(rig, token, AgentPhase.ENDED)
    return token


async def an_hour_passes(rig: Rig, token: str) -> None:
    at_ms = int((await rig.state(token))["retry_at"])
    facts = rig.keys.facts(rig.vault.agent_id(token))
    await rig.client.hset(facts, "retry_at", str(at_ms - PROBE_EVERY_MS - 1))


async def test_an_idle_agent_is_due_once_something_is_appended(rig: Rig) -> None:
    token = await rig.agent()
    assert await phase(rig, token) is AgentPhase.IDLE
    await rig.say(token, "one")
    assert await phase(rig, token) is AgentPhase.DUE


async def test_a_due_agent_is_claimed_by_one_drainer_only(rig: Rig) -> None:
    token, _ = await claimed(rig, "one")
    assert (await dispatcher(rig).claim(DrainerId("other"), 1)).leases == []
    assert await phase(rig, token) is AgentPhase.CLAIMED


async def test_a_claimed_agent_of_which_nothing_is_left_is_idle(rig: Rig) -> None:
    token, lease = await claimed(rig, "one")
    assert await settle(rig, lease, 1) == Settled(0)
    assert await phase(rig, token) is AgentPhase.IDLE


async def test_a_claimed_agent_with_records_left_is_due(rig: Rig) -> None:
    token, lease = await claimed(rig, "one", "two")
    assert await settle(rig, lease, 1) == Settled(1)
    assert await phase(rig, token) is AgentPhase.DUE


async def test_a_claimed_agent_whose_lease_ran_out_is_due(rig: Rig) -> None:
    token, _ = await claimed(rig, "one")
    await until_phase(rig, token, AgentPhase.DUE)


async def test_a_claimed_agent_whose_lease_is_renewed_stays_claimed(rig: Rig) -> None:
    token, lease = await claimed(rig, "one")
    before_ms = await rig.client.zscore(rig.keys.due, lease.agent)
    await asyncio.sleep(0.01)  # Redis' clock decides, in milliseconds
    assert await dispatcher(rig).renew([(lease.agent, lease.epoch)]) == set()
    after_ms = await rig.client.zscore(rig.keys.due, lease.agent)
    assert before_ms is not None
    assert after_ms is not None
    assert after_ms > before_ms
    assert await phase(rig, token) is AgentPhase.CLAIMED


async def test_a_claimed_agent_that_goes_on_with_what_is_left_stays_claimed(rig: Rig) -> None:
    token, lease = await claimed(rig, "one", "two")
    first = (await dispatcher(rig).read(lease.agent, 1))[0]
    done = Settlement(lease.agent, lease.epoch, first.id, len(first.payload), lease.state)
    answer = await dispatcher(rig).proceed(done)
    assert isinstance(answer, Proceeding)
    assert len(answer.waiting) == 1
    assert await phase(rig, token) is AgentPhase.CLAIMED


async def test_a_claimed_agent_that_the_rate_limit_makes_wait_is_backing_off(rig: Rig, redis_url: str) -> None:
    token = await rig.agent()
    await rig.say(token, "one")
    rig.coder.faults.add(Injection(Answer(429, "", {"Retry-After": "60"}), OFTEN, where={"endpoint": "logs"}))
    async with served(rig, redis_url):
        await until_phase(rig, token, AgentPhase.BACKING_OFF)
    assert rig.heard(token) == []


async def test_a_backing_off_agent_is_due_when_its_delay_is_over_not_sooner(rig: Rig) -> None:
    token, lease = await claimed(rig, "one")
    await settle(rig, lease, 0, delay_s=0.5)
    await rig.say(token, "two")
    assert await phase(rig, token) is AgentPhase.BACKING_OFF
    await until_phase(rig, token, AgentPhase.DUE)


@pytest.mark.parametrize(
    "answer",
    [
        Answer(401, '{"message":"Workspace agent not authorized."}'),
        Answer(401, "<html>sign in</html>"),
        Answer(502, "<html>"),
        Hang(),
    ],
    ids=["not known", "a proxy's", "failing", "silent"],
)
async def test_a_claimed_agent_that_coder_does_not_take_lines_of_is_held(
    rig: Rig, redis_url: str, answer: Answer | Hang
) -> None:
    token = await rig.agent()
    await rig.say(token, "one")
    rig.coder.faults.add(Injection(answer, OFTEN, where={"endpoint": "log_source"}))
    async with shipping(rig, redis_url, timeout_s=0.3) as hands, asyncio.TaskGroup() as tasks:
        work = tasks.create_task(hands.work())
        await until_phase(rig, token, AgentPhase.HELD)
        work.cancel()
    assert await rig.waiting(token) == 1


async def held(rig: Rig, redis_url: str) -> str:
    """An agent that Coder does not know yet, and nobody serves any more."""
    token = await rig.agent(ready=False)
    await rig.say(token, "one")
    async with served(rig, redis_url):
        await until_phase(rig, token, AgentPhase.HELD)
    return token


async def test_a_held_agent_is_due_when_its_delay_is_over(rig: Rig, redis_url: str) -> None:
    token = await held(rig, redis_url)
    await until_phase(rig, token, AgentPhase.DUE)
    assert int((await rig.state(token))["tries"]) > 0  # the hold goes on until Coder takes something


async def test_a_held_agent_that_coder_knows_at_last_is_due_claimed_and_idle(rig: Rig, redis_url: str) -> None:
    token = await held(rig, redis_url)
    rig.coder.apply(MakeReady(token))
    async with served(rig, redis_url):
        await until_phase(rig, token, AgentPhase.IDLE)
    assert rig.heard(token) == ["one"]
    assert "held_since" not in await rig.state(token)


@pytest.mark.parametrize(
    ("endpoint", "answer", "why"),
    [("logs", FULL, EndReason.QUOTA), ("log_source", NO_TOKEN, EndReason.INVALID_TOKEN)],
    ids=["its quota", "its token"],
)
async def test_a_claimed_agent_that_coder_refuses_for_good_is_ended(
    rig: Rig, redis_url: str, endpoint: str, answer: Answer, why: EndReason
) -> None:
    token = await rig.agent()
    await rig.say(token, "one")
    rig.coder.faults.add(Injection(answer, where={"endpoint": endpoint}))
    async with served(rig, redis_url):
        await until_phase(rig, token, AgentPhase.ENDED)
    assert (await rig.state(token))["ended"] == why


async def test_a_claimed_agent_whose_window_is_over_is_ended(rig: Rig, redis_url: str) -> None:
    token = await rig.agent(ready=False)
    await rig.say(token, "one")
    async with served(rig, redis_url, Windows(unauthorized_s=0.5)):
        await until_phase(rig, token, AgentPhase.ENDED)
    assert (await rig.state(token))["ended"] == EndReason.UNAUTHORIZED


async def test_a_claimed_agent_whose_budget_is_used_up_is_ended(rig: Rig, redis_url: str) -> None:
    token = await rig.agent()
    await rig.client.hset(rig.keys.facts(rig.vault.agent_id(token)), "spent", str(BUDGET_BYTES - 100))
    await rig.tell(token, msgspec.structs.replace(record("e", "x" * 200), level=Level.ERROR))
    async with served(rig, redis_url):
        await until_phase(rig, token, AgentPhase.ENDED)
    assert (await rig.state(token))["ended"] == EndReason.BUDGET


async def test_a_claimed_agent_of_which_only_a_notice_is_due_says_it_and_is_idle(rig: Rig, redis_url: str) -> None:
    token = await rig.agent()
    await rig.client.hset(rig.keys.facts(rig.vault.agent_id(token)), "spent", str(BUDGET_BYTES * 7 // 8))
    assert await rig.say(token, "x" * 200) == [Verdict.OVER_BUDGET]
    assert await phase(rig, token) is AgentPhase.DUE
    async with served(rig, redis_url):
        await until_phase(rig, token, AgentPhase.IDLE)
    assert rig.heard(token) == [thinned_line(BUDGET_BYTES, 1).text]


async def test_an_ended_agent_stays_ended_and_refuses_what_comes(rig: Rig, redis_url: str) -> None:
    token = await ended(rig, redis_url)
    assert await rig.say(token, "two") == [Verdict.ENDED]
    assert await phase(rig, token) is AgentPhase.ENDED


async def test_an_ended_agent_is_due_with_a_new_record_after_an_hour(rig: Rig, redis_url: str) -> None:
    token = await ended(rig, redis_url)
    await an_hour_passes(rig, token)
    assert await rig.say(token, "two") == [Verdict.ACCEPTED]
    assert await phase(rig, token) is AgentPhase.DUE


async def test_a_claimed_agent_that_had_ended_is_ended_again_if_nothing_has_changed(rig: Rig, redis_url: str) -> None:
    token = await ended(rig, redis_url)
    await an_hour_passes(rig, token)
    await rig.say(token, "two")
    async with served(rig, redis_url):
        await until_phase(rig, token, AgentPhase.ENDED)
    assert rig.heard(token) == []


async def test_an_ended_agent_whose_reason_only_a_newer_release_knows_stays_ended_for_it(
    rig: Rig, redis_url: str
) -> None:
    token = await ended(rig, redis_url)
    await rig.client.hset(rig.keys.facts(rig.vault.agent_id(token)), "ended", "weather")
    assert await rig.say(token, "two") == [Verdict.ENDED]
    assert await phase(rig, token) is AgentPhase.ENDED
    await an_hour_passes(rig, token)
    other = await rig.agent()
    await rig.say(other, "mine")
    await rig.say(token, "two")
    async with served(rig, redis_url):
        await until_phase(rig, token, AgentPhase.ENDED)
    assert (await rig.state(token))["ended"] == "weather"
    assert rig.heard(other) == ["mine"]


async def test_a_claimed_agent_that_had_ended_is_idle_if_another_stands_behind_its_token(
    rig: Rig, redis_url: str
) -> None:
    token = await ended(rig, redis_url)
    await an_hour_passes(rig, token)
    rig.coder.apply(ClaimPrebuild(token))
    await rig.say(token, "two")
    async with served(rig, redis_url):
        await until_phase(rig, token, AgentPhase.IDLE)
    assert rig.heard(token)[-1] == "two"
