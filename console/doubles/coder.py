"""The Coder double: Coder's agent-logs API, as FACTS 1 describes it, over HTTP.

In a test: `async with CoderDouble() as coder: coder.state.add_agent(token)`. In its own process
`python -m console.doubles.coder --listen 127.0.0.1:0` prints one line, its URL, and is steered over HTTP
(`console.doubles.coder_control`).
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from email.utils import formatdate
from enum import StrEnum
from typing import Final, assert_never

import click
import msgspec
import uvloop
from aiohttp import web

from console.doubles import coder_control as control
from console.doubles.coder_state import CoderState
from console.doubles.faults import Answer, Drop, Hang
from console.doubles.go_json import UnreadableBody, read_log_source, read_logs
from console.doubles.ratelimit import Limit, SlidingWindows, Turn
from console.doubles.server import DoubleServer, Reply, json_reply

__all__ = ["CoderDouble", "Endpoint", "main"]

BODY_MAX_BYTES: Final = 4 * 1024 * 1024
VERSION: Final = "v2.35.0+double"


class Endpoint(StrEnum):
    """The endpoints, in the words of faults and counters."""

    LOGS = "logs"
    LOG_SOURCE = "log_source"
    BUILDINFO = "buildinfo"


_ROUTES: Final = {
    ("PATCH", "/api/v2/workspaceagents/me/logs"): Endpoint.LOGS,
    ("POST", "/api/v2/workspaceagents/me/log-source"): Endpoint.LOG_SOURCE,
    ("GET", "/api/v2/buildinfo"): Endpoint.BUILDINFO,
}


class CoderDouble(DoubleServer):
    """The server. Its memory is `state`, its faults are `faults`; both may be changed while it runs."""

    def __init__(
        self,
        listen: str = "127.0.0.1:0",
        *,
        rate_limit: int = 0,
        unix_ns: Callable[[], int] = time.time_ns,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """`unix_ns` is the server's wall clock: its stamps, its rate limit's windows and the Date of its answers."""
        super().__init__(listen, tls=tls)
        self.state = CoderState()
        self.limit = Limit(requests=rate_limit)
        self._unix_ns = unix_ns
        self._forget()

    def _forget(self) -> None:
        self.state = self.state.emptied()
        self.faults.clear()
        self.latency_s = 0.0
        self._latency_of_s: dict[str, float] = {}
        self._windows = SlidingWindows()
        self._requests: Counter[str] = Counter()
        self._in_flight: defaultdict[str, int] = defaultdict(int)
        self._most_in_flight = 0

    # -- the operator's side

    def apply(self, command: control.Command) -> None:
        """Carry out one command. Raises KeyError for an unknown token, UnreadableBody for one that is no UUID."""
        match command:
            case control.AddAgent() | control.MakeReady() | control.RemoveAgent() | control.ClaimPrebuild():
                self._apply_to_agent(command)
            case control.SetLatency(seconds, token):
                if token is None:
                    self.latency_s = seconds
                else:
                    self._latency_of_s[token] = seconds
            case control.Inject(injection):
                self.faults.add(injection)
            case control.SetRateLimit(requests, window_s):
                self.limit, self._windows = Limit(requests, window_s), SlidingWindows()
            case control.SetNulRule(rule):
                self.state.nul_rule = rule
            case control.AutoAgents(on):
                self.state.auto_agents = on
            case control.Reset():
                self._forget()
            case _:
                assert_never(command)

    def _apply_to_agent(self, command: control.AgentCommand) -> None:
        match command:
            case control.AddAgent(token, ready):
                self.state.add_agent(token, ready=ready)
            case control.MakeReady(token):
                self.state.make_ready(token)
            case control.RemoveAgent(token):
                self.state.remove_agent(token)
            case control.ClaimPrebuild(token):
                self.state.claim_prebuild(token)
            case _:
                assert_never(command)

    def agents(self, token: str | None = None) -> list[control.AgentView]:
        """What each agent got, in order of their making, former ones too; of one token or of all."""
        return [control.view_of(agent) for agent in self.state.agents(token)]

    def totals(self) -> control.Totals:
        """Counts since the start or the last reset."""
        agents = list(self.state.agents())
        return control.Totals(
            requests=dict(self._requests),
            lines=sum(len(agent.logs) for agent in agents),
            repeated_lines=sum(agent.repeated_lines for agent in agents),
            most_in_flight=self._most_in_flight,
        )

    # -- the client's side

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request: rate limit first, then latency, faults, authorisation, the endpoint."""
        body = await request.content.read()
        if request.path.startswith("/_double"):
            return self._operate(request, body).to_http()
        turn = self._count(request)
        endpoint = _ROUTES.get((request.method, request.path))
        if turn is not None and not turn.passes:
            return self._finish(endpoint, self._rate_limited(), turn)
        if endpoint is None:
            return self._finish(endpoint, json_reply(404, {"message": "Route not found."}), turn)
        token = request.headers.get("Coder-Session-Token", "")
        self._in_flight[token] += 1
        self._most_in_flight = max(self._most_in_flight, self._in_flight[token])
        try:
            return await self._serve(request, endpoint, token, body, turn)
        finally:
            self._in_flight[token] -= 1

    async def _serve(
        self, request: web.BaseRequest, endpoint: Endpoint, token: str, body: bytes, turn: Turn | None
    ) -> web.StreamResponse:
        latency_s = self._latency_of_s.get(token, self.latency_s)
        if latency_s > 0:
            await asyncio.sleep(latency_s)
        fault = self.faults.take({"endpoint": endpoint, "token": token})
        match fault:
            case None:
                return self._finish(endpoint, self._effect(endpoint, token, body), turn)
            case Answer(status, text, headers):
                return self._finish(endpoint, Reply(status, text.encode(), headers), turn)
            case Drop(handled) | Hang(handled):
                if handled:
                    self._effect(endpoint, token, body)
                self._requests[f"{endpoint} {'drop' if isinstance(fault, Drop) else 'hang'}"] += 1
                return await self.cut_or_hang(request, fault)
            case _:
                assert_never(fault)

    def _effect(self, endpoint: Endpoint, token: str, body: bytes) -> Reply:
        if endpoint is Endpoint.BUILDINFO:
            return json_reply(200, {"external_url": self.url, "version": VERSION, "dashboard_url": self.url})
        agent = self.state.authorise(token)
        if isinstance(agent, Reply):
            return agent
        if len(body) > BODY_MAX_BYTES:
            return json_reply(413, {"message": "Request body too large.", "detail": f"limit is {BODY_MAX_BYTES} bytes"})
        now_unix_ns = self._unix_ns()
        try:
            if endpoint is Endpoint.LOGS:
                return self.state.patch_logs(agent, read_logs(body), now_unix_ns)
            return self.state.post_log_source(agent, read_log_source(body), now_unix_ns)
        except UnreadableBody as error:
            return json_reply(400, {"message": "Request body must be valid JSON.", "detail": str(error)})

    def _count(self, request: web.BaseRequest) -> Turn | None:
        if self.limit.requests <= 0:
            return None
        return self._windows.take(f"{request.remote}:{request.path}", self.limit, self._unix_ns())

    def _rate_limited(self) -> Reply:
        window = f"{self.limit.window_s // 60}m{self.limit.window_s % 60}s"
        message = f"You've been rate limited for sending more than {self.limit.requests} requests in {window}."
        # Always the window's length, not the real wait.
        return json_reply(429, {"message": message}, {"Retry-After": str(self.limit.window_s)})

    def _finish(self, endpoint: Endpoint | None, reply: Reply, turn: Turn | None) -> web.Response:
        self._requests[f"{endpoint or 'other'} {reply.status}"] += 1
        date = {"Date": formatdate(self._unix_ns() / 1e9, usegmt=True)}
        if turn is None:
            return reply.to_http(date)
        return reply.to_http(
            {
                **date,
                "X-RateLimit-Limit": str(self.limit.requests),
                "X-RateLimit-Remaining": str(turn.remaining),
                "X-RateLimit-Reset": str(turn.reset_at_s),
            }
        )

    def _operate(self, request: web.BaseRequest, body: bytes) -> Reply:
        match request.method, request.path:
            case "GET", "/_double/agents":
                return json_reply(200, self.agents(request.query.get("token")))
            case "GET", "/_double/totals":
                return json_reply(200, self.totals())
            case "POST", "/_double":
                try:
                    for command in control.decode_commands(body):
                        self.apply(command)
                except (msgspec.DecodeError, UnreadableBody, KeyError) as error:
                    return json_reply(400, {"message": f"{type(error).__name__}: {error}"})
                return json_reply(200, None)
            case _:
                return json_reply(404, {"message": "POST /_double, GET /_double/agents or GET /_double/totals"})


@click.command()
@click.option("--listen", default="127.0.0.1:0", show_default=True, help="Address; port 0 takes a free one.")
@click.option("--rate-limit", default=0, show_default=True, help="Requests a minute per address and path; 0: no limit.")
@click.option("--latency", default=0.0, show_default=True, help="Seconds that each request takes.")
@click.option("--auto-agents", is_flag=True, help="An unknown token becomes an agent at its first call.")
def main(listen: str, rate_limit: int, latency: float, auto_agents: bool) -> None:
    """Run the Coder double until it is interrupted; prints its URL."""

    async def serve() -> None:
        async with CoderDouble(listen, rate_limit=rate_limit) as double:
            double.latency_s = latency
            double.state.auto_agents = auto_agents
            await double.announce()

    with contextlib.suppress(KeyboardInterrupt):
        uvloop.run(serve())


if __name__ == "__main__":
    main()
