"""Faults that a double is told to show: which request gets which, and how often. Pure.

A request is described by a few facts (`{"endpoint": "logs", "token": "..."}`); an injection names the facts it wants.
The oldest injection that fits is used up first.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

__all__ = ["Answer", "Drop", "Fault", "FaultPlan", "Hang", "Injection"]


class Answer(msgspec.Struct, frozen=True, tag="answer"):
    """Answer with this instead of handling the request."""

    status: int
    body: str = ""
    headers: dict[str, str] = {}


class Drop(msgspec.Struct, frozen=True, tag="drop"):
    """Read the whole request, then cut the connection without an answer."""

    handled: bool = False
    """True: the request takes its effect first, which its sender cannot know."""


class Hang(msgspec.Struct, frozen=True, tag="hang"):
    """Read the whole request and never answer."""

    handled: bool = False
    """True: the request takes its effect first, which its sender cannot know."""


Fault = Answer | Drop | Hang


class Injection(msgspec.Struct, frozen=True):
    """Show `fault` to the next `times` requests whose facts include all of `where`."""

    fault: Fault
    times: int = 1
    where: dict[str, str] = {}


class FaultPlan:
    """The injections that are not used up yet, oldest first."""

    def __init__(self) -> None:
        self._left: list[tuple[Injection, int]] = []

    def add(self, injection: Injection) -> None:
        self._left.append((injection, injection.times))

    def clear(self) -> None:
        self._left.clear()

    def take(self, facts: Mapping[str, str]) -> Fault | None:
        """The fault for a request of which these facts are known, None if it is to be handled normally."""
        for index, (injection, times) in enumerate(self._left):
            if injection.where.items() <= facts.items():
                if times <= 1:
                    del self._left[index]
                else:
                    self._left[index] = (injection, times - 1)
                return injection.fault
        return None
