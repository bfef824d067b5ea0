"""What was dropped is said where it is missing: in the agent's own log, in one line, when it speaks again."""

import pytest

from common.store.model import Entry, Home, Verdict
from console.doubles.coder_control import ClaimPrebuild
from console.doubles.faults import Answer, Drop, Injection
from shipper.hold import PROBE_EVERY_MS, Windows
from tests.integration.shipper.rig import Rig, shipping
from tests.servers import free_port

FULL = Answer(413, '{"message":"Logs limit exceeded"}')
TOO_LARGE = Answer(413, "<html>too large</html>")
BAD = Answer(400, '{"message":"Invalid level."}')
LOGS = {"endpoint": "logs"}


def gap(missing: str, why: str) -> str:
    return f"⚠️ {missing} missing here: {why}."


async def hour_passes(rig: Rig, token: str) -> None:
    """Let an ended agent be asked about again."""
    retry_at_ms = int((await rig.state(token))["retry_at"])
    await rig.client.hset(rig.keys.facts(rig.vault.agent_id(token)), "retry_at", str(retry_at_ms - PROBE_EVERY_MS - 1))


async def unreachable(rig: Rig, redis_url: str) -> None:
    """A shift for whose requests there is no Coder, to the end of the window."""
    nobody = f"http://127.0.0.1:{free_port()}"
    async with shipping(rig, redis_url, url=nobody, windows=Windows(unreachable_s=0.3)) as hands:
        await hands.drainer.shift()


async def test_what_a_window_dropped_is_said_once_ahead_of_the_next_line(rig: Rig, redis_url: str) -> None:
    token = await rig.agent()
    await rig.say(token, "one", "two")
    await unreachable(rig, redis_url)
    assert (await rig.state(token))["unsaid"] == "2"
    async with shipping(rig, redis_url) as hands:
        await rig.say(token, "three")
        await hands.drainer.shift()
        await rig.say(token, "four")
        await hands.drainer.shift()
    assert rig.heard(token) == [
        gap("2 earlier messages of Kubernetes are", "Coder could not be reached for too long"),
        "three",
        "four",
    ]
    state = await rig.state(token)
    assert int(state["spent"]) == sum(len(line.encode()) for line in rig.heard(token))
    assert (state["dropped"], "unsaid" in state, "unsaid_why" in state) == ("2", False, False)


async def test_an_agent_that_is_known_again_says_what_was_refused_meanwhile_and_goes_on(
    rig: Rig, redis_url: str
) -> None:
    token = await rig.agent(ready=False)
    await rig.say(token, "one")
    async with shipping(rig, redis_url, windows=Windows(unauthorized_s=0.3)) as hands:
        await hands.drainer.shift()
        assert await rig.say(token, "two", "three") == [Verdict.ENDED] * 2
        rig.coder.state.add_agent(token, ready=True)
        await hour_passes(rig, token)
        await rig.say(token, "four")
        await hands.drainer.shift()
        await rig.say(token, "five")
        await hands.drainer.shift()
    assert rig.heard(token) == [
        gap("3 earlier messages of Kubernetes are", "Coder did not know this agent for too long"),
        "four",
        "five",
    ]
    assert "ended" not in await rig.state(token)


async def test_what_a_full_log_dropped_is_said_in_the_log_of_the_agent_that_comes_after(
    rig: Rig, redis_url: str
) -> None:
    token = await rig.agent()
    await rig.say(token, "one")
    rig.coder.faults.add(Injection(FULL, where=LOGS))
    async with shipping(rig, redis_url) as hands:
        await hands.drainer.shift()
        await rig.say(token, "two")
        rig.coder.apply(ClaimPrebuild(token))
        await hour_passes(rig, token)
        # What an older watcher counts as refused is no sign of a budget that is used up.
        await rig.client.hincrby(rig.keys.facts(rig.vault.agent_id(token)), "refused", 3)
        await rig.say(token, "three")
        await hands.drainer.shift()
        await hands.drainer.shift()
    assert rig.heard(token) == [
        gap("5 earlier messages of Kubernetes are", "the log before this one was full"),
        "three",
    ]
    state = await rig.state(token)
    assert not {"ended", "refused", "unsaid"} & state.keys()


@pytest.mark.parametrize(("answer", "why"), [(TOO_LARGE, "too large for Coder"), (BAD, "refused by Coder")])
async def test_a_record_that_coder_does_not_take_is_said(rig: Rig, redis_url: str, answer: Answer, why: str) -> None:
    token = await rig.agent()
    await rig.say(token, "one")
    rig.coder.faults.add(Injection(answer, where=LOGS))
    async with shipping(rig, redis_url) as hands:
        await hands.drainer.shift()
        await rig.say(token, "two")
        await hands.drainer.shift()
    assert rig.heard(token) == [gap("1 earlier message of Kubernetes is", why), "two"]


async def test_records_that_cannot_be_read_are_said_with_the_next_that_can(rig: Rig, redis_url: str) -> None:
    token = await rig.agent()
    agent = rig.vault.agent_id(token)
    await rig.writer.append([Entry(agent, f"junk-{n}", 1, Home.EVENT, b"junk") for n in range(2)])
    async with shipping(rig, redis_url) as hands:
        await hands.drainer.shift()
        await rig.say(token, "one")
        await hands.drainer.shift()
    assert rig.heard(token) == [gap("2 earlier messages of Kubernetes are", "not readable"), "one"]


async def test_what_was_dropped_for_want_of_a_token_is_said_when_it_is_there_again(rig: Rig, redis_url: str) -> None:
    token = await rig.agent()
    agent = rig.vault.agent_id(token)
    await rig.say(token, "one")
    await rig.client.delete(rig.keys.agent(agent))
    async with shipping(rig, redis_url) as hands:
        await hands.drainer.shift()
        await rig.agent(token=token, known=False)
        await rig.say(token, "two")
        await hands.drainer.shift()
    assert rig.heard(token) == [gap("1 earlier message of Kubernetes is", "the agent's token was lost"), "two"]


async def test_drops_of_several_kinds_are_one_line(rig: Rig, redis_url: str) -> None:
    token = await rig.agent()
    await rig.writer.append([Entry(rig.vault.agent_id(token), "junk", 1, Home.EVENT, b"junk")])
    async with shipping(rig, redis_url) as hands:
        await hands.drainer.shift()
    await rig.say(token, "one")
    await unreachable(rig, redis_url)
    async with shipping(rig, redis_url) as hands:
        await rig.say(token, "two")
        await hands.drainer.shift()
    assert rig.heard(token)[0] == gap("2 earlier messages of Kubernetes are", "for several reasons")


async def test_the_line_is_said_again_only_with_a_request_whose_fate_is_unknown(rig: Rig, redis_url: str) -> None:
    token = await rig.agent()
    await rig.say(token, "one")
    await unreachable(rig, redis_url)
    rig.coder.faults.add(Injection(Drop(handled=False), where=LOGS))
    async with shipping(rig, redis_url) as hands:
        await rig.say(token, "two")
        await hands.drainer.shift()
    assert [line.partition(" ")[0] for line in rig.heard(token)] == ["⚠️", "two"]
