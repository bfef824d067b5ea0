"""From a stream to Coder's log: everything, once, in order. Real Redis, Coder double."""

import asyncio

import msgspec
from structlog.testing import capture_logs

from common.record import encode_record
from common.store.model import Entry, Home, Verdict
from console.doubles.coder_control import ClaimPrebuild, SetLatency, SetRateLimit
from console.doubles.coder_state import NulRule
from console.doubles.faults import Answer, Hang, Injection
from shipper.hold import PROBE_EVERY_MS
from shipper.reasons import Reason
from shipper.text import gap_line
from tests.integration.shipper.rig import Rig, record, shipping, until

FULL = '{"message":"Logs limit exceeded"}'


def where(endpoint: str, token: str = "") -> dict[str, str]:
    return {"endpoint": endpoint, "token": token} if token else {"endpoint": endpoint}


async def test_what_waits_is_delivered_in_order_and_once(rig: Rig, redis_url: str) -> None:
    tokens = [await rig.agent() for _ in range(20)]
    for token in tokens:
        await rig.say(token, *(f"line {n}" for n in range(8)))
    async with shipping(rig, redis_url) as hands:
        await hands.drainer.shift()
    for token in tokens:
        assert rig.heard(token) == [f"line {n}" for n in range(8)]
        assert await rig.waiting(token) == 0
    assert rig.coder.totals().most_in_flight == 1
    assert rig.metric("lines_total") == 160
    assert rig.metric("leases") == 0


async def test_the_source_is_registered_with_the_peers_name_before_the_first_line(rig: Rig, redis_url: str) -> None:
    token = await rig.agent()
    await rig.say(token, "hello")
    async with shipping(rig, redis_url) as hands:
        await hands.drainer.shift()
    (agent,) = rig.coder.agents(token)
    (source,) = agent.sources
    assert (source.id, source.display_name, source.icon) == (
        "cabdacf8-7c90-425c-9815-cae3c75d1169",
        "Kubernetes",
        "/icon/k8s.png",
    )
    assert agent.logs[0].source_id == source.id


async def test_what_comes_during_a_request_goes_under_the_same_claim(rig: Rig, redis_url: str) -> None:
    token = await rig.agent()
    agent = rig.vault.agent_id(token)
    rig.coder.latency_s = 0.3
    await rig.say(token, "line 0")
    async with shipping(rig, redis_url) as hands, asyncio.TaskGroup() as tasks:
        tasks.create_task(hands.drainer.shift())
        await until(lambda: rig.coder.totals().requests.get("log_source 201") == 1)
        claim = await rig.client.hget(rig.keys.epoch, agent)
        await rig.say(token, "line 1", "line 2")
        await until(lambda: len(rig.heard(token)) == 3)
        assert await rig.client.hget(rig.keys.epoch, agent) == claim
        hands.drainer.stop()
    assert rig.heard(token) == ["line 0", "line 1", "line 2"]


async def test_what_comes_during_a_shift_is_delivered_by_it(rig: Rig, redis_url: str) -> None:
    token = await rig.agent()
    async with shipping(rig, redis_url) as hands, asyncio.TaskGroup() as tasks:
        shift = tasks.create_task(hands.drainer.shift())
        for n in range(5):
            await rig.say(token, f"line {n}")
            await until(lambda n=n: len(rig.heard(token)) == n + 1)  # type: ignore[misc]
        assert not shift.done()
    assert rig.heard(token) == [f"line {n}" for n in range(5)]


async def test_one_slow_agent_delays_no_other(rig: Rig, redis_url: str) -> None:
    slow, quick = await rig.agent(), await rig.agent()
    rig.coder.faults.add(Injection(Hang(), where=where("log_source", slow)))
    async with shipping(rig, redis_url, timeout_s=100.0, concurrency=2) as hands, asyncio.TaskGroup() as tasks:
        shift = tasks.create_task(hands.drainer.shift())
        await rig.say(slow, "slow")
        for n in range(10):
            await rig.say(quick, f"line {n}")
            await until(lambda n=n: len(rig.heard(quick)) == n + 1)  # type: ignore[misc]
        assert rig.heard(slow) == []
        shift.cancel()


