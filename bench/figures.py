"""What a scenario answers: figures with their targets. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from enum import StrEnum

import msgspec

from bench.tally import median

__all__ = ["Figure", "Verdict", "merged"]


class Verdict(StrEnum):
    """How a figure stands to its target."""

    MET = "met"
    MISSED = "MISSED"
    REPORTED = ""
    """There is no target."""


class Figure(msgspec.Struct, frozen=True):
    """One number. A target is an upper limit; 0 means «none at all»."""

    scenario: str
    name: str
    value: float
    unit: str
    target: float | None = None
    forwarder: float | None = None
    """The same, measured with the bare forwarder."""
    note: str = ""
    runs: list[float] = []
    """The single runs' values, if `value` is a median of several."""

    @property
    def verdict(self) -> Verdict:
        if self.target is None:
            return Verdict.REPORTED
        return Verdict.MET if self.value <= self.target else Verdict.MISSED

    @property
    def ratio(self) -> float | None:
        """Ours by the forwarder's."""
        if self.forwarder is None or not self.forwarder or math.isnan(self.forwarder):
            return None
        return self.value / self.forwarder


def merged(runs: Sequence[Sequence[Figure]]) -> list[Figure]:
    """One figure for each scenario and name: the median; where the target is 0 (lost, repeated) the worst."""
    by_key: dict[tuple[str, str], list[Figure]] = {}
    for figure in (figure for run in runs for figure in run):
        by_key.setdefault((figure.scenario, figure.name), []).append(figure)
    return [_middle(figures) for figures in by_key.values()]


def _middle(figures: Sequence[Figure]) -> Figure:
    values = [figure.value for figure in figures]
    forwarders = [figure.forwarder for figure in figures if figure.forwarder is not None]
    last = figures[-1]
    return msgspec.structs.replace(
        last,
        value=max(values) if last.target == 0 else median(values),
        forwarder=median(forwarders) if forwarders else None,
        runs=values if len(values) > 1 else [],
    )
