"""As an agent's budget shrinks its errors still have room, and its log says what it does not show: real Redis, Coder
double."""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator

import msgspec
import pytest

from common.record import STATUS_VERSION, Aspect, Details, Level, LogRecord, Origin
from common.store.model import Verdict
from console.doubles.coder_control import ClaimPrebuild
from console.doubles.faults import Answer, Drop, Injection
from shipper.budget import RESERVE_BYTES
from shipper.text import budget_line, gap_line, thinned_line
from tests.integration.shipper.rig import BUDGET_BYTES, Rig, record, shipping, until_async

LOGS = {"endpoint": "logs"}
FLOOD_BYTES = 300 * 1024


def passing(number: int, size_bytes: int = 600) -> LogRecord:
    """An Event that is no warning."""
    return record(f"passing-{number}", f"Pulling image {number} ".ljust(size_bytes, "x"))


def killed(number: int, message: str = "") -> LogRecord:
    """A container was killed for its memory, for the time `number` (>= 1)."""
    details = Details(Aspect.ENDED, exit_code=137, restarts=number - 1, limit_bytes=64 << 20)
    return msgspec.structs.replace(
        record("ended", message), v=STATUS_VERSION, origin=Origin.STATUS, version=number, reason="OOMKilled",
        level=Level.ERROR, container="web", details=details,
    )  # fmt: skip


def kills(lines: list[str]) -> list[int]:
    """Of each kill that is among `lines`, how often the container had been started again."""
    return [
        int(found[1] or 0) for line in lines if (found := re.match(r"💥 (?:Restart (\d+) of c|C)ontainer web", line))
    ]


def not_shown(lines: list[str]) -> list[int]:
    """How many the log says that it does not show, in order."""
    found = [re.search(r"^✂️ (\d+)|^🛑.*\((\d+) so far", line) for line in lines]
    return [int(each[1] or each[2]) for each in found if each]


@contextlib.asynccontextmanager
async def served(rig: Rig, redis_url: str) -> AsyncIterator[None]:
    async with shipping(rig, redis_url) as hands:
        working = asyncio.create_task(hands.work())
        try:
            yield
        finally:
            working.cancel()
            await asyncio.gather(working, return_exceptions=True)


async def until_idle(rig: Rig, token: str) -> None:
    """Until nothing of the agent waits, is under way or is to be said."""
    agent = rig.vault.agent_id(token)

    async def idle() -> bool:
        return await rig.client.zscore(rig.keys.due, agent) is None

    await until_async(idle)


async def spent(rig: Rig, token: str) -> int:
    return int((await rig.state(token))["spent"])


