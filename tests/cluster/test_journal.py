"""The journal of Coder's double: by which door a request came, and what became of it. No cluster needed."""

import asyncio
import uuid

import aiohttp

from console.doubles.coder_control import SetLatency
from tests.cluster.fleet_rig import DooredCoder
from tests.cluster.harness import eventually
from tests.cluster.journal import JournalCoder, Request

LOGS = "/api/v2/workspaceagents/me/logs"
BODY = {"logs": [{"output": "one"}, {"output": "two"}]}


async def test_a_request_is_written_down_with_its_door_and_its_lines_instant() -> None:
    async with JournalCoder() as double, aiohttp.ClientSession() as session:
        coder, token = DooredCoder(double.url), str(uuid.uuid4())
        double.state.add_agent(token)
        doors = [await coder.open_door() for _ in range(2)]
        for door, path in ((doors[1], "/api/v2/buildinfo"), (doors[0], LOGS), (doors[1], LOGS)):
            method = "PATCH" if path == LOGS else "GET"
            headers = {"Coder-Session-Token": token} if path == LOGS else {}
            async with session.request(method, door + path, json=BODY, headers=headers) as answer:
                assert answer.status == 200

        async def ended() -> list[Request]:
            return await coder.journal()

        journal = await eventually(ended, lambda seen: all(each.ended_ns for each in seen))
        one, two = (int(door.rpartition(":")[2]) for door in doors)
        assert [(each.door, each.token) for each in journal] == [(two, ""), (one, token), (two, token)]
        assert all(each.answered for each in journal)
        stored = [log.received_unix_ns for log in double.agents(token)[0].logs]
        assert [journal[1].took_ns] * 2 + [journal[2].took_ns] * 2 == stored
        assert journal[0].took_ns == 0
        assert journal[1].came_ns <= journal[1].took_ns <= (journal[1].ended_ns or 0) <= journal[2].came_ns


async def test_a_sender_that_goes_away_got_no_answer() -> None:
    async with JournalCoder() as double, aiohttp.ClientSession() as session:
        coder, token = DooredCoder(double.url), str(uuid.uuid4())
        double.state.add_agent(token)
        double.apply(SetLatency(60.0, token))
        url = await coder.open_door() + LOGS
        asking = asyncio.create_task(session.patch(url, json=BODY, headers={"Coder-Session-Token": token}))
        await eventually(coder.journal, lambda seen: len(seen) == 1)
        asking.cancel()
        journal = await eventually(coder.journal, lambda seen: seen[0].ended_ns is not None)
        assert (journal[0].answered, journal[0].took_ns) == (False, 0)
