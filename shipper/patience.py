"""Say aloud when Coder has not known an agent (401) for longer than a build usually takes. Once for each hold."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

import structlog

from common.ids import AgentId
from common.store.model import AgentState, Card, Lease
from shipper.hold import hold_age_s
from shipper.reasons import Reason

__all__ = ["LONG_S", "Patience"]

LONG_S: Final = 120.0
"""In a build that waits for nothing an agent is known within this time; the alert has the same."""
REMEMBERED_MAX: Final = 10_000

log = structlog.get_logger()


class Patience:
    """Remembers of which hold the log was told."""

    def __init__(self) -> None:
        self._told: OrderedDict[AgentId, int] = OrderedDict()

    def tell(self, lease: Lease, state: AgentState, reason: Reason, now_ms: int) -> None:
        """The agent of `lease` is held for `reason`, as `state` has it."""
        held_s = hold_age_s(state, reason, now_ms)
        if reason is not Reason.UNAUTHORIZED or held_s < LONG_S:
            return
        if self._told.get(lease.agent) == state.held_since_ms:
            return
        self._told.pop(lease.agent, None)
        self._told[lease.agent] = state.held_since_ms
        if len(self._told) > REMEMBERED_MAX:
            self._told.popitem(last=False)
        card = lease.card or Card(b"", "", "")
        log.warning(
            "Coder has not known an agent for over two minutes (401); its lines wait",
            agent=lease.agent,
            namespace=card.namespace,
            name=card.name,
            workspace=card.workspace,
            held_s=round(held_s),
            remedy="does its build take so long (wait_for_rollout?), was the workspace deleted, or is it another "
            "Coder's? See coder-logstream status and the agent's name",
        )
