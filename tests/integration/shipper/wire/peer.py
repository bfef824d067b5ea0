"""The other end of a wire: a server on loopback that follows a script."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable
from typing import Self

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


class Request:
    """A request as it came."""

    def __init__(self, head: bytes, body: bytes) -> None:
        self.line, *rows = head.decode("latin-1").rstrip("\r\n").split("\r\n")
        self.headers = {name.lower(): value for name, value in (row.split(": ", 1) for row in rows)}
        self.body = body


class Line:
    """One connection, seen from the server."""

    def __init__(self, number: int, peer: Peer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.number = number  # from 1
        self.reader = reader
        self._peer = peer
        self._writer = writer

    async def request(self) -> Request:
        """The next one, whole."""
        request = Request(await self.reader.readuntil(b"\r\n\r\n"), b"")
        request.body = await self.reader.readexactly(int(request.headers.get("content-length", "0")))
        self._peer.requests.append(request)
        return request

    async def say(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def end(self) -> None:
        """Wait until the client has closed."""
        with contextlib.suppress(ConnectionError):
            await self.reader.read()

    def half_close(self) -> None:
        """Say no more, and stay to see what the client does."""
        self._writer.write_eof()

    async def hang_up(self) -> None:
        """Close, and wait until the client has seen it if this is TLS, which says goodbye."""
        self._writer.close()
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            await self._writer.wait_closed()

    def reset(self) -> None:
        """End it with RST instead of FIN."""
        own: socket.socket = self._writer.get_extra_info("socket")
        own.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()


Script = Callable[[Line], Awaitable[None]]
"""What to do with a connection; it is closed afterwards."""


class Peer:
    """The server. `async with` ends it; a script that failed fails the test then."""

    def __init__(self, script: Script, tls: ssl.SSLContext | None = None, address: str = "127.0.0.1") -> None:
        self._script = script
        self._tls = tls
        self._address = address
        self._failures: list[Exception] = []
        self._running: set[asyncio.Task[None]] = set()
        self.requests: list[Request] = []
        self.connections = 0
        self.open = 0
        self.most_open = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, self._address, 0, ssl=self._tls, limit=2**20)
        port = self._server.sockets[0].getsockname()[1]
        self.url = (
            f"https://localhost:{port}"
            if self._tls
            else f"http://{f'[{self._address}]' if ':' in self._address else self._address}:{port}"
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        if self._failures:
            raise self._failures[0]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        self.connections += 1
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        try:
            await self._script(Line(self.connections, self, reader, writer))
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass  # the client has gone, or the test is over
        except Exception as error:  # noqa: BLE001 - the test is told
            self._failures.append(error)
        finally:
            self.open -= 1
            writer.close()


async def obliging(line: Line) -> None:
    """The script that answers everything well."""
    while True:
        await line.request()
        await line.say(OK)


def saying(*pieces: bytes) -> Script:
    """Answers each request with `pieces`, one after the other, then closes."""

    async def script(line: Line) -> None:
        await line.request()
        for piece in pieces:
            await line.say(piece)

    return script
