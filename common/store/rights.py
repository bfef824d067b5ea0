"""Which of the rights that a program needs a Redis user lacks, found out without doing anything.

A command inside of MULTI is judged by the access rules when it is queued. Nothing is ever executed: the connection is
closed before EXEC. common/store/redis-users.acl grants the same to people's users; a test holds both together.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import redis.asyncio
from redis import exceptions

from common.ids import AgentId, DrainerId, Unit
from common.store.connect import translated
from common.store.keys import Keys

__all__ = ["COMMANDS", "lacking_rights"]

_SHARED: Final = frozenset((
    "evalsha", "exists", "expire", "get", "hdel", "hget", "hgetall", "hincrby", "hmget", "hset", "info", "llen",
    "lpush", "persist", "pexpire", "ping", "rpush", "sadd", "script|load", "set", "time", "xadd", "zadd", "zcard",
    "zpopmax", "zrange", "zrem", "zremrangebyscore",
))  # fmt: skip
COMMANDS: Final[Mapping[str, frozenset[str]]] = {
    "watcher": _SHARED | {"expireat", "hsetnx", "zscore"},
    "shipper": _SHARED | {
        "blmove", "blpop", "del", "hincrbyfloat", "lrange", "lrem", "scard", "sismember", "smembers", "srem", "xlen",
        "xrange", "xtrim", "zcount", "zrangebyscore",
    },
}  # fmt: skip
"""What each program does, but for what a connection is set up with and what MULTI does not take."""

_REST: Final[Mapping[str, str]] = {
    "blpop": "KEY 0.01", "blmove": "KEY KEY LEFT RIGHT 0.01", "evalsha": "0000 0", "expire": "KEY 1",
    "expireat": "KEY 1", "hdel": "KEY f", "hget": "KEY f", "hincrby": "KEY f 1", "hincrbyfloat": "KEY f 1",
    "hmget": "KEY f", "hset": "KEY f v", "hsetnx": "KEY f v", "info": "", "lpush": "KEY v", "lrange": "KEY 0 0",
    "lrem": "KEY 0 v", "pexpire": "KEY 1", "ping": "", "rpush": "KEY v", "sadd": "KEY m", "script|load": "return",
    "set": "KEY v", "sismember": "KEY m", "srem": "KEY m", "time": "", "xadd": "KEY * f v", "xrange": "KEY - +",
    "xtrim": "KEY MAXLEN 0", "zadd": "KEY 0 m", "zcount": "KEY 0 0", "zrange": "KEY 0 0", "zrangebyscore": "KEY 0 0",
    "zrem": "KEY m", "zremrangebyscore": "KEY 0 0", "zscore": "KEY m",
}  # fmt: skip
"""What follows a command that does not take one key alone."""


async def lacking_rights(client: redis.asyncio.Redis, keys: Keys) -> dict[str, list[str]]:
    """By program: the commands and keys that it needs and the user of `client` has no right to. Raises `StoreError`."""
    pool = client.connection_pool
    with translated("asking for rights"):
        connection = await pool.get_connection()  # type: ignore[no-untyped-call]
        try:
            await connection.send_command("MULTI")
            if not await _granted(connection):
                return {program: ["multi"] for program in COMMANDS}
            lacking = {}
            for program, commands in COMMANDS.items():
                own = _keys_of(program, keys)
                asked = [(name, _words(name, own[0])) for name in sorted(commands)]
                asked += [(f"key {key}", ["exists", key]) for key in own]
                lacking[program] = [what for what, words in asked if not await _may(connection, words)]
            return lacking
        finally:
            await connection.disconnect()  # with it goes all that was queued
            await pool.release(connection)


async def _may(connection: redis.asyncio.Connection, words: list[str]) -> bool:
    await connection.send_command(*words)
    return await _granted(connection)


async def _granted(connection: redis.asyncio.Connection) -> bool:
    try:
        await connection.read_response()
    except exceptions.NoPermissionError:
        return False
    except exceptions.ResponseError:
        return True  # memory that is full, say: the right is there
    return True


def _words(command: str, key: str) -> list[str]:
    return [*command.split("|"), *(key if word == "KEY" else word for word in _REST.get(command, "KEY").split())]


def _keys_of(program: str, keys: Keys) -> list[str]:
    """One of each kind that `program` uses."""
    agent = AgentId("0" * 32)
    shared = [
        keys.facts(agent), keys.agent(agent), keys.log(agent), keys.seen(agent, 0), keys.due, keys.epoch, keys.looking,
        keys.asleep, keys.rung, keys.census, keys.digest, keys.schema, keys.wake(DrainerId("none")),
        "rq:queues", f"rq:queue:{keys.prefix}", "rq:job:none",
    ]  # fmt: skip
    if program == "shipper":
        return [*shared, keys.claimed, "rq:workers", f"rq:workers:{keys.prefix}", "rq:worker:none"]
    memory = [make("pods") for make in (keys.positions, keys.floors)]
    own = [
        keys.marker,
        keys.holders,
        keys.terms,
        keys.reigns,
        keys.watchers("none"),
        keys.objects("pods", Unit("none")),
    ]
    return [*shared, *memory, *own]
