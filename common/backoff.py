"""Exponential back-off with full jitter. Pure: the random source is an argument.

Full jitter (a delay drawn evenly from zero to the bound) spreads many clients better than a jittered bound;
`floor` keeps a lone client from hammering when the draw is near zero.
"""

from __future__ import annotations

from random import Random

import msgspec

__all__ = ["Backoff"]


class Backoff(msgspec.Struct, frozen=True):
    """Delays by attempt n, from 0: drawn evenly between `floor_s` and min(`base_s` * `factor`^n, `cap_s`)."""

    base_s: float = 0.5
    factor: float = 2.0
    cap_s: float = 30.0
    floor_s: float = 0.05

    def bound_s(self, attempt: int) -> float:
        """The longest delay of `attempt` (0 is the first)."""
        # The exponent is capped before the power is taken: attempt may have grown for days.
        return max(self.floor_s, min(self.cap_s, self.base_s * self.factor ** min(attempt, 64)))

    def delay_s(self, attempt: int, random: Random) -> float:
        """How long to wait before the next try after failure number `attempt` (0 is the first)."""
        return random.uniform(self.floor_s, self.bound_s(attempt))
