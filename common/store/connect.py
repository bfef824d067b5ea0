"""Connections to Redis or Valkey, and what is checked before a program relies on one.

All errors of the client library are translated here, in one place (`translated`).
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import redis
import redis.asyncio
from redis import exceptions
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.retry import Retry

from common.store.address import is_sentinel, parse_sentinel
from common.store.errors import StoreFull, StoreRefused, StoreUnavailable
from common.store.keys import Keys
from common.store.sentinel import MasterNotFound, primary, primary_sync, sentinel_trouble
from common.store.tls import check_tls_files, tls_remedy

__all__ = [
    "OLDEST_SERVER",
    "SCHEMA",
    "UnusableUrl",
    "check_queue",
    "check_server",
    "connect",
    "connect_sync",
    "keep_first",
    "redacted_url",
    "refuse_cluster",
    "refuse_schema",
    "refuse_server",
    "server_name",
    "translated",
]

SCHEMA: Final = 1
"""Version of the data model. This program runs beside SCHEMA - 1 (there is none yet) and can be rolled back to it: data
are marked with the highest that has used them, and one more than the own is still taken."""

OLDEST_SERVER: Final = (6, 2)
"""XTRIM MINID came with Redis 6.2. Valkey calls itself Redis 7.2 or newer to clients."""

_UNKNOWN_OPTION: Final = re.compile(r"keyword argument '(\w+)'")
_SOCKET_TIMEOUT_S: Final = 5.0
_HEALTH_CHECK_S: Final = 15.0


class UnusableUrl(StoreRefused):
    """A URL that no client can be made from; `why` is the reason alone."""

    def __init__(self, why: str) -> None:
        super().__init__(f"the Redis URL is not usable ({why}); write it like redis://redis:6379/0")
        self.why = why


def redacted_url(url: str) -> str:
    """`url`, which can be used, fit for a log line: without user, password and query."""
    if is_sentinel(url):
        return parse_sentinel(url).shown
    parts = urlsplit(url)
    if parts.scheme == "unix":
        return f"unix://{parts.path}"
    host = parts.hostname or "?"
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{host}{port}{parts.path}"


def connect(url: str, *, max_connections: int = 16) -> redis.asyncio.Redis:
    """A client for `url`; nothing is sent yet. No retries inside: callers back off and know what may be repeated.

    Raises `UnusableUrl` for one that is none, or has options that are none.
    """
    with _refused():
        options: dict[str, Any] = {
            "max_connections": max_connections,
            "socket_connect_timeout": _SOCKET_TIMEOUT_S,
            "socket_timeout": _SOCKET_TIMEOUT_S,
            **_probed(url),
            "health_check_interval": _HEALTH_CHECK_S,
            "retry": AsyncRetry(NoBackoff(), 0),
        }
        if is_sentinel(url):
            client = primary(parse_sentinel(url), **options)
        else:
            client = redis.asyncio.Redis.from_url(url, **options)
        _try_options(client.connection_pool)
    return client


def connect_sync(url: str) -> redis.Redis:
    """Like `connect`, for the parts that RQ runs: its library knows no asyncio.

    The read time-out is RQ's to set, because its worker blocks on the queue for minutes.
    """
    with _refused():
        options: dict[str, Any] = {
            "socket_connect_timeout": _SOCKET_TIMEOUT_S,
            **_probed(url),
            "health_check_interval": int(_HEALTH_CHECK_S),
            "retry": Retry(NoBackoff(), 0),
        }
        client = (
            primary_sync(parse_sentinel(url), **options) if is_sentinel(url) else redis.Redis.from_url(url, **options)
        )
        _try_options(client.connection_pool)
    return client


def _probed(url: str) -> dict[str, bool]:
    """TCP connections are probed, so that a dead peer is noticed. A unix socket has no such option."""
    return {} if url.startswith("unix://") else {"socket_keepalive": True}


def _try_options(pool: redis.ConnectionPool | redis.asyncio.ConnectionPool) -> None:
    """Make one connection of `pool` and drop it unused: its options are looked at only then. Sends nothing."""
    if pool.connection_kwargs.get("decode_responses"):
        raise ValueError("decode_responses must stay off: what is stored here is no text")
    check_tls_files(pool.connection_kwargs)
    pool.connection_class(**pool.connection_kwargs)


@contextlib.contextmanager
def _refused() -> Iterator[None]:
    """Turn what the client library says to a URL into our refusal; its words quote no user and no password."""
    try:
        yield
    except (TypeError, AttributeError) as error:
        option = _UNKNOWN_OPTION.search(str(error))
        raise UnusableUrl(f"there is no option {option[1]!r}" if option else "an option has a wrong value") from None
    except (ValueError, exceptions.RedisError) as error:
        raise UnusableUrl(str(error)) from None


@contextlib.contextmanager
def translated(doing: str) -> Iterator[None]:
    """Turn the client library's errors into ours: `doing` begins the message."""
    try:
        yield
    except exceptions.AuthenticationError as error:
        raise StoreRefused(f"{doing}: Redis refused the user or password ({error})") from error
    except exceptions.NoPermissionError as error:
        raise StoreRefused(f"{doing}: the Redis user lacks a right ({error}); see docs/reference/redis.md") from error
    except (exceptions.ConnectionError, exceptions.TimeoutError, exceptions.TryAgainError, OSError) as error:
        # BusyLoading, MasterDown and the pool's «too many connections» are ConnectionErrors.
        raise StoreUnavailable(f"{doing}: {_unreached(error)}") from error
    except (exceptions.ReadOnlyError, exceptions.ClusterDownError) as error:
        raise StoreUnavailable(f"{doing}: Redis is failing over ({error})") from error
    except exceptions.ResponseError as error:
        if "command not allowed when used memory" in str(error):  # Redis 6.2 quotes it in a script's own error
            raise StoreFull(doing) from error
        if _passing(str(error)):
            raise StoreUnavailable(f"{doing}: {error}") from error
        raise StoreRefused(f"{doing}: Redis answered: {error}") from error
    except exceptions.RedisError as error:
        raise StoreUnavailable(f"{doing}: {type(error).__name__}: {error}") from error


