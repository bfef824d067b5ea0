"""What Coder's server remembers of agents and their logs, and how it answers. Pure: the time is an argument.

Keeps every rule of FACTS 1 that a client can notice: who is authorised, the quota and its roll-back, what is cut,
what is stamped, what a prebuilt workspace's claim starts anew.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

import msgspec

from console.doubles.go_json import NIL_UUID, LogLine, LogsBody, LogSourceBody, UnreadableBody, parse_uuid
from console.doubles.server import Reply, json_reply

__all__ = ["QUOTA_BYTES", "Agent", "CoderState", "LogSource", "NulRule", "StoredLog"]

QUOTA_BYTES: Final = 1_048_576  # exactly this much is accepted
OUTPUT_MAX_CHARS: Final = 1_024  # the rest is cut silently
LEVELS: Final = frozenset({"trace", "debug", "info", "warn", "error"})
EXTERNAL_SOURCE_ID: Final = "3b579bf4-1ed8-4b99-87a8-e9a1e3410410"

_NUL_DETAIL: Final = 'pq: invalid byte sequence for encoding "UTF8": 0x00'
_QUOTA_DETAIL: Final = 'pq: new row for relation "workspace_agents" violates check constraint "max_logs_length"'
_NOT_READY_DETAIL: Final = (
    "The agent cannot authenticate until the workspace provision job has been completed. "
    "If the job is no longer running, this agent is invalid."
)


class NulRule(StrEnum):
    """What a NUL in a line does: servers before April 2026 fail the whole batch, later ones store a mark."""

    FAIL = "fail"
    MARK = "mark"


class LogSource(msgspec.Struct, frozen=True):
    """A registered source, as the API shows it."""

    workspace_agent_id: str
    id: str
    created_at: str
    display_name: str
    icon: str


class StoredLog(msgspec.Struct, frozen=True):
    """One line as it lies in the database, and when its request took effect, after any artificial latency."""

    id: int
    created_at: str
    """The server's own receive time; what the client sent is not kept."""
    level: str
    output: str
    source_id: str
    received_unix_ns: int


class Agent(msgspec.Struct):
    """One workspace agent. A claimed prebuild's token moves on to a new one."""

    id: str
    token: str
    ready: bool = True
    """False: its build's job is not finished, so it is not authorised yet."""
    sources: dict[str, LogSource] = {}
    logs: list[StoredLog] = []
    logs_bytes: int = 0
    overflowed: bool = False
    repeated_lines: int = 0
    """Lines whose source, level and text this agent had got before."""
    told: set[tuple[str, str, str]] = set()


