"""The users for Redis that we ship have the rights that the programs need, and no more."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import redis
from msgspec.structs import replace
from rq import Queue
from rq.serializers import JSONSerializer

from common.bell import Bell
from common.checkup import Mark
from common.ids import AgentId, Uid, Unit
from common.store.checkup import examine_store
from common.store.connect import connect
from common.store.dispatcher import Dispatcher
from common.store.glance import Glance
from common.store.keys import Keys
from common.store.ledger import Ledger
from common.store.model import Vacancy
from common.store.rights import COMMANDS, lacking_rights
from common.store.scripts import SCRIPT_NAMES, load_script
from console.doubles.faults import Answer, Injection
from tests.integration.release.acl import OPERATOR, SHIPPER, WATCHER, Guarded, granted, guarded, users
from tests.integration.release.rig import Release, released
from tests.integration.watcher.rig import until
from tests.redis_builds import NEWEST, OLDEST, RedisBuild
from watcher.shares import SLOTS

URL = "CODER_LOGSTREAM_REDIS_URL"


@pytest.fixture(params=[NEWEST, OLDEST], ids=lambda build: build.name)
def server(request: pytest.FixtureRequest, tmp_path: Path, prefix: str) -> Iterator[Guarded]:
    build: RedisBuild = request.param
    with guarded(build, tmp_path / "redis", prefix) as server:
        yield server


@pytest.fixture
async def release(server: Guarded, prefix: str, tmp_path: Path) -> AsyncIterator[Release]:
    async with released(server.admin_url, prefix, tmp_path) as release:
        yield release


async def watch(release: Release, server: Guarded) -> list[str]:
    """A watcher's whole life: sharing, a clean stop, a crash and a come-back, objects that come and go."""
    environ = {URL: server.url(WATCHER)}
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(release.watcher(**environ))
        await holding(release, 1)
        tokens = [release.workspace(f"pod-{number}", f"ns-{number}") for number in range(3)]
        second = await stack.enter_async_context(release.watcher(**environ))
        await holding(release, 2)
        for number, token in enumerate(tokens):
            release.happen(f"pod-{number}", "told", f"ns-{number}")
            await release.rig.until_said(token, "Pod Created", "Pod  x1")
        await first.stop()
        await holding(release, 1)
        second.process.kill()
        await second.process.wait()
        third = await stack.enter_async_context(release.watcher(**environ))
        await holding(release, 1)
        release.rig.delete("pods", "pod-2", "ns-2")
        await release.rig.until_said(tokens[2], "Pod Created", "Pod  x1", "Pod Deleted")
        await third.stop()
    return tokens


async def holding(release: Release, watchers: int) -> None:
    async def there() -> bool:
        held = await release.rig.client.hvals(release.rig.keys.holders)
        return len(held) == len(SLOTS) and len(set(held)) == watchers

    await until(there)


async def ship(release: Release, server: Guarded, tokens: list[str]) -> None:
    """A shipper's: a backlog, a held agent, requests longer than a lease, foreign jobs, rest, a stop and a restart."""
    rig, environ = release.rig, {URL: server.url(SHIPPER), "CODER_LOGSTREAM_LEASE_S": "1"}
    release.coder.faults.add(Injection(Answer(401), where={"endpoint": "log_source"}))
    release.coder.latency_s = 1.5
    queue = Queue(rig.keys.prefix, connection=redis.Redis.from_url(server.admin_url), serializer=JSONSerializer)
    queue.enqueue("os.getcwd")
    async with release.shipper(**environ) as shipper:
        await until(lambda: delivered(release, tokens))
        release.coder.latency_s = 0
        await asyncio.sleep(3)  # asleep on its wake list, and swept once or twice
        await shipper.stop()
    async with release.shipper(**environ) as shipper:
        await shipper.ready()
        await shipper.stop()


async def delivered(release: Release, tokens: list[str]) -> bool:
    return all(len(release.heard(token)) >= 2 for token in tokens)


