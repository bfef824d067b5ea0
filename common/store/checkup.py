"""Look at a Redis as watcher and shipper would use it, and say what it lacks. Changes nothing in it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

import redis.asyncio

from common.bell import Bell
from common.checkup import Area, Finding, bad, doubt, fine
from common.crypto import WrongTokenKey
from common.ids import AgentId
from common.settings.token_keys import PLAINTEXT_KEY
from common.store.connect import (
    SCHEMA,
    connect,
    redacted_url,
    refuse_schema,
    refuse_server,
    server_name,
    translated,
)
from common.store.errors import StoreError, StoreFull
from common.store.fitness import (
    eviction_finding,
    history_finding,
    memory_finding,
    persistence_finding,
    rights_finding,
    role_finding,
)
from common.store.keys import Keys
from common.store.model import Entry, Home, Verdict
from common.store.rights import lacking_rights
from common.store.writer import AgentWriter

__all__ = ["examine_store"]

_R: Final = Area.REDIS
_NOBODY: Final = AgentId("0" * 32)
_SECTIONS: Final = ("replication", "persistence", "memory")


async def examine_store(url: str, queue_url: str, keys: Keys, token_keys: Sequence[str]) -> list[Finding]:
    """All that there is to say about the Redis at `url` and, if it is another, that of the queue."""
    shown = redacted_url(url)
    async with connect(url) as client:
        try:
            with translated("asking Redis"):
                info = await client.info("server")
        except StoreError as error:
            return [bad(_R, "address", f"{shown}: {error}", "is --redis-url right, and does the server run there?")]
        findings = [fine(_R, "address", f"{shown} answers")]
        try:
            refuse_server(info)
        except StoreError as error:
            said, _, remedy = str(error).rpartition("; ")
            return [*findings, bad(_R, "version", said, remedy)]
        findings.append(fine(_R, "version", server_name(info)))
        try:
            findings += await _facts(client)
            rights = rights_finding(await lacking_rights(client, keys))
            findings += [rights, *await _scripts(client, keys), await _schema(client, keys)]
            findings.append(await _token_key(client, keys, token_keys))
        except StoreError as error:
            findings.append(bad(_R, "data", str(error), "see Redis' log, and the rights of this user"))
    findings.append(await _queue(queue_url, keys, elsewhere=queue_url != url))
    return findings


async def _facts(client: redis.asyncio.Redis) -> list[Finding]:
    told: dict[str, Any] = {}
    with translated("asking Redis"):
        for section in _SECTIONS:
            told |= await client.info(section)
    seldom = [each for each in (role_finding(told), history_finding(told)) if each is not None]
    return [*seldom, persistence_finding(told), eviction_finding(told), memory_finding(told)]


async def _scripts(client: redis.asyncio.Redis, keys: Keys) -> list[Finding]:
    """Run one that finds nothing to do: it appends to an agent that nobody registered."""
    writer = AgentWriter(client, keys, budget_bytes=1)
    try:
        appended = await writer.append([Entry(_NOBODY, "doctor", 1, Home.EVENT, b"")])
    except StoreFull as error:
        return [doubt(_R, "scripts", str(error), "see memory above")]
    except StoreError as error:
        return [bad(_R, "scripts", f"cannot be run: {error}", "EVALSHA and SCRIPT LOAD have to be allowed")]
    if appended.verdicts != [Verdict.UNKNOWN_AGENT]:
        return [bad(_R, "scripts", f"answer {appended.verdicts[0]!r} for nobody", "is the prefix another program's?")]
    return [fine(_R, "scripts", "run")]


async def _schema(client: redis.asyncio.Redis, keys: Keys) -> Finding:
    with translated("reading the schema"):
        kept = await client.get(keys.schema)
    if kept is None:
        return fine(_R, "schema", f"no data under prefix {keys.prefix} yet")
    text = kept.decode(errors="replace") if isinstance(kept, bytes) else kept
    try:
        refuse_schema(keys, text)
    except StoreError as error:
        said, _, remedy = str(error).rpartition("; ")
        return bad(_R, "schema", said, remedy)
    return fine(_R, "schema", f"{text} under prefix {keys.prefix}; this program's is {SCHEMA}")


async def _token_key(client: redis.asyncio.Redis, keys: Keys, token_keys: Sequence[str]) -> Finding:
    area, about = Area.TOKEN_KEY, "token key"
    with translated("reading the digest key"):
        wrapped = await client.get(keys.digest)
    if not token_keys:
        remedy = "give the programs' CODER_LOGSTREAM_TOKEN_KEY or --token-key-file to have it looked at"
        return doubt(area, about, "none is given here", remedy)
    if not isinstance(wrapped, bytes):
        return fine(area, about, "given; nothing is sealed with one yet")
    trouble = WrongTokenKey.unless_fits(keys, token_keys, wrapped)
    if trouble is not None:
        said, remedy = re.split("[;:] ", str(trouble), maxsplit=1)
        return bad(area, about, said, remedy)
    if token_keys[0] == PLAINTEXT_KEY:
        return doubt(area, about, "none: tokens are stored as good as in plain text", "give the programs a token key")
    return fine(area, about, "fits the data")


async def _queue(url: str, keys: Keys, *, elsewhere: bool) -> Finding:
    """The queue of bells."""
    where = f"{redacted_url(url)}: " if elsewhere else ""
    try:
        if elsewhere:
            async with connect(url) as client:
                with translated("asking the queue's Redis"):
                    refuse_server(await client.info("server"))
        count = await Bell(url, keys.prefix).unanswered()
    except StoreError as error:
        return bad(_R, "queue", f"{where}{error}", "is --queue-url right? Without it the queue is at --redis-url")
    return fine(_R, "queue", f"{where}{count} bells are unanswered")
