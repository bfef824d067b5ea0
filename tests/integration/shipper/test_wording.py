"""Hidden records and hints on their whole way: real Redis, Coder double."""

import msgspec

from common.record import Level, LogRecord, encode_record
from common.store.model import Entry, Home
from common.wording.table import Sheet, Wording
from tests.integration.shipper.rig import Rig, record, shipping

HERE = 'Container image "a:1" already present on machine'


async def say(rig: Rig, token: str, identity: str, message: str, **fields: object) -> None:
    told: LogRecord = msgspec.structs.replace(record(identity, message), component="kubelet", **fields)
    entry = Entry(rig.vault.agent_id(token), identity, told.version, Home.EVENT, encode_record(told))
    await rig.writer.append([entry])


async def deliver(rig: Rig, redis_url: str) -> None:
    async with shipping(rig, redis_url) as hands:
        await hands.drainer.shift()


async def test_what_is_hidden_is_settled_in_its_place_and_counted(rig: Rig, redis_url: str) -> None:
    token = await rig.agent()
    await say(rig, token, "e1", HERE, reason="Pulled")
    await say(rig, token, "e2", "one")
    await say(rig, token, "e3", HERE, reason="Pulled")
    await say(rig, token, "e4", "two")
    await deliver(rig, redis_url)
    assert rig.heard(token) == ["one", "two"]
    assert await rig.waiting(token) == 0
    assert rig.metric("hidden_total", by="entry") == 2
    assert rig.metric("dropped_total", reason="unreadable") == 0
    assert "dropped" not in await rig.state(token)


async def test_nothing_but_hidden_records_makes_no_request_with_lines(rig: Rig, redis_url: str) -> None:
    token = await rig.agent()
    await say(rig, token, "e1", HERE, reason="Pulled")
    await deliver(rig, redis_url)
    assert await rig.waiting(token) == 0
    assert [name for name in rig.coder.totals().requests if name.startswith("logs")] == []
    assert rig.metric("hidden_total", by="entry") == 1


async def test_a_level_that_is_wanted_least_hides_what_is_below(rig: Rig, redis_url: str) -> None:
    token = await rig.agent()
    await say(rig, token, "e1", "quiet")
    await say(rig, token, "e2", "loud", level=Level.WARN)
    async with shipping(rig, redis_url, wording=Wording([Sheet(minimum_level=Level.INFO)])) as hands:
        await hands.drainer.shift()
    assert rig.heard(token) == ["loud"]
    assert rig.metric("hidden_total", by="level") == 1


async def test_a_hint_is_told_once_to_an_agent_whoever_serves_it(rig: Rig, redis_url: str) -> None:
    token, other = await rig.agent(), await rig.agent()
    failed = {"reason": "FailedCreate", "level": Level.WARN}
    for number in range(3):
        for each in (token, other):
            name = f"web-{number}"
            await say(rig, each, f"e{number}", f'pods "{name}" is forbidden: exceeded quota: q', **failed)
        await deliver(rig, redis_url)  # a new shipper each time
    for each in (token, other):
        marks = [line[:1] for line in rig.heard(each)]
        assert marks == ["F", "💡", "🔧", "F", "F"]