async def test_a_slow_request_does_not_keep_a_shift_from_ending_with_its_slice(rig: Rig, redis_url: str) -> None:
    slow = await rig.agent()
    rig.coder.apply(SetLatency(5.0, slow))
    await rig.say(slow, "slow")
    async with shipping(rig, redis_url, timeout_s=60.0, slice_s=0.2) as hands:
        await hands.drainer.shift()
        assert rig.heard(slow) == []  # it ended before the request
        assert await hands.bell.unanswered() == 1  # somebody must look after what it leaves
        await until(lambda: rig.heard(slow) == ["slow"])
    assert rig.coder.totals().repeated_lines == 0


async def test_a_retry_never_lets_a_later_record_pass(rig: Rig, redis_url: str) -> None:
    token = await rig.agent()
    await rig.say(token, "one", "two")
    rig.coder.faults.add(Injection(Answer(502, "<html>"), where=where("logs")))
    async with shipping(rig, redis_url) as hands, asyncio.TaskGroup() as tasks:
        tasks.create_task(hands.drainer.shift())
        await until(lambda: rig.coder.totals().requests.get("logs 502") == 1)
        await rig.say(token, "three")
        await until(lambda: len(rig.heard(token)) == 3)
    assert rig.heard(token) == ["one", "two", "three"]


def dislike(rig: Rig, poison: str) -> None:
    """Let Coder refuse what holds the line `poison`."""
    original = rig.coder.state.patch_logs

    def picky(agent, body, now):  # type: ignore[no-untyped-def]
        if any((line.output or "") == poison for line in body.logs or []):
            line = msgspec.structs.replace(body.logs[0], level="loud")
            body = msgspec.structs.replace(body, logs=[line])
        return original(agent, body, now)

    rig.coder.state.patch_logs = picky  # type: ignore[method-assign]


async def test_a_poison_line_is_dropped_alone(rig: Rig, redis_url: str) -> None:
    token = await rig.agent()
    lines = [f"line {n}" for n in range(9)]
    await rig.say(token, *lines)
    dislike(rig, "line 4")
    async with shipping(rig, redis_url) as hands:
        await hands.drainer.shift()
    shown = [gap_line(1, Reason.BAD_LINE).text if line == "line 4" else line for line in lines]
    assert rig.heard(token) == shown
    assert rig.metric("dropped_total", reason="bad_line") == 1
    assert (await rig.state(token))["dropped"] == "1"


async def test_a_poison_line_is_found_though_the_rate_limit_lets_only_one_request_pass_at_a_time(
    rig: Rig, redis_url: str
) -> None:
    token = await rig.agent()
    await rig.say(token, "one", "bad", "two")
    dislike(rig, "bad")
    rig.coder.apply(SetRateLimit(1, window_s=1))
    shown = ["one", gap_line(1, Reason.BAD_LINE).text, "two"]
    async with shipping(rig, redis_url) as hands, asyncio.timeout(60):
        while rig.heard(token) != shown:
            await hands.drainer.shift()
            await asyncio.sleep(0.1)
    assert rig.metric("dropped_total", reason="bad_line") == 1


async def test_a_body_too_large_is_sent_in_halves(rig: Rig, redis_url: str) -> None:
    token = await rig.agent()
    await rig.say(token, *(f"line {n}" for n in range(8)))
    rig.coder.faults.add(Injection(Answer(413, "<html>too large</html>"), times=2, where=where("logs")))
    async with shipping(rig, redis_url) as hands:
        await hands.drainer.shift()
    assert rig.heard(token) == [f"line {n}" for n in range(8)]


async def test_nul_and_ansi_arrive_as_pictures(rig: Rig, redis_url: str) -> None:
    token = await rig.agent()
    rig.coder.state.nul_rule = NulRule.FAIL
    await rig.say(token, "a\x00b \x1b[31mred")
    async with shipping(rig, redis_url) as hands:
        await hands.drainer.shift()
    assert rig.heard(token) == ["a␀b ␛[31mred"]