async def test_a_crash_loop_that_floods_its_log_shows_every_kill_and_the_last_line(rig: Rig, redis_url: str) -> None:
    token = await rig.agent()
    verdicts: list[Verdict] = []
    kill = 0
    async with served(rig, redis_url):
        for start in range(0, FLOOD_BYTES // 600, 20):
            kill += 1
            verdicts += await rig.tell(token, *(passing(number) for number in range(start, start + 20)), killed(kill))
            await until_idle(rig, token)
        flooded = rig.heard(token)
        assert kills(flooded) == list(range(kill)), "all of them, in order"
        assert not any(line.startswith("🛑") for line in flooded)
        assert BUDGET_BYTES // 2 - 1_000 < await spent(rig, token) < BUDGET_BYTES * 5 // 8
        assert "ended" not in await rig.state(token)
        while Verdict.ENDED not in verdicts:  # now it leaves long last words, too
            kill += 1
            verdicts += await rig.tell(token, passing(10_000 + kill), killed(kill, "panic " * 600))
            await until_idle(rig, token)
    lines = rig.heard(token)
    shown = kills(lines)
    assert shown == list(range(len(shown))), "none is missing before the end"
    assert len(shown) > 40
    assert lines[-1].startswith("🛑 The 256 KiB for Kubernetes messages in this log are used up")
    assert sum(line.startswith("🛑") for line in lines) == 1
    sent_bytes = sum(len(line.encode()) for line in lines)
    assert BUDGET_BYTES - RESERVE_BYTES - 5_000 < sent_bytes <= BUDGET_BYTES
    state = await rig.state(token)
    assert (state["ended"], int(state["spent"])) == ("budget", sent_bytes)
    passed = sum(line.startswith("Pulling") for line in lines)
    unseen = len(verdicts) - verdicts.count(Verdict.ENDED) - passed - len(shown)
    said = not_shown(lines)
    assert said == sorted(set(said))
    assert said[-1] == unseen
    assert rig.metric("dropped_total", reason="budget") + verdicts.count(Verdict.OVER_BUDGET) == unseen


async def test_a_flood_while_no_shipper_is_there_leaves_room_for_what_is_grave(rig: Rig, redis_url: str) -> None:
    token = await rig.agent()
    verdicts = await rig.tell(token, *(passing(number) for number in range(FLOOD_BYTES // 600)))
    refused = verdicts.count(Verdict.OVER_BUDGET)
    assert refused > 100
    assert await rig.tell(token, killed(1), killed(2)) == [Verdict.ACCEPTED] * 2
    async with shipping(rig, redis_url) as hands:
        await hands.drainer.shift()
        assert kills(rig.heard(token)) == [0, 1]
        await rig.tell(token, killed(3))
        await hands.drainer.shift()
    lines, state = rig.heard(token), await rig.state(token)
    assert kills(lines) == [0, 1, 2]
    unseen = len(verdicts) - sum(line.startswith("Pulling") for line in lines)
    assert (int(state["left_out"]), "ended" in state) == (unseen, False)
    assert unseen / 2 < not_shown(lines)[-1] <= unseen


async def test_what_is_left_out_is_counted_once_though_the_answer_is_lost(rig: Rig, redis_url: str) -> None:
    token = await rig.agent()
    await rig.client.hset(rig.keys.facts(rig.vault.agent_id(token)), "spent", str(BUDGET_BYTES // 2))
    rig.coder.faults.add(Injection(Drop(handled=True), where=LOGS))
    await rig.tell(token, passing(1), passing(2), killed(1), passing(3))
    async with shipping(rig, redis_url) as hands:
        await hands.drainer.shift()
    lines = rig.heard(token)
    assert lines[: len(lines) // 2] == lines[len(lines) // 2 :], "the same lines again"
    assert lines[0] == thinned_line(BUDGET_BYTES, 2).text
    assert kills(lines) == [0, 0]
    state = await rig.state(token)
    assert (state["left_out"], state["left_out_said"], state["dropped"]) == ("3", "2", "3")
    assert rig.metric("dropped_total", reason="budget") == 3


async def test_what_is_refused_while_lines_are_held_is_said_with_them(rig: Rig, redis_url: str) -> None:
    token = await rig.agent()
    await rig.tell(token, killed(1))
    await rig.client.hset(rig.keys.facts(rig.vault.agent_id(token)), "spent", str(BUDGET_BYTES * 7 // 8))
    rig.coder.faults.add(Injection(Answer(503), where=LOGS))
    async with shipping(rig, redis_url) as hands:
        await hands.drainer.shift()
        assert await rig.tell(token, passing(1), passing(2)) == [Verdict.OVER_BUDGET] * 2
        await rig.make_due(token)
        await hands.drainer.shift()
    assert kills(rig.heard(token)) == [0]
    assert not_shown(rig.heard(token)) == [2]


async def test_another_log_begins_with_its_own_room_and_says_what_the_one_before_did_not(
    rig: Rig, redis_url: str
) -> None:
    token = await rig.agent()
    await rig.tell(token, killed(1))
    facts = rig.keys.facts(rig.vault.agent_id(token))
    async with shipping(rig, redis_url) as hands:
        await hands.drainer.shift()
        await rig.client.hset(facts, mapping={"spent": str(BUDGET_BYTES // 2), "left_out": "7", "left_out_said": "4"})
        rig.coder.apply(ClaimPrebuild(token))
    async with shipping(rig, redis_url) as hands:  # which does not know the agent, and asks who it is
        await rig.tell(token, passing(1))
        await hands.drainer.shift()
    (_, second) = rig.coder.agents(token)
    assert second.logs[0].output == gap_line(3, "budget").text
    assert second.logs[1].output.startswith("Pulling image 1")
    state = await rig.state(token)
    assert not {"left_out", "left_out_said", "unsaid"} & state.keys()


@pytest.mark.parametrize("answer", [Answer(400, '{"message":"no"}'), Answer(413, "<html>")])
async def test_a_notice_that_coder_does_not_take_ends_nothing(rig: Rig, redis_url: str, answer: Answer) -> None:
    token = await rig.agent()
    await rig.client.hset(rig.keys.facts(rig.vault.agent_id(token)), "spent", str(BUDGET_BYTES * 7 // 8))
    await rig.say(token, "refused at once")
    rig.coder.faults.add(Injection(answer, where=LOGS))
    async with shipping(rig, redis_url) as hands:
        await hands.drainer.shift()
        await rig.tell(token, killed(1))
        await hands.drainer.shift()
    assert kills(rig.heard(token)) == [0]
    assert "ended" not in await rig.state(token)


async def test_errors_alone_end_with_a_last_line_and_never_pass_the_budget(rig: Rig, redis_url: str) -> None:
    token = await rig.agent()
    verdicts: list[Verdict] = []
    number = 0
    async with served(rig, redis_url):
        while Verdict.OVER_BUDGET not in verdicts and Verdict.ENDED not in verdicts:
            records = [killed(number + n, "é" * 900) for n in range(1, 41)]
            number += 40
            verdicts = await rig.tell(token, *records)
            await until_idle(rig, token)
    lines = rig.heard(token)
    (last,) = (line for line in lines if line.startswith("🛑"))
    assert last == lines[-1] == budget_line(BUDGET_BYTES, number - len(kills(lines))).text
    sent_bytes = sum(len(line.encode()) for line in lines)
    assert BUDGET_BYTES - RESERVE_BYTES - 80_000 < sent_bytes <= BUDGET_BYTES
    state = await rig.state(token)
    assert (state["ended"], int(state["spent"])) == ("budget", sent_bytes)
