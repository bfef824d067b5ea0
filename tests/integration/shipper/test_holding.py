"""Lines that Coder does not take yet: they wait, nobody is hammered, and windows end in counted drops."""

import asyncio
import ssl
import time
import uuid

import pytest

from common.store.model import Verdict
from console.doubles.coder_control import MakeReady, SetRateLimit
from console.doubles.faults import Answer, Drop, Hang, Injection
from shipper.coder import Coder
from shipper.hello import Greeted, Unmet, greet
from shipper.hold import Windows
from shipper.outcome import Call, NoAnswer, Sent
from shipper.reasons import Reason
from shipper.text import gap_line
from tests.integration.shipper.rig import Rig, shipping, until, until_async
from tests.servers import free_port

LOGIN_PAGE = Answer(401, "<html>sign in</html>")


def requests(rig: Rig, prefix: str) -> int:
    return sum(count for name, count in rig.coder.totals().requests.items() if name.startswith(prefix))


async def is_released(rig: Rig, token: str) -> bool:
    return "held_since" not in await rig.state(token)


async def test_lines_of_an_unfinished_build_wait_and_then_arrive_in_order(rig: Rig, redis_url: str) -> None:
    token = await rig.agent(ready=False)
    await rig.say(token, "one")
    async with shipping(rig, redis_url) as hands, asyncio.TaskGroup() as tasks:
        work = tasks.create_task(hands.work())
        await until(lambda: requests(rig, "log_source 401") >= 2)
        await rig.say(token, "two")
        rig.coder.apply(MakeReady(token))
        await until(lambda: len(rig.heard(token)) == 2)
        await until_async(lambda: is_released(rig, token))
        work.cancel()
    assert rig.heard(token) == ["one", "two"]
    assert requests(rig, "logs 401") == 0  # a held agent is asked about by POST only


async def test_an_unknown_agent_is_given_up_after_the_window_and_probed_later(rig: Rig, redis_url: str) -> None:
    token = await rig.agent(known=False)
    await rig.say(token, "one", "two")
    async with shipping(rig, redis_url, windows=Windows(unauthorized_s=0.5)) as hands:
        await hands.drainer.shift()
    assert await rig.waiting(token) == 0
    assert rig.metric("dropped_total", reason="unauthorized") == 2
    state = await rig.state(token)
    assert state["ended"] == "unauthorized"
    assert int(state["retry_at"]) > 0
    assert await rig.say(token, "three") == [Verdict.ENDED]


async def test_a_proxys_401_is_held_past_coders_window(rig: Rig, redis_url: str) -> None:
    token = await rig.agent()
    await rig.say(token, "one")
    rig.coder.faults.add(Injection(LOGIN_PAGE, times=3, where={"endpoint": "log_source"}))
    async with shipping(rig, redis_url, windows=Windows(unauthorized_s=0.1, unreachable_s=0.1)) as hands:
        await hands.drainer.shift()
    assert requests(rig, "log_source 401") == 3
    assert rig.heard(token) == ["one"]


async def test_mixed_401s_end_in_delivery_when_the_agent_is_ready(rig: Rig, redis_url: str) -> None:
    token = await rig.agent(ready=False)
    await rig.say(token, "one")
    rig.coder.faults.add(Injection(LOGIN_PAGE, times=1, where={"endpoint": "log_source"}))
    async with shipping(rig, redis_url) as hands, asyncio.TaskGroup() as tasks:
        work = tasks.create_task(hands.work())
        await until(lambda: requests(rig, "log_source 401") >= 2)
        rig.coder.apply(MakeReady(token))
        await until(lambda: rig.heard(token) == ["one"])
        work.cancel()


async def test_an_unreachable_coder_holds_lines_until_its_window_is_over(rig: Rig, redis_url: str) -> None:
    token = await rig.agent()
    await rig.say(token, "one")
    nobody = f"http://127.0.0.1:{free_port()}"
    async with shipping(rig, redis_url, url=nobody, windows=Windows(unreachable_s=0.5)) as hands:
        await hands.drainer.shift()
    assert rig.metric("dropped_total", reason="unreachable") == 1
    state = await rig.state(token)
    assert "ended" not in state  # it is nothing about the agent
    assert "held_since" not in state


@pytest.mark.parametrize("fault", [Drop(handled=True), Hang(handled=True)])
async def test_an_unknown_outcome_is_sent_again_and_nothing_is_lost(
    rig: Rig, redis_url: str, fault: Drop | Hang
) -> None:
    token = await rig.agent()
    await rig.say(token, "one", "two")
    rig.coder.faults.add(Injection(fault, where={"endpoint": "logs"}))
    async with shipping(rig, redis_url, timeout_s=3.0) as hands:
        await hands.drainer.shift()
    assert rig.heard(token) == ["one", "two"] * 2  # the repeat that Coder's API leaves no way to avoid
    assert rig.coder.totals().repeated_lines == 2


async def test_the_rate_limit_is_not_met_and_nothing_is_lost_by_it(rig: Rig, redis_url: str) -> None:
    rig.coder.apply(SetRateLimit(60, window_s=5))
    tokens = [await rig.agent() for _ in range(40)]
    for token in tokens:
        await rig.say(token, "one", "two")
    async with shipping(rig, redis_url, concurrency=10) as hands, asyncio.TaskGroup() as tasks:
        work = tasks.create_task(hands.work())
        await until(lambda: all(len(rig.heard(token)) == 2 for token in tokens))
        work.cancel()
    assert requests(rig, "logs 429") + requests(rig, "log_source 429") <= 2


