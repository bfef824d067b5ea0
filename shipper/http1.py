"""Speak HTTP/1.1 to Coder over kept connections: one request at a time on each, parsed by httptools (llhttp).

Of our own because a request's CPU is the largest part of the shipper's (ADR 17). Keeps guarantee 6, and tells
certainly whether a request can have left: `Sent.NO` until its first byte is handed to an open connection, `Sent.MAYBE`
from then on. A connection on which anything went wrong, or came that was not asked for, is never used again.
"""

from __future__ import annotations

import asyncio
import select
import ssl
from typing import Final, cast
from urllib.parse import quote, urlsplit

import httptools

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

__all__ = ["Http1Wire"]

_ANSWER_MAX_BYTES: Final = 128 * 1024
"""Of one answer with all that frames it: headers, interim answers, chunk sizes, trailers."""
_PORTS: Final = {"http": 80, "https": 443}


class _Lost(Exception):
    """The exchange is over without an answer; the text says why, and nothing of the request."""


class Http1Wire:
    """A `Wire` straight to Coder, without a proxy."""

    def __init__(self, url: str, trust: ssl.SSLContext, *, timeout_s: float, connections: int) -> None:
        """`timeout_s` is for a whole request; at most `connections` are open. Raises ValueError for no http(s) URL."""
        parts = urlsplit(url)
        if parts.scheme not in _PORTS or not parts.hostname:
            raise ValueError("a URL must begin with http:// or https:// and name a host")
        self._host = parts.hostname
        self._port = parts.port or _PORTS[parts.scheme]
        self._trust = trust if parts.scheme == "https" else None
        self._path = quote(parts.path.rstrip("/"), safe="/%:@!$&'()*+,;=~")
        self._timeout_s = timeout_s
        self._connect_timeout_s = min(CONNECT_TIMEOUT_S, timeout_s)
        self._slots = asyncio.Semaphore(connections)
        self._idle: list[_Connection] = []  # the longest idle first
        self._expiry: asyncio.TimerHandle | None = None
        headers = {"Host": self._authority(), **HEADERS}
        self._headers = "".join(f"{name}: {value}\r\n" for name, value in headers.items())

    def _authority(self) -> str:
        host = self._host if self._host.isascii() else self._host.encode("idna").decode()
        host = f"[{host}]" if ":" in host else host
        return host if self._port == _PORTS["https" if self._trust else "http"] else f"{host}:{self._port}"

    async def ask(self, method: str, path: str, token: str, body: bytes, begin: Begin = at_once) -> Reply:
        """See `Wire.ask`. A time-out counts from here, so it includes the wait for a connection."""
        own = f"{TOKEN_HEADER}: {token}\r\nContent-Length: {len(body)}" if token else f"Content-Length: {len(body)}"
        head = f"{method} {self._path}{path} HTTP/1.1\r\n{self._headers}{own}\r\n\r\n"
        sent = Sent.NO
        connection: _Connection | None = None
        try:
            async with asyncio.timeout(self._timeout_s), self._slots:
                try:
                    connection = self._take() or await self._connect()
                    await begin()  # connecting took its time, and a process may have been paused meanwhile
                    sent = Sent.MAYBE
                    return await connection.exchange(head.encode("ascii") + body)
                finally:
                    if connection is not None:
                        self._put_back(connection)
        except TimeoutError:
            return NoAnswer(sent, f"no {'connection' if sent is Sent.NO else 'answer'} within {self._timeout_s:g} s")
        except _Lost as lost:
            return NoAnswer(sent, str(lost)[:WHY_MAX_CHARS])

    async def aclose(self) -> None:
        """See `Wire.aclose`."""
        if self._expiry is not None:
            self._expiry.cancel()
        for connection in self._idle[:]:
            connection.close()
        self._idle.clear()
        await asyncio.sleep(0)  # the event loop closes sockets in its next turn

    async def _connect(self) -> _Connection:
        loop = asyncio.get_running_loop()
        name = self._host if self._trust else None
        try:
            async with asyncio.timeout(self._connect_timeout_s):
                _, connection = await loop.create_connection(
                    _Connection, self._host, self._port, ssl=self._trust, server_hostname=name
                )
        except ssl.SSLError as error:
            raise _Lost(f"TLS: {error}") from error
        except TimeoutError:
            raise _Lost(f"no connection within {self._connect_timeout_s:g} s") from None
        except (OSError, UnicodeError) as error:
            raise _Lost(f"cannot connect to {self._host}:{self._port}: {error}") from error
        if connection.lost:
            raise _Lost("closed by the peer as soon as it was open")
        return connection

    def _take(self) -> _Connection | None:
        """A connection to use again: the one used last, so that a surplus ages and goes."""
        now_s = asyncio.get_running_loop().time()
        while self._idle:
            connection = self._idle.pop()
            if connection.idle_until_s > now_s and connection.is_quiet():
                return connection
            connection.close()
        return None

    def _put_back(self, connection: _Connection) -> None:
        if not connection.reusable:
            connection.close()
            return
        loop = asyncio.get_running_loop()
        connection.idle_until_s = loop.time() + KEEP_ALIVE_S
        self._idle.append(connection)
        if self._expiry is None:
            self._expiry = loop.call_at(connection.idle_until_s, self._expire)

    def _expire(self) -> None:
        loop = asyncio.get_running_loop()
        while self._idle and self._idle[0].idle_until_s <= loop.time():
            self._idle.pop(0).close()
        self._expiry = loop.call_at(self._idle[0].idle_until_s, self._expire) if self._idle else None


