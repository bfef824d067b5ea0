"""What the best possible client gets through Coder's rate limit. Pure: it asks the same counter as the Coder double."""

from __future__ import annotations

from typing import Final

import msgspec

from console.doubles.ratelimit import Limit, SlidingWindows

__all__ = ["IdealClient", "ideal_client"]

_STEP_NS: Final = 20_000_000
_GIVE_UP_NS: Final = 3_600 * 1_000_000_000


class IdealClient(msgspec.Struct, frozen=True):
    """A client that sends whenever the counter lets it, and never in vain."""

    admitted: int
    """Requests of one path that it gets through in the time given."""
    done_after_s: float
    """When it has had `requests` of them."""


def ideal_client(began_ns: int, ended_ns: int, limit: int, *, requests: int) -> IdealClient:
    """Simulate it from `began_ns` to `ended_ns` (Unix), and on until `requests` are through, at most an hour."""
    windows, rule = SlidingWindows(), Limit(limit)
    now_ns, through, admitted, done_ns = began_ns, 0, 0, 0
    while (now_ns < ended_ns or through < requests) and now_ns < began_ns + _GIVE_UP_NS:
        while windows.take("ideal", rule, now_ns).passes:
            through += 1
            if through == requests:
                done_ns = now_ns
        if now_ns < ended_ns:
            admitted = through
        now_ns += _STEP_NS
    return IdealClient(admitted, ((done_ns or now_ns) - began_ns) / 1e9)
