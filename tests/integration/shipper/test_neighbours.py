"""What real shipper processes meet in an installation: claimed prebuilds, two kinds of 401, a Redis shared by two."""

from __future__ import annotations

import contextlib
from pathlib import Path

import redis

from console.doubles.coder import CoderDouble
from console.doubles.coder_control import AddAgent, ClaimPrebuild, MakeReady
from console.doubles.faults import Answer, Injection
from tests.integration.shipper.process import Stage, feeding, shipper, staged, worker_state
from tests.integration.shipper.rig import until, until_async

FOR_EVER = 1_000_000
FULL = Answer(413, '{"message":"Logs limit exceeded"}')
LOGIN_PAGE = Answer(401, "<!doctype html><title>Sign in</title>", {"Content-Type": "text/html"})


def heard_by_each(stage: Stage, token: str) -> list[list[str]]:
    """What stands in the log of each agent that `token` ever had."""
    return [[log.output for log in agent.logs] for agent in stage.rig.coder.agents(token)]


async def settled(stage: Stage, token: str) -> dict[str, str]:
    """The facts of an agent for which nothing waits."""

    async def look() -> bool:
        claimed = await stage.rig.client.sismember(stage.rig.keys.claimed, stage.rig.vault.agent_id(token))
        return not claimed and not await stage.rig.waiting(token)

    await until_async(look)
    return await stage.rig.state(token)


# -- prebuilt workspaces


async def test_a_claimed_prebuild_whose_quota_ran_out_starts_anew(tmp_path: Path, redis_url: str, prefix: str) -> None:
    async with staged(tmp_path, redis_url, prefix) as stage:
        token = await stage.rig.agent()
        await stage.say(token, "a line of the prebuild's")
        before = await settled(stage, token)
        stage.rig.coder.apply(ClaimPrebuild(token))
        stage.rig.coder.faults.add(Injection(FULL, where={"endpoint": "logs"}))
        await stage.say(token, "after")
        after = await settled(stage, token)
        assert heard_by_each(stage, token) == [["a line of the prebuild's"], ["after"]]
        new = stage.rig.coder.agents(token)[-1]
        assert [len(new.sources), new.id] == [1, after["source"]]
        assert before["source"] != after["source"]
        assert (before["spent"], after["spent"]) == (str(len("a line of the prebuild's")), str(len("after")))
        assert "ended" not in after
        assert await stage.shipper.metric('dropped_total{reason="quota"}') == 0


async def test_a_claimed_prebuild_is_noticed_after_a_quiet_spell(tmp_path: Path, redis_url: str, prefix: str) -> None:
    async with CoderDouble() as double, feeding(redis_url, prefix, double) as feed:
        token = await feed.rig.agent()
        async with shipper(tmp_path, double.url, redis_url, prefix, feed.key) as process:
            await feed.say(token, "before")
            before = await settled(Stage(feed, process), token)
            await process.stop()
        double.apply(ClaimPrebuild(token))
        # To a process that has not heard of the agent, every spell was a quiet one.
        async with shipper(tmp_path, double.url, redis_url, prefix, feed.key) as process:
            await feed.say(token, "after")
            after = await settled(Stage(feed, process), token)
        assert [len(agent.sources) for agent in double.agents(token)] == [1, 1]
        assert [after["source"], after["spent"]] == [double.agents(token)[-1].id, str(len("after"))]
        assert before["source"] != after["source"]


async def test_a_claimed_prebuild_that_is_not_ready_yet_gets_what_waited_in_its_new_log(
    tmp_path: Path, redis_url: str, prefix: str
) -> None:
    async with staged(tmp_path, redis_url, prefix) as stage:
        token = await stage.rig.agent()
        await stage.say(token, "before")
        await settled(stage, token)
        stage.rig.coder.apply(AddAgent(token, ready=False))
        await stage.say(token, "one", "two")
        await until(lambda: stage.rig.coder.totals().requests.get("logs 401") == 1)
        await until(lambda: stage.rig.coder.totals().requests.get("log_source 401", 0) >= 1)
        await stage.rig.say(token, "three")
        stage.rig.coder.apply(MakeReady(token))
        state = await settled(stage, token)
        assert heard_by_each(stage, token) == [["before"], ["one", "two", "three"]]
        assert state["source"] == stage.rig.coder.agents(token)[-1].id
        assert stage.rig.coder.totals().requests["logs 401"] == 1  # a held agent is asked about by POST only


# -- mixed 401s


