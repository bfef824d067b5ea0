"""Which agents this process has lately heard from. Pure, in memory, bounded.

After a quiet spell the agent behind a token may be another one: a prebuilt workspace that was claimed keeps its token
(FACTS 1). An agent that we do not remember counts as quiet: asking once too often costs one request, of a kind that
has its own rate limit.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from common.ids import AgentId

__all__ = ["QUIET_S", "Familiar"]

QUIET_S: Final = 600.0
REMEMBERED_MAX: Final = 20_000


class Familiar:
    """Agent -> when Coder last took something of it."""

    def __init__(self, most: int = REMEMBERED_MAX) -> None:
        self._most = most
        self._heard_at_s: OrderedDict[AgentId, float] = OrderedDict()

    def heard(self, agent: AgentId, now_s: float) -> None:
        """Coder took something of `agent` at the monotonic time `now_s`."""
        self._heard_at_s[agent] = now_s
        self._heard_at_s.move_to_end(agent)
        if len(self._heard_at_s) > self._most:
            self._heard_at_s.popitem(last=False)

    def is_quiet(self, agent: AgentId, now_s: float) -> bool:
        """Whether nothing was heard of `agent` for `QUIET_S`, as far as we remember."""
        heard_at_s = self._heard_at_s.get(agent)
        return heard_at_s is None or now_s - heard_at_s > QUIET_S
