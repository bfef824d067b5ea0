"""The Coder double with a memory for requests: who sent what when, what took effect, whether an answer came back."""

from __future__ import annotations

import contextvars
import re
from typing import Final
from weakref import WeakKeyDictionary

import msgspec
from aiohttp import web

from console.doubles.coder import CoderDouble, Endpoint
from console.doubles.ratelimit import Turn
from console.doubles.server import Reply, json_reply
from tests.faults.compressed import now_s
from tests.faults.cutter import Link
from tests.faults.plan import POISON

__all__ = ["CoderWatch", "RecordingCoder", "Request"]

_TOKEN: Final = re.compile(rb"coder-session-token: (\S+)", re.IGNORECASE)
_port: contextvars.ContextVar[int] = contextvars.ContextVar("port", default=0)


class Request(msgspec.Struct):
    """One request of an agent, as its sender and Coder know it."""

    owner: str
    """The shipper that sent it."""
    token: str
    began_s: float
    ended_s: float | None = None
    """When its sender got an answer or gave up."""
    answered: bool = False
    lines: tuple[str, ...] = ()
    """What took effect of it."""
    took_s: float | None = None
    """When."""


class CoderWatch:
    """Hears of all connections to the double (`tests.faults.cutter.Observer`)."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self._under_way: dict[Link, Request] = {}
        self._newest: WeakKeyDictionary[Link, Request] = WeakKeyDictionary()
        self._by_port: dict[int, Link] = {}

    def opened(self, link: Link) -> None:
        self._by_port[link.server_side_port] = link

    def asked(self, link: Link, data: bytes) -> None:
        if link in self._under_way or (found := _TOKEN.search(data)) is None:
            return
        request = Request(link.cutter.owner, found[1].decode(), now_s())
        self.requests.append(request)
        self._under_way[link] = self._newest[link] = request

    def answered(self, link: Link) -> None:
        request = self._under_way.pop(link, None)
        if request is not None:
            request.ended_s, request.answered = now_s(), True

    def ended(self, link: Link) -> None:
        request = self._under_way.pop(link, None)
        if request is not None:
            request.ended_s = now_s()

    def request_by(self, port: int) -> Request | None:
        """The request that came last by the connection that the server knows by `port`."""
        link = self._by_port.get(port)
        return self._newest.get(link) if link is not None else None


class RecordingCoder(CoderDouble):
    """Writes into the watch's requests what took effect; takes no poisonous batch."""

    def __init__(self, watch: CoderWatch) -> None:
        super().__init__()
        self._watch = watch

    async def _serve(
        self, request: web.BaseRequest, endpoint: Endpoint, token: str, body: bytes, turn: Turn | None
    ) -> web.StreamResponse:
        transport = request.transport
        _port.set(transport.get_extra_info("peername")[1] if transport is not None else 0)
        return await super()._serve(request, endpoint, token, body, turn)

    def _effect(self, endpoint: Endpoint, token: str, body: bytes) -> Reply:
        if endpoint is not Endpoint.LOGS:
            return super()._effect(endpoint, token, body)
        if POISON.encode() in body:
            return json_reply(500, {"message": "Failed to upload logs", "detail": "pq: it does not fit"})
        before = {agent.id: len(agent.logs) for agent in self.state.agents(token)}
        reply = super()._effect(endpoint, token, body)
        stored = tuple(log.output for agent in self.state.agents(token) for log in agent.logs[before[agent.id] :])
        request = self._watch.request_by(_port.get())
        if stored and request is not None:
            request.lines += stored
            request.took_s = now_s()
        elif stored:
            self._watch.requests.append(Request("?", token, now_s(), now_s(), lines=stored, took_s=now_s()))
        return reply
