"""Spend Coder's rate limit without running into it. Pure: callers pass the monotonic time.

Coder counts requests per source address and path, 512 a minute unless configured, and tells in each answer what is
left of it (FACTS 1). Each path has its own allowance here:

- The upper half of the limit is for bursts: with quota to spare a request leaves at once.
- The lower half is rationed: what is left / time to the reset / processes that share our address, but as long as
  a sixteenth of the limit is left not below limit / window, which a sliding window gives back while it is taken
  (simulated: 1,000 requests take 121 s instead of 132, the best possible client 117, none of them a 429).
  Replicas of Coder count apart, so of several answers the lowest of the last second holds.
- A 429 rests the path until the reset and a little longer; then one request goes ahead and the others follow its
  answer. The same after a reset that nobody has seen the far side of: the window slides, so little may be regained.
- Some requests may use only a share of the limit: agents that Coder has never accepted a quarter of PATCH, probes of
  held agents half of POST log-source, so that the dead never starve the living.

No answer ever carried the headers: no limit, no pacing.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from enum import Enum
from random import Random
from typing import Final

import msgspec

from shipper.outcome import Answer, Call

__all__ = ["FREE_PLACES", "Pace", "Path", "Quota", "Share", "read_quota"]

FREE_PLACES: Final = 1_000_000
LOWEST_OF_S: Final = 1.0
WINDOW_S: Final = 60.0
REST_JITTER_S: Final = 2.0
TRIAL_S: Final = 2.0
"""A request that went ahead and is not answered by then no longer holds the others back."""
ONE_TOKEN: Final = 1.0 - 1e-6
"""What counts as one: sums of fractions may end just below it."""
FLOW_ABOVE: Final = 1 / 16
"""While more than this share of the limit is left, an even flow of limit / window cannot use it up at once."""
RATE_MIN: Final = 0.5
"""Requests a second (before sharing) that are always tried: without an answer nothing new is learnt."""


class Quota(msgspec.Struct, frozen=True):
    """What an answer says of the path's limit. `reset_in_s` > 0 from the answer's own `Date`."""

    limit: int
    remaining: int
    reset_in_s: float


class Share(Enum):
    """Which part of a path's limit a kind of request may use in one window."""

    ALL = 1.0
    UNPROVEN = 0.25
    PROBE = 0.5


def read_quota(headers: Mapping[str, str]) -> Quota | None:
    """The quota in an answer's headers (names in lower case), or None if there is none or it makes no sense."""
    try:
        limit, remaining = int(headers["x-ratelimit-limit"]), int(headers["x-ratelimit-remaining"])
        reset_at_s = float(headers["x-ratelimit-reset"])
        # Both by Coder's clock: ours may be wrong.
        reset_in_s = reset_at_s - parsedate_to_datetime(headers["date"]).timestamp()
    except (KeyError, ValueError, OverflowError):
        return None
    if limit <= 0 or remaining < 0 or not math.isfinite(reset_in_s):
        return None
    return Quota(limit, remaining, min(max(reset_in_s, 1.0), WINDOW_S))