class CoderState:
    """All agents, past and present. Methods that answer a request return the reply; the others are the operator's."""

    def __init__(self) -> None:
        self._by_token: dict[str, Agent] = {}
        self._all: list[Agent] = []
        self._last_log_id = 0
        self.nul_rule = NulRule.MARK
        self.auto_agents = False

    def emptied(self) -> CoderState:
        """A server with the same rules and no agents."""
        fresh = CoderState()
        fresh.nul_rule, fresh.auto_agents = self.nul_rule, self.auto_agents
        return fresh

    # -- the operator's side

    def add_agent(self, token: str, *, ready: bool = True) -> Agent:
        """A new agent behind `token`; one that had it before is a former one from now on. Raises UnreadableBody."""
        agent = Agent(id=str(uuid.uuid4()), token=parse_uuid(token), ready=ready)
        self._by_token[agent.token] = agent
        self._all.append(agent)
        return agent

    def make_ready(self, token: str) -> None:
        """The agent's build is finished. Raises KeyError if there is none."""
        self._by_token[parse_uuid(token)].ready = True

    def remove_agent(self, token: str) -> None:
        """The workspace is deleted; what it logged stays readable in `agents`. Raises KeyError if there is none."""
        del self._by_token[parse_uuid(token)]

    def claim_prebuild(self, token: str) -> Agent:
        """A prebuilt workspace is claimed: its token stays, the agent behind it is a new one."""
        if parse_uuid(token) not in self._by_token:
            raise KeyError(token)
        return self.add_agent(token)

    def agents(self, token: str | None = None) -> Iterator[Agent]:
        """Agents in order of their making, former ones too; of one token or of all."""
        wanted = None if token is None else parse_uuid(token)
        return (agent for agent in self._all if wanted is None or agent.token == wanted)

    # -- the client's side

    def authorise(self, token: str) -> Agent | Reply:
        """The agent that `token` speaks for, or the 401."""
        if not token:
            return _message(401, 'Cookie "coder_session_token" must be provided.')
        try:
            canonical = parse_uuid(token)
        except UnreadableBody:
            detail = f"An agent token must be a valid UUIDv4. (len {len(token)})"
            return _message(401, "Workspace agent token invalid.", detail)
        agent = self._by_token.get(canonical)
        if agent is None and self.auto_agents:
            agent = self.add_agent(canonical)
        if agent is None or not agent.ready:
            return _message(401, "Workspace agent not authorized.", _NOT_READY_DETAIL)
        return agent

    def post_log_source(self, agent: Agent, body: LogSourceBody, now_unix_ns: int) -> Reply:
        """Register a source. Again: the same answer, but what was stored first stays."""
        source = LogSource(
            workspace_agent_id=agent.id,
            id=body.id or NIL_UUID,
            created_at=_timestamp(now_unix_ns),
            display_name=body.display_name or "",
            icon=body.icon or "",
        )
        agent.sources.setdefault(source.id, source)
        return json_reply(201, source)

    def patch_logs(self, agent: Agent, body: LogsBody, now_unix_ns: int) -> Reply:
        """Append a batch, wholly or not at all."""
        lines = body.logs or []
        if not lines:
            return _message(400, "No logs provided.")
        for line in lines:
            if line.level and line.level not in LEVELS:
                return _message(400, "Invalid log level provided.", f'invalid log level: "{line.level}"')
        source_id = self._source_of(agent, body.log_source_id or NIL_UUID, now_unix_ns)
        outputs = [line.output or "" for line in lines]
        if any("\0" in output for output in outputs):
            if self.nul_rule is NulRule.FAIL:
                return _message(500, "Failed to upload logs", _NUL_DETAIL)
            outputs = [output.replace("\0", "❌") for output in outputs]
        charged_bytes = sum(len(output.encode()) for output in outputs)
        # A sequence is not rolled back, so a refused batch uses up ids all the same.
        first_id, self._last_log_id = self._last_log_id + 1, self._last_log_id + len(lines)
        if agent.logs_bytes + charged_bytes > QUOTA_BYTES:
            return _over_quota(agent)
        agent.logs_bytes += charged_bytes
        for log_id, (line, output) in enumerate(zip(lines, outputs, strict=True), first_id):
            _store(agent, log_id, line, output, source_id, now_unix_ns)
        return json_reply(200, None)

    def _source_of(self, agent: Agent, source_id: str, now_unix_ns: int) -> str:
        if source_id != NIL_UUID:
            return source_id
        external = LogSource(agent.id, EXTERNAL_SOURCE_ID, _timestamp(now_unix_ns), "External", "/emojis/1f310.png")
        agent.sources.setdefault(EXTERNAL_SOURCE_ID, external)
        return EXTERNAL_SOURCE_ID


def _store(agent: Agent, log_id: int, line: LogLine, output: str, source_id: str, now_unix_ns: int) -> None:
    level = line.level or "info"
    cut = output[:OUTPUT_MAX_CHARS]
    telling = (source_id, level, cut)
    agent.repeated_lines += telling in agent.told
    agent.told.add(telling)
    agent.logs.append(StoredLog(log_id, _timestamp(now_unix_ns), level, cut, source_id, now_unix_ns))


def _over_quota(agent: Agent) -> Reply:
    # The database's complaint is shown only once the agent was known as overflowed before this request.
    detail = _QUOTA_DETAIL if agent.overflowed else ""
    agent.overflowed = True
    return _message(413, "Logs limit exceeded", detail)


def _message(status: int, message: str, detail: str = "") -> Reply:
    return json_reply(status, {"message": message, "detail": detail} if detail else {"message": message})


def _timestamp(unix_ns: int) -> str:
    # Microseconds, as the database keeps them.
    seconds, rest_ns = divmod(unix_ns, 1_000_000_000)
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S") + f".{rest_ns // 1_000:06d}Z"
