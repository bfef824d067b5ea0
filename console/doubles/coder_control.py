"""What an operator of the Coder double can ask of it: commands and what it shows. Pure data, the same in-process
(`CoderDouble.apply`) and over HTTP (`POST /_double` with one command or a list of them as JSON).
"""

from __future__ import annotations

import msgspec

from console.doubles.coder_state import Agent, LogSource, NulRule, StoredLog
from console.doubles.faults import Injection

__all__ = [
    "AddAgent",
    "AgentCommand",
    "AgentView",
    "AutoAgents",
    "ClaimPrebuild",
    "Command",
    "Inject",
    "MakeReady",
    "RemoveAgent",
    "Reset",
    "SetLatency",
    "SetNulRule",
    "SetRateLimit",
    "Totals",
    "decode_commands",
    "view_of",
]


class AddAgent(msgspec.Struct, frozen=True, tag="add_agent"):
    """A new agent behind `token`; until it is ready every call gets 401."""

    token: str
    ready: bool = True


class MakeReady(msgspec.Struct, frozen=True, tag="make_ready"):
    """Its build's job is finished."""

    token: str


class RemoveAgent(msgspec.Struct, frozen=True, tag="remove_agent"):
    """Its workspace is deleted: 401 from now on."""

    token: str


class ClaimPrebuild(msgspec.Struct, frozen=True, tag="claim_prebuild"):
    """The same token gets a new agent: quota and sources start anew."""

    token: str


class SetLatency(msgspec.Struct, frozen=True, tag="set_latency"):
    """How long the server works on each request before it takes effect and is answered."""

    seconds: float
    token: str | None = None
    """None: of all tokens that have none of their own."""


class Inject(msgspec.Struct, frozen=True, tag="inject"):
    """Facts to choose by: `endpoint` (logs, log_source, buildinfo) and `token` (as sent)."""

    injection: Injection


class SetRateLimit(msgspec.Struct, frozen=True, tag="set_rate_limit"):
    """A new limit for each source address and path; <= 0 requests turns it off. What was counted is forgotten."""

    requests: int
    window_s: int = 60


class SetNulRule(msgspec.Struct, frozen=True, tag="set_nul_rule"):
    """Old servers fail on NUL, new ones store a mark."""

    rule: NulRule


class AutoAgents(msgspec.Struct, frozen=True, tag="auto_agents"):
    """Whether an unknown token becomes a ready agent at its first call."""

    on: bool


class Reset(msgspec.Struct, frozen=True, tag="reset"):
    """Forget agents, logs, counters, faults and latencies; limit and rules stay."""


AgentCommand = AddAgent | MakeReady | RemoveAgent | ClaimPrebuild
Command = AgentCommand | SetLatency | Inject | SetRateLimit | SetNulRule | AutoAgents | Reset


class AgentView(msgspec.Struct, frozen=True):
    """One agent and all that it logged, former agents of a token included."""

    id: str
    token: str
    ready: bool
    logs_bytes: int
    overflowed: bool
    repeated_lines: int
    sources: list[LogSource]
    logs: list[StoredLog]


class Totals(msgspec.Struct, frozen=True):
    """Counts since the start or the last reset."""

    requests: dict[str, int]
    """`<endpoint> <status>` -> number; the status is `drop` or `hang` where none was sent."""
    lines: int
    repeated_lines: int
    most_in_flight: int
    """Most requests of one token that were under way at the same time."""


def view_of(agent: Agent) -> AgentView:
    """A copy that stays as it is."""
    return AgentView(
        id=agent.id,
        token=agent.token,
        ready=agent.ready,
        logs_bytes=agent.logs_bytes,
        overflowed=agent.overflowed,
        repeated_lines=agent.repeated_lines,
        sources=list(agent.sources.values()),
        logs=list(agent.logs),
    )


_decoder = msgspec.json.Decoder(Command | list[Command])


def decode_commands(body: bytes) -> list[Command]:
    """The commands in `body`, in order. Raises msgspec.DecodeError."""
    read = _decoder.decode(body)
    return read if isinstance(read, list) else [read]
