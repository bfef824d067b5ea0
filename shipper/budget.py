"""What is left of an agent's byte budget, and for whom: the less there is, the more a record has to matter. Pure.

Keeps guarantee 5. A rank is shown up to a share of the budget (`common/rank.py`), and the last bytes are kept for the
last line. All depends on what is settled and on the record alone, so a request whose fate is unknown is made up again
in the same way. Decision: ADR 34.
"""

from __future__ import annotations

from typing import Final

import msgspec

from common.rank import Rank, shown_within_bytes
from common.store.model import AgentState

__all__ = ["RESERVE_BYTES", "Account"]

RESERVE_BYTES: Final = 256
"""Of each agent's budget, for the last line, which says that the budget is used up."""


class Account(msgspec.Struct, frozen=True):
    """An agent's budget as its last settlement left it."""

    budget_bytes: int
    spent_bytes: int = 0
    refused: int = 0
    """As the next two in `AgentState`."""
    left_out: int = 0
    left_out_said: int = 0

    @classmethod
    def of(cls, state: AgentState, budget_bytes: int) -> Account:
        return cls(budget_bytes, state.spent_bytes, state.refused, state.left_out, state.left_out_said)

    def has_room(self, rank: Rank, output_bytes: int) -> bool:
        """Whether a request of `output_bytes` may end with a record of `rank`."""
        most_bytes = min(shown_within_bytes(rank, self.budget_bytes), self.budget_bytes - RESERVE_BYTES)
        return self.spent_bytes + output_bytes <= most_bytes