async def meet(release: Release, server: Guarded) -> None:
    """Both at once: a line wakes the shipper that sleeps."""
    async with (
        release.watcher(**{URL: server.url(WATCHER)}) as watcher,
        release.shipper(**{URL: server.url(SHIPPER)}) as shipper,
    ):
        token = release.workspace("late")
        for number in range(3):
            release.happen("late", f"told {number}")
            await release.until_heard(token, "🐳 Created pod: late", *(f"told {each}" for each in range(number + 1)))
        await watcher.stop()
        await shipper.stop()


JUSTIFIED = {
    "ping": "after 15 s of silence a connection is tried before it is used",
    "select": "the URL may name another database than 0",
    "client|setinfo": "not on Redis before 7.2; the client library introduces itself",
    "client|setname": "the same",
    "client|info": "the same",
    "rpush": "a shipper rings for another one only when it is full",
}
"""Rights that a run need not have used, and why they are given."""

SCRIPTS = {
    WATCHER: ("register", "append", "release", "hold", "hand_over", "bury", "retire", "save", "advance", "vacate"),
    SHIPPER: ("arrive", "claim", "renew", "settle", "proceed", "leave", "sweep"),
}


def called_by_scripts(user: str) -> set[str]:
    """What the scripts of `user` may call in some branch."""
    bodies = (load_script(name).body for name in SCRIPTS[user])
    return {found.lower() for body in bodies for found in re.findall(r"redis\.call\('([A-Z]+)'", body)}


def test_every_script_is_somebodys() -> None:
    assert sorted(SCRIPTS[WATCHER] + SCRIPTS[SHIPPER]) == sorted(SCRIPT_NAMES)


async def test_each_program_needs_its_rights_and_gets_by_with_them(release: Release, server: Guarded) -> None:
    with server.heard() as watchers:
        tokens = await watch(release, server)
    with server.heard() as shippers:
        await ship(release, server, tokens)
    await meet(release, server)
    assert server.denied() == []
    rules = users(release.rig.keys.prefix)
    for user, used in ((WATCHER, watchers), (SHIPPER, shippers)):
        assert granted(rules[user]) - used - called_by_scripts(user) - JUSTIFIED.keys() == set()


FORBIDDEN = [
    ("GET", "another-key"),
    ("GET", "{another}:digest"),
    ("HGETALL", "rq:worker:x"),
    ("KEYS", "*"),
    ("SCAN", "0"),
    ("FLUSHALL",),
    ("CONFIG", "GET", "*"),
    ("ACL", "LIST"),
    ("EVAL", "return 1", "0"),
    ("MONITOR",),
    ("SUBSCRIBE", "another-channel"),
    ("PUBLISH", "rq:pubsub:x", "stop"),
]


@pytest.mark.parametrize("command", FORBIDDEN, ids=" ".join)
def test_what_is_not_theirs_is_refused(server: Guarded, command: tuple[str, ...]) -> None:
    for user in (WATCHER, SHIPPER, OPERATOR):
        if user != WATCHER and command[0] == "HGETALL":
            continue  # whom they are to know
        with redis.Redis.from_url(server.url(user)) as client, pytest.raises(redis.exceptions.NoPermissionError):
            client.execute_command(*command)


def test_neither_program_can_do_the_others_work(server: Guarded, prefix: str) -> None:
    keys = Keys(prefix)
    agent = AgentId("a" * 32)
    with redis.Redis.from_url(server.url(WATCHER)) as client, pytest.raises(redis.exceptions.NoPermissionError):
        client.xrange(keys.log(agent))
    for key in (keys.objects("pods", "ns"), keys.positions("pods"), keys.holders, keys.marker):
        with redis.Redis.from_url(server.url(SHIPPER)) as client, pytest.raises(redis.exceptions.NoPermissionError):
            client.exists(key)


async def test_a_watcher_may_forget_a_namespace(server: Guarded, prefix: str) -> None:
    """Which needs the namespaces to be selected, and one to go."""
    client = connect(server.url(WATCHER))
    assert await Ledger(client, Keys(prefix)).vacate("pods", Unit("ns")) is Vacancy.VACATED
    await client.aclose()


