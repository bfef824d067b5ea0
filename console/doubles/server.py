"""A small HTTP server for the doubles: one dispatch function, no router, started and stopped from code.

aiohttp's low-level server is used instead of its application: a bench asks thousands of requests a second of it.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, NoReturn, Self

import msgspec
from aiohttp import web

from console.doubles.faults import Drop, Fault, FaultPlan, Hang

__all__ = ["DoubleServer", "Handler", "Reply", "json_reply", "parse_listen"]

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]

_SHUTDOWN_S: Final = 0.2  # what is still running then is cut off: a hung request must not hold up a test


class Reply(msgspec.Struct, frozen=True):
    """An answer as a value, before it meets aiohttp."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = {}
    content_type: str = "application/json"

    def to_http(self, extra: Mapping[str, str] | None = None) -> web.Response:
        """The answer as aiohttp wants it, with `extra` headers added."""
        headers = {"Content-Type": self.content_type, **self.headers, **(extra or {})}
        return web.Response(status=self.status, body=self.body, headers=headers)


def json_reply(status: int, value: object, headers: Mapping[str, str] | None = None) -> Reply:
    """A compact JSON answer."""
    return Reply(status, msgspec.json.encode(value), headers or {})


def parse_listen(listen: str) -> tuple[str, int]:
    """Host and port of `HOST:PORT`. Raises ValueError if it is not of that form."""
    host, separator, port = listen.rpartition(":")
    if not separator or not port.isdigit():
        raise ValueError(f"{listen!r} is not HOST:PORT, for example 127.0.0.1:0")
    return host.strip("[]"), int(port)


class DoubleServer:
    """Base of the doubles: owns the listening socket and the carrying out of faults. `async with` starts and stops."""

    def __init__(self, listen: str = "127.0.0.1:0", *, tls: ssl.SSLContext | None = None) -> None:
        self._host, self._port = parse_listen(listen)
        self._runner: web.ServerRunner | None = None
        self.stopping = asyncio.Event()
        """Ends what would hang for good."""
        self.faults = FaultPlan()
        self.tls = tls
        """With one, the next `start` speaks https."""

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request. Each double says how."""
        raise NotImplementedError

    @property
    def url(self) -> str:
        """`http://host:port` (with `tls`, https), once started."""
        return f"{'http' if self.tls is None else 'https'}://{self._host}:{self._port}"

    async def start(self) -> str:
        """Listen (port 0: any free one) and return the URL. Raises OSError if the port is taken."""
        self.stopping.clear()
        # handler_cancellation: a client that goes away ends its request, else idle watches would pile up.
        # auto_decompress: neither Coder (FACTS 1) nor the API server unpacks what it is sent.
        server = web.Server(self.handle, handler_cancellation=True, access_log=None, auto_decompress=False)
        self._runner = web.ServerRunner(server, shutdown_timeout=_SHUTDOWN_S)
        await self._runner.setup()
        await web.TCPSite(self._runner, self._host, self._port, backlog=2_048, ssl_context=self.tls).start()
        self._port = self._runner.addresses[0][1]
        return self.url

    async def stop(self) -> None:
        """Stop listening and end every request. The port is kept for the next `start`."""
        self.stopping.set()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.stop()

    async def announce(self) -> NoReturn:
        """Print the URL as one line on stdout and serve, once started, until the task is cancelled."""
        print(self.url, flush=True)
        await asyncio.Event().wait()
        raise AssertionError("an event nobody sets was set")

    async def cut_or_hang(self, request: web.BaseRequest, fault: Fault) -> web.StreamResponse:
        """Carry out a fault that gives no answer; what is returned goes nowhere."""
        if isinstance(fault, Hang):
            await self.stopping.wait()
        if isinstance(fault, Hang | Drop) and request.transport is not None:
            request.transport.abort()
        return web.Response()