async def test_a_429_rests_until_the_reset_not_for_retry_after(rig: Rig, redis_url: str) -> None:
    token = await rig.agent()
    await rig.say(token, "one")
    headers = {
        "Retry-After": "60",
        "X-RateLimit-Limit": "512",
        "X-RateLimit-Remaining": "0",
        "X-RateLimit-Reset": str(int(time.time()) + 1),
    }
    rig.coder.faults.add(Injection(Answer(429, "", headers), where={"endpoint": "logs"}))
    async with shipping(rig, redis_url) as hands, asyncio.TaskGroup() as tasks:
        work = tasks.create_task(hands.work())
        await until(lambda: rig.heard(token) == ["one"])
        work.cancel()


async def test_without_quota_for_its_source_a_new_agent_speaks_first_and_registers_later(
    rig: Rig, redis_url: str
) -> None:
    token = await rig.agent()
    await rig.say(token, "one")
    rig.coder.faults.add(Injection(Answer(429, "", {"Retry-After": "1"}), where={"endpoint": "log_source"}))
    async with shipping(rig, redis_url) as hands:
        await hands.drainer.shift()
        assert rig.heard(token) == ["one"]
        assert rig.coder.agents(token)[0].sources == []
        source = hands.pace.paths[Call.LOG_SOURCE]
        await until(lambda: source.wait_s(time.monotonic()) == 0.0)
        await rig.say(token, "two")
        await hands.drainer.shift()
    assert rig.heard(token) == ["one", "two"]
    assert len(rig.coder.agents(token)[0].sources) == 1


async def test_a_429_keeps_the_lines_without_beginning_a_hold(rig: Rig, redis_url: str) -> None:
    token = await rig.agent()
    await rig.say(token, "one")
    rig.coder.faults.add(Injection(Answer(429, "", {"Retry-After": "1"}), where={"endpoint": "logs"}))
    async with shipping(rig, redis_url) as hands:
        await hands.drainer.shift()
    assert rig.heard(token) == ["one"]
    assert "held_since" not in await rig.state(token)


async def test_a_failing_database_is_told_from_a_poison_line(rig: Rig, redis_url: str) -> None:
    token = await rig.agent()
    await rig.say(token, "one")
    async with shipping(rig, redis_url) as hands:
        await hands.drainer.shift()
        await rig.say(token, "two")
        # After four tries the fifth is one too many: is it the line, or the database?
        failed = Answer(500, '{"message":"Failed to upload logs"}')
        rig.coder.faults.add(Injection(failed, times=5, where={"endpoint": "logs"}))
        rig.coder.faults.add(Injection(Answer(500, "no database"), where={"endpoint": "log_source"}))
        async with asyncio.timeout(60):
            while len(rig.heard(token)) < 2:
                await hands.drainer.shift()
                await rig.make_due(token)
    assert rig.heard(token) == ["one", "two"]
    assert requests(rig, "log_source 500") == 1
    assert rig.metric("dropped_total", reason="upload_failed") == 0


async def test_a_line_that_no_database_takes_is_dropped_alone(rig: Rig, redis_url: str) -> None:
    token = await rig.agent()
    await rig.say(token, "poison")
    failed = Answer(500, '{"message":"Failed to upload logs"}')
    rig.coder.faults.add(Injection(failed, times=5, where={"endpoint": "logs"}))
    async with shipping(rig, redis_url) as hands:
        async with asyncio.timeout(60):
            while await rig.waiting(token):
                await hands.drainer.shift()
                await rig.make_due(token)
        await rig.say(token, "fine")
        await hands.drainer.shift()
    assert rig.heard(token) == [gap_line(1, Reason.UPLOAD_FAILED).text, "fine"]
    assert rig.metric("dropped_total", reason="upload_failed") == 1


async def test_a_tls_failure_and_a_wrong_url_are_named(rig: Rig) -> None:
    trust = ssl.create_default_context()
    async with Coder(rig.coder.url.replace("http:", "https:"), trust, timeout_s=20, connections=1) as coder:
        greeting = greet(await coder.buildinfo(), "https://coder")
        assert isinstance(greeting, Unmet)
        assert "TLS" in greeting.trouble
    async with Coder(f"{rig.coder.url}/wrong", trust, timeout_s=20, connections=1) as coder:
        greeting = greet(await coder.buildinfo(), "http://coder/wrong")
        assert isinstance(greeting, Unmet)
        assert "answers 404" in greeting.trouble


async def test_requests_go_through_a_proxy(rig: Rig) -> None:
    trust = ssl.create_default_context()
    async with Coder(
        "http://coder.invalid", trust, timeout_s=20, connections=1, proxy=f"http://user:pass@{rig.coder.url[7:]}"
    ) as coder:
        assert isinstance(greet(await coder.buildinfo(), "http://coder.invalid"), Greeted)
    async with Coder(
        "http://coder.invalid", trust, timeout_s=20, connections=1, proxy=f"http://user:pass@127.0.0.1:{free_port()}"
    ) as coder:
        reply = await coder.buildinfo()
        assert isinstance(reply, NoAnswer)
        assert reply.sent is Sent.NO
        assert "pass" not in reply.why


async def test_no_error_text_holds_a_token(rig: Rig) -> None:
    token = str(uuid.uuid4())
    async with Coder(
        f"http://127.0.0.1:{free_port()}", ssl.create_default_context(), timeout_s=20, connections=1
    ) as coder:
        reply = await coder.register_source(token)
    assert token not in repr(reply)
    assert token not in repr(coder)