class Path:
    """The allowance of one path."""

    def __init__(self, random: Random, processes: int) -> None:
        self._random = random
        self._processes = processes
        self._recent: deque[tuple[float, Quota]] = deque()
        self._quota: Quota | None = None
        self._reset_s = 0.0  # monotonic
        self._resting_until_s = 0.0
        self._trial_due = False
        self._trial_until_s = 0.0
        self._tokens = 1.0
        self._refilled_s = 0.0
        self._used = dict.fromkeys(Share, 0)

    @property
    def quota(self) -> Quota | None:
        """What the path had left by the last answers, None if it has no limit."""
        return self._quota

    def observe(self, answer: Answer, rest_s: float | None, now_s: float) -> None:
        """Learn from an answer; `rest_s` is how long a 429 asks to rest, None if it is no 429."""
        quota = read_quota(answer.headers)
        if quota is not None:
            self._learn(quota, now_s)
        if rest_s is not None:
            wait_s = quota.reset_in_s if quota is not None else rest_s
            self._resting_until_s = now_s + wait_s + self._random.uniform(0.0, REST_JITTER_S)
            self._trial_due, self._trial_until_s = True, 0.0
        elif now_s >= self._resting_until_s:
            self._trial_due, self._trial_until_s = False, 0.0

    def take(self, share: Share, now_s: float) -> float:
        """0 and one request is booked; or the seconds (> 0) after which to ask again, and nothing is booked."""
        self._roll(now_s)
        wait_s = max(self._share_wait_s(share, now_s), self.wait_s(now_s))
        if wait_s > 0:
            return wait_s
        self._used[share] += 1
        if self._quota is not None:  # until an answer says better
            self._quota = msgspec.structs.replace(self._quota, remaining=max(0, self._quota.remaining - 1))
        if self._trial_due:
            self._trial_until_s = now_s + TRIAL_S
        elif not self._is_free():
            self._tokens -= 1.0
        return 0.0

    def wait_s(self, now_s: float) -> float:
        """Seconds until a request may leave, 0 for now."""
        self._roll(now_s)
        if now_s < self._resting_until_s:
            return self._resting_until_s - now_s
        if self._trial_due:
            return max(0.0, self._trial_until_s - now_s)
        if self._is_free() or self._tokens >= ONE_TOKEN:
            return 0.0
        return (1.0 - self._tokens) / self._rate(now_s)

    def places(self, now_s: float) -> int:
        """How many requests may leave within a second from now."""
        if self.wait_s(now_s) > 0:
            return 0
        if self._trial_due:
            return 1
        if self._quota is None:
            return FREE_PLACES
        if self._is_free():
            return max(1, self._quota.remaining - self._quota.limit // 2)
        return max(1, int(self._tokens + self._rate(now_s)))

    def _learn(self, quota: Quota, now_s: float) -> None:
        self._recent.append((now_s, quota))
        while now_s - self._recent[0][0] > LOWEST_OF_S:
            self._recent.popleft()
        self._quota = min((seen for _, seen in self._recent), key=lambda seen: seen.remaining)
        reset_s = now_s + quota.reset_in_s
        if reset_s > self._reset_s + WINDOW_S / 2:
            self._used = dict.fromkeys(Share, 0)
        self._reset_s = max(self._reset_s, reset_s)

    def _roll(self, now_s: float) -> None:
        """Bring the tokens, and the window if it is over, up to `now_s`."""
        if self._quota is not None and now_s >= self._reset_s:
            if not self._is_free():
                self._trial_due = True
            self._recent.clear()
            self._quota = msgspec.structs.replace(self._quota, remaining=self._quota.limit)
            self._reset_s = now_s + WINDOW_S
            self._used = dict.fromkeys(Share, 0)
        if self._quota is not None:
            # At most one second's worth: pacing is even, or it is none.
            rate = self._rate(now_s)
            self._tokens = min(max(1.0, rate), self._tokens + (now_s - self._refilled_s) * rate)
        self._refilled_s = now_s

    def _is_free(self) -> bool:
        return self._quota is None or self._quota.remaining * 2 > self._quota.limit

    def _rate(self, now_s: float) -> float:
        if self._quota is None:
            return math.inf
        quota = self._quota
        even = quota.remaining / max(self._reset_s - now_s, 1.0)
        flow = quota.limit / WINDOW_S if quota.remaining > quota.limit * FLOW_ABOVE else RATE_MIN
        return max(even, flow) / self._processes

    def _share_wait_s(self, share: Share, now_s: float) -> float:
        if share is Share.ALL or self._quota is None:
            return 0.0
        most = max(1.0, self._quota.limit * share.value / self._processes)
        return max(self._reset_s - now_s, 1.0) if self._used[share] >= most else 0.0


class Pace:
    """The allowances of all paths."""

    def __init__(self, random: Random, processes: int = 1) -> None:
        """`processes` (>= 1) share our source address."""
        self.paths: Final = {call: Path(random, processes) for call in Call}

    def observe(self, call: Call, answer: Answer, rest_s: float | None, now_s: float) -> None:
        self.paths[call].observe(answer, rest_s, now_s)

    def take(self, call: Call, share: Share, now_s: float) -> float:
        """See `Path.take`."""
        return self.paths[call].take(share, now_s)

    def places(self, now_s: float) -> int:
        """How many agents may be claimed now: as many as can be sent something within a second."""
        return self.paths[Call.LOGS].places(now_s)

    def wait_s(self, now_s: float) -> float:
        """Seconds until `places` may be positive."""
        return self.paths[Call.LOGS].wait_s(now_s)
