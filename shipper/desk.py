"""Where an agent's lines are handed in: Coder, or what stands in its place. Chosen in `shipper.parts`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, assert_never

from common.store.model import Lease
from shipper.outcome import Call, Reply
from shipper.text import Line
from shipper.wire import Begin

__all__ = ["Desk", "Desks", "hand_in"]


class Desk(Protocol):
    """Takes one agent's requests. Every failure is a value, but what `begin` raises, which keeps the request."""

    async def register_source(self, token: str, begin: Begin) -> Reply:
        """Make our log source known for the agent of `token`; any number of times."""
        ...

    async def send_logs(self, token: str, lines: Sequence[Line], begin: Begin) -> Reply:
        """Append `lines` (at least one) to the log of the agent of `token`. Not idempotent."""
        ...


class Desks(Protocol):
    """Has one for each agent."""

    def for_agent(self, lease: Lease) -> Desk: ...


async def hand_in(desk: Desk, call: Call, token: str, lines: Sequence[Line], begin: Begin) -> Reply:
    """The answer of `desk` to one request. `lines` are for LOGS only. Raises what `begin` does."""
    match call:
        case Call.LOGS:
            return await desk.send_logs(token, lines, begin)
        case Call.LOG_SOURCE:
            return await desk.register_source(token, begin)
        case _:
            assert_never(call)