def _unreached(error: Exception) -> str:
    """Why there is no connection, and what to do about it if that is known."""
    if isinstance(error, MasterNotFound):
        return sentinel_trouble(error)
    return f"{type(error).__name__}: {error}{tls_remedy(str(error))}"


def _passing(message: str) -> bool:
    """Error answers that end by themselves, some of them quoted by a script's own error."""
    return any(word in message for word in ("LOADING", "READONLY", "MASTERDOWN", "BUSY ", "NOREPLICAS", "UNBLOCKED"))


async def keep_first(client: redis.asyncio.Redis, key: str, value: bytes) -> bytes:
    """Set `key` unless it is set; answers what it then holds. Errors are the client library's."""
    # Read first: a server whose memory is full refuses even a SET that would set nothing.
    kept = await client.get(key)
    if kept is None:
        if await client.set(key, value, nx=True):
            return value
        kept = await client.get(key)  # SET with both NX and GET came only with Redis 7.0
    if not isinstance(kept, bytes):
        raise exceptions.TryAgainError(f"{key} went away while it was read")
    return kept


async def check_queue(url: str) -> None:
    """Raise `StoreRefused` for a queue's server that RQ cannot use. One that is away is none: the bell says so."""
    async with connect(url) as client:
        with contextlib.suppress(StoreUnavailable):
            await refuse_cluster(client)


async def refuse_cluster(client: redis.asyncio.Redis) -> None:
    """Raise `StoreRefused` for a sharded cluster; touches no key. `StoreUnavailable` as every call."""
    with translated("checking Redis"):
        _refuse_cluster(await client.info("server"))


def _refuse_cluster(info: Mapping[str, Any]) -> None:
    if info.get("redis_mode", info.get("server_mode")) == "cluster":  # the latter is Valkey's name for it
        raise StoreRefused(
            "this is a sharded Redis Cluster, which is not supported; use a single server, or several behind Sentinel "
            "(redis+sentinel://…)"
        )


async def check_server(client: redis.asyncio.Redis, keys: Keys) -> str:
    """Make sure that this server and its data fit this program; returns the server's name and version.

    Raises `StoreRefused` with the remedy for a server that is too old, a sharded cluster or data of an unknown
    schema, and `StoreUnavailable` as every call does.
    """
    with translated("checking Redis"):
        info = await client.info("server")
    refuse_server(info)  # before any key is touched: a cluster may send that elsewhere, or call itself down
    with translated("checking Redis"):
        schema_text = (await keep_first(client, keys.schema, str(SCHEMA).encode())).decode(errors="replace")
    refuse_schema(keys, schema_text)
    if int(schema_text) < SCHEMA:
        # What delivers must start on a server whose memory is full, too; the next start marks the data then.
        with contextlib.suppress(StoreFull), translated("marking the data's schema"):
            await client.set(keys.schema, SCHEMA)
    return server_name(info)


def server_name(info: Mapping[str, Any]) -> str:
    """Name and version of the server that tells `info` of itself."""
    if info.get("server_name") == "valkey":
        return f"Valkey {info.get('valkey_version', '?')}"
    return f"Redis {info.get('redis_version', '?')}"


def refuse_server(info: Mapping[str, Any]) -> None:
    """Raise `StoreRefused`, with the remedy, for a server that this program cannot use by its own `info`."""
    _refuse_cluster(info)
    version = str(info.get("redis_version", "0"))
    parts = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    if parts < OLDEST_SERVER:
        raise StoreRefused(f"Redis {version} is too old; use Redis 6.2 or newer, or Valkey 7.2 or newer")


def refuse_schema(keys: Keys, text: str) -> None:
    """Raise `StoreRefused`, with the remedy, if the data under `keys` are marked by `text` as none that we know."""
    if not re.fullmatch(r"[0-9]{1,9}", text):
        raise StoreRefused(f"the key {keys.schema} in Redis holds no number, so it is not ours; choose another prefix")
    if not SCHEMA - 1 <= int(text) <= SCHEMA + 1:
        raise StoreRefused(
            f"the data under prefix '{keys.prefix}' have schema {text}, this program knows {SCHEMA}; "
            "upgrade it one minor version at a time, or choose another prefix"
        )