async def test_a_64_kb_message_arrives_whole(rig: Rig, redis_url: str) -> None:
    token = await rig.agent()
    message = "".join(chr(0x20000 + n % 50) for n in range(16_000))  # letters: pictographs would be quoted
    await rig.say(token, message)
    async with shipping(rig, redis_url) as hands:
        await hands.drainer.shift()
    assert "".join(rig.heard(token)) == message


async def test_413_silences_this_agent_only(rig: Rig, redis_url: str) -> None:
    full, other = await rig.agent(), await rig.agent()
    await rig.say(full, "one", "two")
    await rig.say(other, "fine")
    rig.coder.faults.add(Injection(Answer(413, FULL), where=where("logs", full)))
    async with shipping(rig, redis_url) as hands:
        await hands.drainer.shift()
        assert await rig.say(full, "three") == [Verdict.ENDED]
    assert rig.heard(full) == []
    assert rig.heard(other) == ["fine"]
    assert rig.metric("dropped_total", reason="quota") == 2
    assert (await rig.state(full))["ended"] == "quota"


async def test_413_for_a_claimed_prebuild_starts_anew(rig: Rig, redis_url: str) -> None:
    token = await rig.agent()
    await rig.say(token, "before")
    async with shipping(rig, redis_url) as hands:
        await hands.drainer.shift()
        spent = int((await rig.state(token))["spent"])
        rig.coder.apply(ClaimPrebuild(token))
        rig.coder.faults.add(Injection(Answer(413, FULL), where=where("logs")))
        await rig.say(token, "after")
        await hands.drainer.shift()
    state = await rig.state(token)
    assert [[log.output for log in agent.logs] for agent in rig.coder.agents(token)] == [["before"], ["after"]]
    assert [len(agent.sources) for agent in rig.coder.agents(token)] == [1, 1]
    assert "ended" not in state
    assert int(state["spent"]) == len("after") != spent


async def test_an_ended_agent_takes_lines_again_when_another_stands_behind_its_token(rig: Rig, redis_url: str) -> None:
    token = await rig.agent()
    await rig.say(token, "one")
    rig.coder.faults.add(Injection(Answer(413, FULL), where=where("logs")))
    async with shipping(rig, redis_url) as hands:
        await hands.drainer.shift()
        retry_at_ms = int((await rig.state(token))["retry_at"])
        facts = rig.keys.facts(rig.vault.agent_id(token))
        await rig.client.hset(facts, "retry_at", str(retry_at_ms - PROBE_EVERY_MS - 1))
        rig.coder.apply(ClaimPrebuild(token))
        assert await rig.say(token, "two") == [Verdict.ACCEPTED]
        await hands.drainer.shift()
    assert rig.heard(token) == [gap_line(1, Reason.QUOTA).text, "two"]
    assert "ended" not in await rig.state(token)


async def test_a_record_of_a_newer_version_stops_its_agent_and_waits(rig: Rig, redis_url: str) -> None:
    token = await rig.agent()
    agent = rig.vault.agent_id(token)
    future = encode_record(msgspec.structs.replace(record("f", "from the future"), v=99))
    await rig.say(token, "before")
    await rig.writer.append([Entry(agent, "f", 1, Home.EVENT, future)])
    await rig.say(token, "behind")
    with capture_logs() as logs:
        async with shipping(rig, redis_url) as hands:
            await hands.drainer.shift()
    assert rig.heard(token) == ["before"]
    assert await rig.waiting(token) == 2
    (said,) = (line for line in logs if line["log_level"] == "warning")
    assert (said["event"], said["agent"], said["v"]) == ("a record waits for a newer shipper", agent, 99)


async def test_an_unreadable_record_is_dropped_counted(rig: Rig, redis_url: str) -> None:
    token = await rig.agent()
    await rig.writer.append([Entry(rig.vault.agent_id(token), "x", 1, Home.EVENT, b"junk")])
    await rig.say(token, "behind")
    async with shipping(rig, redis_url) as hands:
        await hands.drainer.shift()
    assert rig.heard(token) == ["behind"]
    assert rig.metric("dropped_total", reason="unreadable") == 1
