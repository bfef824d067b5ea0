"""Ask Coder through an HTTP proxy: httpx on aiohttp's transport, which knows proxies. The only file that knows either.

Costs several times the CPU of `shipper.http1` (ADR 17). Keeps guarantee 6: every error becomes a `NoAnswer` here, and
no text of it holds a token.
"""

from __future__ import annotations

import asyncio
import ssl
from contextvars import ContextVar

import aiohttp
import httpx
from aiohttp.connector import Connection
from httpx_aiohttp import AiohttpTransport

from shipper.outcome import Answer, NoAnswer, Reply, Sent
from shipper.wire import (
    BODY_MAX_BYTES,
    CONNECT_TIMEOUT_S,
    HEADERS,
    KEEP_ALIVE_S,
    KEPT_HEADERS,
    TOKEN_HEADER,
    WHY_MAX_CHARS,
    Begin,
    at_once,
)

__all__ = ["HttpxWire"]


class HttpxWire:
    """A `Wire` through a proxy, or (for the tests that both wires have to pass) without one."""

    def __init__(
        self, url: str, trust: ssl.SSLContext, *, timeout_s: float, connections: int, proxy: str | None
    ) -> None:
        """`timeout_s` is for a whole request; at most `connections` are open; `proxy` is a URL."""
        self._base = url.rstrip("/")
        self._timeout_s = timeout_s
        self._begin: ContextVar[Begin] = ContextVar("begin")
        """Of the request that the present task asks; the libraries in between hand nothing on."""
        request_class = _looking_first(self._begin)

        def session() -> aiohttp.ClientSession:
            return aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(ssl=trust, limit=connections, keepalive_timeout=KEEP_ALIVE_S),
                request_class=request_class,
                cookie_jar=aiohttp.DummyCookieJar(),  # one agent's answer must not colour another's request
            )

        # Without httpx.AsyncClient on top, whose cookies, redirects and authentication would cost as much again and
        # are not wanted here.
        self._transport = AiohttpTransport(
            verify=trust, client=session, proxy=httpx.Proxy(proxy) if proxy is not None else None
        )
        connect_s = min(CONNECT_TIMEOUT_S, timeout_s)
        self._timeouts = {"timeout": httpx.Timeout(timeout_s, connect=connect_s).as_dict()}

    async def ask(self, method: str, path: str, token: str, body: bytes, begin: Begin = at_once) -> Reply:
        """See `Wire.ask`."""
        headers = {**HEADERS, TOKEN_HEADER: token} if token else HEADERS
        request = httpx.Request(
            method, self._base + path, headers=headers, content=body or None, extensions=self._timeouts
        )
        self._begin.set(begin)
        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._exchange(request)
        except TimeoutError:
            return NoAnswer(Sent.MAYBE, f"no answer within {self._timeout_s:g} s")
        except (httpx.TransportError, aiohttp.ClientError) as error:
            return NoAnswer(_sent(error), _why(error))

    async def aclose(self) -> None:
        """See `Wire.aclose`."""
        await self._transport.aclose()

    async def _exchange(self, request: httpx.Request) -> Answer:
        response = await self._transport.handle_async_request(request)
        try:
            body = b""
            async for chunk in response.aiter_raw():
                body += chunk
                if len(body) > BODY_MAX_BYTES:
                    break
        finally:
            await response.aclose()
        headers = {
            name: value.decode("latin-1")
            for raw, value in response.headers.raw
            if (name := KEPT_HEADERS.get(raw.lower()))
        }
        return Answer(response.status_code, headers, body[:BODY_MAX_BYTES])


def _looking_first(begin: ContextVar[Begin]) -> type[aiohttp.ClientRequest]:
    """A kind of request that asks `begin` once it has its connection, and before its first byte.

    What `begin` raises closes the connection. The request for a tunnel, which comes before, is not of this kind.
    """

    class LookingFirst(aiohttp.ClientRequest):
        async def send(self, conn: Connection) -> aiohttp.ClientResponse:
            await begin.get()()
            return await super().send(conn)

    return LookingFirst


def _sent(error: Exception) -> Sent:
    """Whether the request may have been obeyed.

    The transport below httpx calls a connection lost in mid-request a ConnectTimeout (httpx-aiohttp 0.2), so its own
    error decides where there is one.
    """
    match error.__cause__ or error:
        case aiohttp.ClientConnectorError() | aiohttp.ConnectionTimeoutError() | aiohttp.InvalidURL():
            return Sent.NO
        case aiohttp.ClientHttpProxyError():  # the proxy opened no tunnel
            return Sent.NO
        case httpx.ConnectError() | httpx.ConnectTimeout() | httpx.PoolTimeout() | httpx.UnsupportedProtocol():
            return Sent.NO
        case _:
            return Sent.MAYBE


def _why(error: Exception) -> str:
    cause = error.__cause__ or error
    kind = "TLS: " if isinstance(cause, aiohttp.ClientSSLError) else ""
    text = str(cause) or type(cause).__name__
    return f"{kind}{text}"[:WHY_MAX_CHARS]