def test_a_script_gets_no_further_than_its_user(server: Guarded) -> None:
    with redis.Redis.from_url(server.url(WATCHER)) as client:
        sha = client.script_load("return redis.call('GET', 'another-key')")
        with pytest.raises(redis.exceptions.ResponseError, match=r"permission|can.t access"):
            client.evalsha(sha, 0)


SET_UP = {"client|info", "client|setinfo", "client|setname", "hello", "select"}
"""By which the client library makes a connection."""
NOT_IN_MULTI = {"multi", "exec", "watch", "unwatch", "subscribe", "unsubscribe"}


@pytest.mark.parametrize(("program", "user"), [("watcher", WATCHER), ("shipper", SHIPPER)])
async def test_doctor_looks_for_the_rights_that_the_file_gives(
    server: Guarded, prefix: str, program: str, user: str
) -> None:
    assert COMMANDS[program] == granted(users(prefix)[user]) - SET_UP - NOT_IN_MULTI
    async with connect(server.url(user)) as client:
        lacking = await lacking_rights(client, Keys(prefix))
    assert [each for each, rights in lacking.items() if not rights] == [program]


async def test_doctor_names_a_right_that_is_taken_away_and_changes_nothing(server: Guarded, prefix: str) -> None:
    keys = Keys(prefix)
    server.admin.acl_setuser(SHIPPER, enabled=True, commands=["-xtrim", "-zcount"], reset=False, keys=[])
    async with connect(server.url(SHIPPER)) as client:
        assert (await lacking_rights(client, keys))["shipper"] == ["xtrim", "zcount"]
    findings = await examine_store(server.url(SHIPPER), server.url(SHIPPER), keys, [])
    (rights,) = [each for each in findings if each.about == "rights"]
    assert (rights.mark, rights.said) == (Mark.BAD, "this user lacks what a shipper needs: xtrim, zcount")
    assert server.admin.keys() == []


async def test_status_needs_what_the_operator_may_and_sees_all(release: Release, server: Guarded) -> None:
    async with release.watcher() as watcher:
        token = release.workspace("web")
        await release.rig.until_said(token, "Pod Created")
        with server.heard() as commands:
            async with connect(server.url(OPERATOR)) as client:
                glance = Glance(client, release.rig.keys)
                (agent,) = await glance.agents([Uid("none")])
                now_ms = await glance.now_ms()
                tenures, backlog = await glance.tenures(now_ms), await glance.backlog([agent], now_ms)
            bell = Bell(server.url(OPERATOR), release.rig.keys.prefix)
            await bell.unanswered()
            await bell.workers()
        await watcher.stop()
    assert glance.notes == []
    exact = await Dispatcher(release.rig.client, release.rig.keys).backlog()
    assert replace(backlog, oldest_due_s=0.0) == replace(exact, oldest_due_s=0.0)
    assert (agent.waiting_records, agent.known_by) == (1, ())
    assert tenures is not None
    assert [len(each.units) for each in tenures] == [len(SLOTS)]
    assert server.denied() == []
    rules = granted(users(release.rig.keys.prefix)[OPERATOR])
    assert rules - commands - SET_UP - {"ping", "info", "hmget"} == set()


async def test_what_a_programs_user_may_not_see_is_left_out_and_noted(release: Release, server: Guarded) -> None:
    async with release.watcher() as watcher:
        await release.rig.until_said(release.workspace("web"), "Pod Created")
        for user, unseen in ((SHIPPER, "watchers"), (WATCHER, "how many records wait, and since when")):
            async with connect(server.url(user)) as client:
                glance = Glance(client, release.rig.keys)
                agents = await glance.agents()
                assert len(agents) == 1
                assert (await glance.backlog(agents, await glance.now_ms())).waiting_records == 1
                await glance.tenures(await glance.now_ms())
                assert any(note.startswith(f"not shown: {unseen}") for note in glance.notes)
        await watcher.stop()
