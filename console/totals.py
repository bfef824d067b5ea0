"""The few figures that tell whether all is well, read from the merged metrics of all processes. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from prometheus_client import CollectorRegistry

__all__ = ["Totals", "read_totals"]


@dataclass(frozen=True)
class Totals:
    """Sums over all processes since each one's start."""

    records: int
    """Records that watchers appended."""
    lines: int
    """Lines that Coder accepted."""
    dropped: int
    waiting: int
    """Records in Redis."""
    oldest_due_s: float
    held_agents: int
    known_objects: int


def read_totals(registry: CollectorRegistry) -> Totals:
    """The figures that `registry` holds now; what no process has reported yet is 0."""
    found = _Samples(registry)
    return Totals(
        records=int(found.sum("coder_logstream_records_total", outcome="accepted")),
        lines=int(found.sum("coder_logstream_lines_total")),
        dropped=int(found.sum("coder_logstream_dropped_total")),
        waiting=int(found.sum("coder_logstream_backlog_records")),
        oldest_due_s=found.sum("coder_logstream_oldest_due_seconds"),
        held_agents=int(found.sum("coder_logstream_held_agents")),
        known_objects=int(found.sum("coder_logstream_known_objects")),
    )


class _Samples:
    def __init__(self, registry: CollectorRegistry) -> None:
        self._samples = [sample for metric in registry.collect() for sample in metric.samples]

    def sum(self, name: str, **labels: str) -> float:
        return sum(self._values(name, labels))

    def _values(self, name: str, labels: dict[str, str]) -> Iterator[float]:
        for sample in self._samples:
            if sample.name == name and labels.items() <= sample.labels.items():
                yield sample.value
