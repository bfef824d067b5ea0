"""The Coder double with a door for each shipper, and a journal: by whose door each request came, and what became of it.

A door is a port of its own, so that a request's sender is known whatever happens to it. `python -m
tests.cluster.journal` prints the double's URL; `POST /_double/doors` opens a door, `GET /_double/journal` shows all.
"""

from __future__ import annotations

import contextlib
import time
from contextvars import ContextVar
from typing import Final

import msgspec
import uvloop
from aiohttp import web

from console.doubles.coder import CoderDouble, Endpoint
from console.doubles.server import Reply, json_reply

DOORS: Final = "/_double/doors"
JOURNAL: Final = "/_double/journal"


class Request(msgspec.Struct):
    """One request of an agent. Instants are Unix time, the same clock in all processes of a machine."""

    door: int
    """The port by which it came: its sender's."""
    token: str
    came_ns: int
    ended_ns: int | None = None
    """When it was answered or its connection was over."""
    answered: bool = False
    took_ns: int = 0
    """When its lines took effect, as each of them bears it; 0: none did."""


_under_way: ContextVar[Request] = ContextVar("under_way")


class JournalCoder(CoderDouble):
    """Writes down each request."""

    def __init__(self) -> None:
        super().__init__()
        self.journal: list[Request] = []

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        match request.method, request.path:
            case "POST", path if path == DOORS:
                return json_reply(200, await self._open_door()).to_http()
            case "GET", path if path == JOURNAL:
                return json_reply(200, self.journal).to_http()
        if request.path.startswith("/_double"):
            return await super().handle(request)
        return await self._journalled(request)

    async def _journalled(self, request: web.BaseRequest) -> web.StreamResponse:
        transport = request.transport
        door = transport.get_extra_info("sockname")[1] if transport is not None else 0
        entry = Request(door, request.headers.get("Coder-Session-Token", ""), time.time_ns())
        self.journal.append(entry)
        _under_way.set(entry)
        try:
            answer = await super().handle(request)
            await answer.prepare(request)
            await answer.write_eof()  # fails if nobody is there any more
            entry.answered = True
            return answer
        finally:
            entry.ended_ns = time.time_ns()

    def _effect(self, endpoint: Endpoint, token: str, body: bytes) -> Reply:
        if endpoint is not Endpoint.LOGS:
            return super()._effect(endpoint, token, body)
        before = sum(len(agent.logs) for agent in self.state.agents(token))
        reply = super()._effect(endpoint, token, body)
        stored = [log for agent in self.state.agents(token) for log in agent.logs][before:]
        if stored:
            _under_way.get().took_ns = stored[0].received_unix_ns
        return reply

    async def _open_door(self) -> str:
        assert self._runner is not None
        await web.TCPSite(self._runner, self._host, 0, backlog=2_048).start()
        return f"http://{self._host}:{self._runner.addresses[-1][1]}"


async def serve() -> None:
    async with JournalCoder() as double:
        await double.announce()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        uvloop.run(serve())
