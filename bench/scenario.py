"""What a scenario is, and how its readings become figures. Pure."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence

import msgspec

from bench.bed import Contender
from bench.figures import Figure

__all__ = ["Reading", "Scenario", "figures"]


class Reading(msgspec.Struct, frozen=True):
    """One number read off one contender's run."""

    name: str
    value: float
    unit: str
    note: str = ""


class Scenario(msgspec.Struct, frozen=True):
    """One kind of run. `seconds` is its length, or where that is not for us to choose, the limit."""

    name: str
    seconds: float
    run: Callable[[Contender, float], Awaitable[list[Reading]]]
    targets: Mapping[str, float]
    compared: bool = True
    """Whether the bare forwarder can do it at all."""


def figures(scenario: Scenario, ours: Sequence[Reading], forwarder: Sequence[Reading]) -> list[Figure]:
    """The readings as figures, beside those of the forwarder that have the same name."""
    other = {reading.name: reading.value for reading in forwarder}
    return [
        Figure(
            scenario.name,
            reading.name,
            reading.value,
            reading.unit,
            scenario.targets.get(reading.name),
            other.get(reading.name),
            reading.note,
        )
        for reading in ours
    ]
