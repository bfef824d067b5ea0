"""The sliding-window request counter of Coder's API. Pure: the time is an argument.

Two fixed windows are counted; the previous one weighs by the share of it that still lies within one window's length
of now. A refused request is not counted. Windows begin at whole multiples of their length since 1970, so the limit
«per minute» turns at full minutes whatever a client does.
Source: FACTS 1 (measured), go-chi/httprate (read).
"""

from __future__ import annotations

import math
from typing import Final

import msgspec

__all__ = ["Limit", "SlidingWindows", "Turn"]

_NS_PER_S: Final = 1_000_000_000


class Limit(msgspec.Struct, frozen=True):
    """How many requests one key may make. `requests` <= 0 turns the limit off."""

    requests: int = 512
    window_s: int = 60


class Turn(msgspec.Struct, frozen=True):
    """What the counter says of one request: whether it passes, and the numbers for the answer's headers."""

    passes: bool
    remaining: int
    reset_at_s: int
    """Unix time, end of the current window."""


class SlidingWindows:
    """Counts requests by key. Memory is bounded: only keys of the current and the previous window are kept."""

    def __init__(self) -> None:
        self._window_start_s = 0
        self._window_s = 0
        self._current: dict[str, int] = {}
        self._previous: dict[str, int] = {}

    def take(self, key: str, limit: Limit, now_ns: int) -> Turn:
        """Count one request of `key` at Unix time `now_ns`, if it still fits. `limit.requests` must be positive."""
        self._roll(limit.window_s, now_ns)
        used = self._rate(key, now_ns)
        passes = used + 1 <= limit.requests
        if passes:
            self._current[key] = self._current.get(key, 0) + 1
            used += 1
        return Turn(passes, limit.requests - used, self._window_start_s + limit.window_s)

    def _roll(self, window_s: int, now_ns: int) -> None:
        start_s = now_ns // _NS_PER_S // window_s * window_s
        if (start_s, window_s) == (self._window_start_s, self._window_s):
            return
        follows = window_s == self._window_s and start_s == self._window_start_s + window_s
        self._previous = self._current if follows else {}
        self._current = {}
        self._window_start_s, self._window_s = start_s, window_s

    def _rate(self, key: str, now_ns: int) -> int:
        elapsed_ns = now_ns - self._window_start_s * _NS_PER_S
        left = 1 - elapsed_ns / (self._window_s * _NS_PER_S)
        # Halves are rounded up, as the server does; Python's round() would go to even.
        return math.floor(self._previous.get(key, 0) * left + self._current.get(key, 0) + 0.5)
