"""A dry run: lines go to a stream as JSON, one object a line, and count as delivered; Coder is not asked.

A workspace's token is in none of them. All else is as ever: batches, order, budget, drops; but Coder's rate limit and
refusals, which nobody can know without asking.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import BinaryIO, Final

import msgspec

from common.ids import AgentId
from common.store.model import Card, Lease
from shipper.outcome import Answer, Reply
from shipper.text import Line

__all__ = ["DryRun", "ShownLine"]

NOBODY: Final = "dry-run"
"""Stands for the workspace agent behind a token: another one than any that Coder tells later."""
_REGISTERED: Final = Answer(201, {}, msgspec.json.encode({"workspace_agent_id": NOBODY}))
_TAKEN: Final = Answer(200, {}, b"null")


class ShownLine(msgspec.Struct, frozen=True):
    """A line as it is written."""

    at: str
    agent: AgentId
    namespace: str
    name: str
    workspace: str
    owner: str
    level: str
    line: str


_encoder = msgspec.json.Encoder()


class DryRun:
    """All agents' desks, which write to `out`. A reader that is slow makes everything wait."""

    def __init__(self, out: BinaryIO) -> None:
        self._out = out

    def for_agent(self, lease: Lease) -> _Desk:
        return _Desk(lease, self._out)


class _Desk:
    def __init__(self, lease: Lease, out: BinaryIO) -> None:
        self._agent = lease.agent
        self._card = lease.card or Card(b"", "", "")
        self._out = out

    async def register_source(self, _token: str) -> Reply:
        return _REGISTERED

    async def send_logs(self, _token: str, lines: Sequence[Line]) -> Reply:
        now, card = datetime.now(UTC).isoformat(timespec="milliseconds"), self._card
        whose = (now, self._agent, card.namespace, card.name, card.workspace, card.owner)
        shown = [_encoder.encode(ShownLine(*whose, line.level.value, line.text)) for line in lines]
        for each in shown:  # one write a line: shippers may share the stream, and a pipe keeps a short write whole
            self._out.write(each + b"\n")
            self._out.flush()
        return _TAKEN
