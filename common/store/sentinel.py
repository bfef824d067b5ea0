"""Clients that ask Sentinel where the primary is, each time they connect, and follow it when it has moved.

Most fail-overs end our connections: the primary is dead, or Sentinel cuts its clients off when it makes a replica of
it. One that only the Sentinels cannot reach any more would keep ours for as long as it lasts, and take writes that are
thrown away later. So Sentinel is asked now and then, too (`follow`).
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
from typing import Any, Final

import redis
import redis.asyncio
import redis.asyncio.sentinel
import redis.sentinel
import structlog
from redis import exceptions
from redis.asyncio.connection import parse_url

from common.clock import Clock
from common.store.address import SentinelAddress

__all__ = ["FOLLOW_S", "MasterNotFound", "follow", "follow_sync", "primary", "primary_sync", "sentinel_trouble"]

FOLLOW_S: Final = 2.0
SENTINEL_TIMEOUT_S: Final = 2.0
"""For one Sentinel; they are asked in turn until one answers."""

MasterNotFound: Final = (redis.sentinel.MasterNotFoundError, redis.asyncio.sentinel.MasterNotFoundError)

_SERVICE: Final = re.compile(r"No master found for '([^']*)'")
_ASKED: Final = re.compile(r"\bhost=([^,]+),port=([0-9]+)\b")
_KIND: Final = re.compile(r"> - (?:\w+:)?(\w+)")

log = structlog.get_logger()


class _Pool(redis.asyncio.sentinel.SentinelConnectionPool):
    """The library's, which leaves the connections to the Sentinels open."""

    async def aclose(self) -> None:
        await super().aclose()
        await self.sentinel_manager.aclose()


def primary(address: SentinelAddress, *, retry: Any, **options: Any) -> redis.asyncio.Redis:
    """A client for the primary of `address`; `options` are overruled by the URL's. Raises what the library raises."""
    sentinels = redis.asyncio.sentinel.Sentinel(  # type: ignore[no-untyped-call]
        address.sentinels, sentinel_kwargs=_for_sentinels(address, retry), **_for_servers(address, options), retry=retry
    )
    client: redis.asyncio.Redis = sentinels.master_for(address.service, connection_pool_class=_Pool)
    return client


def primary_sync(address: SentinelAddress, *, retry: Any, **options: Any) -> redis.Redis:
    """Like `primary`, for a client without asyncio."""
    sentinels = redis.sentinel.Sentinel(  # type: ignore[no-untyped-call]
        address.sentinels, sentinel_kwargs=_for_sentinels(address, retry), **_for_servers(address, options), retry=retry
    )
    client: redis.Redis = sentinels.master_for(address.service)  # type: ignore[no-untyped-call]
    return client


def _for_servers(address: SentinelAddress, options: dict[str, Any]) -> dict[str, Any]:
    said: dict[str, Any] = dict(parse_url(address.server_url))
    for name in ("host", "port", "connection_class"):
        said.pop(name, None)
    return {**options, **said, "ssl": address.is_tls}


def _for_sentinels(address: SentinelAddress, retry: Any) -> dict[str, Any]:
    tls = {name: value for name, value in dict(parse_url(address.server_url)).items() if name.startswith("ssl_")}
    return {
        "socket_connect_timeout": SENTINEL_TIMEOUT_S,
        "socket_timeout": SENTINEL_TIMEOUT_S,
        "retry": retry,
        "ssl": address.is_tls,
        **(tls if address.is_tls else {}),
        **address.sentinel_options,
    }


def sentinel_trouble(error: Exception) -> str:
    """What it means that the library found no primary, and what to do about it."""
    service = _SERVICE.search(str(error))
    name = service[1] if service else "?"
    kinds = _KIND.findall(str(error))
    if not kinds:
        return (
            f"Sentinel knows no primary '{name}' that is up: a fail-over is under way, or the service in the URL is "
            "not what the Sentinels call it (SENTINEL MASTERS lists their names)"
        )
    asked = [f"{host}:{port}: {kind}" for (host, port), kind in zip(_ASKED.findall(str(error)), kinds, strict=False)]
    remedy = "; the Sentinels' own password is the URL's option sentinel_password"
    return (
        f"no Sentinel that answers knows a primary '{name}' ({', '.join(asked)})"
        f"{remedy if 'AuthenticationError' in kinds else ''}"
    )


async def follow(pool: Any, clock: Clock) -> None:
    """Make `pool`'s connections begin anew when Sentinel names another primary; until cancelled."""
    while True:
        await clock.sleep(FOLLOW_S)
        before = pool.master_address
        with contextlib.suppress(exceptions.RedisError, OSError):  # those who need the primary say so
            now = await pool.get_master_address()
            if before is not None and now != before:
                log.warning("Sentinel names another Redis primary; connecting to it", primary=f"{now[0]}:{now[1]}")
                await pool.disconnect()


async def follow_sync(pool: Any, clock: Clock) -> None:
    """The same for a pool whose connections other threads use."""
    while True:
        await clock.sleep(FOLLOW_S)
        before = pool.master_address
        with contextlib.suppress(exceptions.RedisError, OSError):
            now = await asyncio.to_thread(pool.get_master_address)
            if before is not None and now != before:
                _cut(pool)


def _cut(pool: Any) -> None:
    """End the connections in use, whoever blocks on one: he notices, and clears up behind himself."""
    for connection in tuple(pool._in_use_connections):  # noqa: SLF001 — there is no public way to them
        with contextlib.suppress(OSError, AttributeError):
            connection._sock.shutdown(socket.SHUT_RDWR)  # noqa: SLF001