class _Connection(asyncio.Protocol):
    """One connection. The methods `on_…` are the parser's callbacks."""

    def __init__(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport
        self._poll = select.poll()
        self._answer: asyncio.Future[Answer] | None = None
        self._begin(0)
        self.lost = False
        self.reusable = False
        self.idle_until_s = 0.0  # by the event loop's clock

    def _begin(self, received_bytes: int) -> None:
        """Expect a status line next, after `received_bytes` for the same request."""
        self._received_bytes = received_bytes
        self._status = 0  # until all headers are there
        self._headers: dict[str, str] = {}
        self._sized = False
        self._body = bytearray()

    # -- for the pool

    async def exchange(self, request: bytes) -> Answer:
        """Send `request`, wait for its answer. Raises _Lost. The connection is `reusable` only after a whole answer."""
        self.reusable = False
        self._begin(0)
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._answer = answer
        self._transport.write(request)
        return await answer

    def is_quiet(self) -> bool:
        """Whether nothing has come since the last answer, the end included, that the event loop has not seen yet."""
        return not self.lost and not self._transport.is_closing() and not self._poll.poll(0)

    def close(self) -> None:
        """At once: what is left to send or to come is of no use."""
        self.reusable = False
        self._transport.abort()

    # -- for the event loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are none by inheritance
        self._poll.register(transport.get_extra_info("socket").fileno(), select.POLLIN)

    def data_received(self, data: bytes) -> None:
        if self._answer is None or self._answer.done():
            self.close()  # nobody asked for this
            return
        self._received_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail(f"the answer is not HTTP: {error}")
        except httptools.HttpParserUpgrade:
            self._fail("the answer changes the protocol")
        if self._received_bytes > _ANSWER_MAX_BYTES and not self._answer.done():
            self._fail("the answer is too long")

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True
        if self._status >= 200 and not self._sized and exc is None:
            self._finish(reusable=False)  # an answer without a length ends with its connection
        self._fail(f"the connection was lost {'in mid-answer' if self._received_bytes else 'before an answer'}")

    # -- for the parser

    def on_message_begin(self) -> None:
        if self._answer is not None and self._answer.done():
            self.reusable = False  # a second answer in one piece with the first

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._status:
            return  # a trailer
        name = name.lower()
        if (kept := KEPT_HEADERS.get(name)) is not None:
            self._headers[kept] = value.decode("latin-1")
        elif name in (b"content-length", b"transfer-encoding"):
            self._sized = True

    def on_headers_complete(self) -> None:
        self._status = self._parser.get_status_code()
        if self._status < 100:
            self._fail(f"the answer is not HTTP: its status is {self._status}")

    def on_body(self, body: bytes) -> None:
        if len(self._body) <= BODY_MAX_BYTES:
            self._body += body
        if len(self._body) > BODY_MAX_BYTES:
            self._finish(reusable=False)

    def on_message_complete(self) -> None:
        if self._status < 200:
            self._begin(self._received_bytes)  # an interim answer; the real one follows
        else:
            # An answer that comes before the whole request has left does not wait for the rest of it, nor do we.
            self._finish(reusable=self._parser.should_keep_alive() and not self._transport.get_write_buffer_size())

    def _finish(self, *, reusable: bool) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(Answer(self._status, self._headers, bytes(self._body[:BODY_MAX_BYTES])))
            self.reusable = reusable

    def _fail(self, why: str) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(_Lost(why))
        self.close()