async def test_only_coders_own_401_counts_towards_the_window(tmp_path: Path, redis_url: str, prefix: str) -> None:
    extra = {"CODER_LOGSTREAM_UNAUTHORIZED_WINDOW_S": "2"}
    async with staged(tmp_path, redis_url, prefix, extra) as stage:
        double = stage.rig.coder
        gone, behind = await stage.rig.agent(known=False), await stage.rig.agent()
        double.faults.add(Injection(LOGIN_PAGE, FOR_EVER, {"token": behind}))
        await stage.say(behind, "one")
        await stage.say(gone, "never shown", "nor this")
        await until_async(lambda: has_dropped(stage, "unauthorized", 2))
        # The proxy's refusals went on for as long, and end when the proxy is mended.
        assert await stage.rig.waiting(behind) == 1
        assert (await stage.rig.state(behind))["held_why"] == "not_coder"
        double.faults.clear()
        await until(lambda: stage.rig.heard(behind) == ["one"])
        assert (await settled(stage, gone))["ended"] == "unauthorized"
        assert await stage.shipper.metric('dropped_total{reason="not_coder"}') == 0


async def test_401s_of_coder_and_of_a_proxy_in_turn_end_in_one_delivery(
    tmp_path: Path, redis_url: str, prefix: str
) -> None:
    async with staged(tmp_path, redis_url, prefix) as stage:
        double = stage.rig.coder
        token = await stage.rig.agent(ready=False)
        double.faults.add(Injection(LOGIN_PAGE, where={"endpoint": "log_source"}))
        await stage.say(token, "one", "two")
        await until_async(lambda: held_for(stage, token, "not_coder"))
        await until_async(lambda: held_for(stage, token, "unauthorized"))
        double.faults.add(Injection(LOGIN_PAGE, where={"endpoint": "log_source"}))
        await until_async(lambda: held_for(stage, token, "not_coder"))
        double.apply(MakeReady(token))
        await until(lambda: len(stage.rig.heard(token)) == 2)
        state = await settled(stage, token)
        assert stage.rig.heard(token) == ["one", "two"]
        assert "held_since" not in state
        assert "dropped" not in state


async def has_dropped(stage: Stage, reason: str, records: int) -> bool:
    return await stage.shipper.metric(f'dropped_total{{reason="{reason}"}}') == records


async def held_for(stage: Stage, token: str, why: str) -> bool:
    return (await stage.rig.state(token)).get("held_why") == why


# -- one Redis, two releases


async def test_two_releases_on_one_redis_serve_their_own_and_leave_each_other_alone(
    tmp_path: Path, redis_url: str, prefix: str
) -> None:
    ours, theirs = prefix, f"{prefix}.other"
    async with contextlib.AsyncExitStack() as stack:
        stages = []
        for each in (ours, theirs):
            double = await stack.enter_async_context(CoderDouble())
            feed = await stack.enter_async_context(feeding(redis_url, each, double))
            process = await stack.enter_async_context(shipper(tmp_path, double.url, redis_url, each, feed.key))
            stages.append(Stage(feed, process))
        one, other = stages
        tokens = [await one.rig.agent() for _ in range(5)], [await other.rig.agent() for _ in range(5)]
        for stage, own in zip(stages, tokens, strict=True):
            for token in own:
                await stage.say(token, "one", "two")
        for stage, own in zip(stages, tokens, strict=True):
            await until(lambda s=stage, o=own: all(s.rig.heard(t) == ["one", "two"] for t in o))  # type: ignore[misc]
            refused = [name for name in stage.rig.coder.totals().requests if " 401" in name]
            assert refused == []  # no token of the other's came here
        assert queues(redis_url) >= {ours, theirs}
        await until(lambda: {worker_state(redis_url, each) for each in (ours, theirs)} == {b"idle"})
        # One goes: its bells and lines wait, and the other neither takes them nor stops.
        await one.shipper.stop()
        await one.say(tokens[0][0], "for later")
        await other.say(tokens[1][0], "three")
        await until(lambda: other.rig.heard(tokens[1][0]) == ["one", "two", "three"])
        assert await one.bell.unanswered() == 1
        assert await one.rig.waiting(tokens[0][0]) == 1
        async with shipper(tmp_path, one.rig.coder.url, redis_url, ours, one.key):
            await until(lambda: one.rig.heard(tokens[0][0]) == ["one", "two", "for later"])
        await other.shipper.stop()


def queues(redis_url: str) -> set[str]:
    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        return {str(key).removeprefix("rq:queue:") for key in client.smembers("rq:queues")}
