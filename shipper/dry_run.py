"""A dry run: lines go to a stream as JSON, one object a line, and count as delivered; Coder is not asked.

A workspace's token is in none of them. All else is as ever: batches, order, budget, drops; but Coder's rate limit and
refusals, which nobody can know without asking. Once nobody reads the stream any more nothing counts as delivered.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import BinaryIO, Final

import msgspec

from common.ids import AgentId
from common.store.model import Card, Lease
from shipper.outcome import Answer, NoAnswer, Reply, Sent
from shipper.text import Line
from shipper.wire import Begin

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
    """All agents' desks, which write to `out`. A reader that is slow makes everything wait; of one that is gone
    `on_unread` is told."""

    def __init__(self, out: BinaryIO, on_unread: Callable[[], None]) -> None:
        self._out = out
        self._on_unread = on_unread

    def for_agent(self, lease: Lease) -> _Desk:
        return _Desk(lease, self)

    def show(self, lines: Sequence[bytes]) -> Reply:
        """Write `lines`, one write each: shippers may share the stream, and a pipe keeps a short write whole."""
        for place, line in enumerate(lines):
            try:
                self._out.write(line + b"\n")
                self._out.flush()
            except BrokenPipeError:
                self._on_unread()
                return NoAnswer(Sent.MAYBE if place else Sent.NO, "nobody reads the output any more")
        return _TAKEN


class _Desk:
    def __init__(self, lease: Lease, run: DryRun) -> None:
        self._agent = lease.agent
        self._card = lease.card or Card(b"", "", "")
        self._run = run

    async def register_source(self, _token: str, begin: Begin) -> Reply:
        await begin()
        return _REGISTERED

    async def send_logs(self, _token: str, lines: Sequence[Line], begin: Begin) -> Reply:
        await begin()
        now, card = datetime.now(UTC).isoformat(timespec="milliseconds"), self._card
        whose = (now, self._agent, card.namespace, card.name, card.workspace, card.owner)
        return self._run.show([_encoder.encode(ShownLine(*whose, line.level.value, line.text)) for line in lines])
