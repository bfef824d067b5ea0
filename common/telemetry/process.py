"""What processes use of the machine: CPU, memory, files. Under the names that Prometheus' own clients give it.

Read from /proc at each scrape, so that one process can tell of others: a client library's own figures are not available
where the metrics of several processes are merged. Where there is no /proc (macOS) there are no figures.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

__all__ = ["ProcessUsage", "own_registry"]

_Family = type[CounterMetricFamily] | type[GaugeMetricFamily]

_SHOWN: Final[Mapping[str, tuple[_Family, str]]] = {
    "process_cpu_seconds": (CounterMetricFamily, "CPU time that the process has used, by user and system together."),
    "process_resident_memory_bytes": (GaugeMetricFamily, "Memory of the process that is in RAM."),
    "process_open_fds": (GaugeMetricFamily, "Files and sockets that the process has open."),
    "process_max_fds": (GaugeMetricFamily, "Files and sockets that the process may have open."),
    "process_start_time_seconds": (GaugeMetricFamily, "When the process started, in seconds since 1970."),
}


class ProcessUsage(Collector):
    """`pids` answers the processes that run now, by name; called in the threads that serve scrapes."""

    def __init__(self, pids: Callable[[], Mapping[str, int]]) -> None:
        self._pids = pids

    def collect(self) -> Iterator[CounterMetricFamily | GaugeMetricFamily]:
        """Each figure with the label `process`; one that ends meanwhile is left out."""
        families = {name: make(name, text, labels=("process",)) for name, (make, text) in _SHOWN.items()}
        for process, pid in self._pids().items():
            for figure in ProcessCollector(pid=_same(pid), registry=None).collect():
                if figure.name in families:
                    families[figure.name].add_metric((process,), figure.samples[0].value)
        yield from families.values()


def own_registry(program: str) -> CollectorRegistry:
    """A registry that has what this process uses, and nothing else yet."""
    registry = CollectorRegistry()
    registry.register(ProcessUsage(lambda: {program: os.getpid()}))
    return registry


def _same(pid: int) -> Callable[[], int]:
    return lambda: pid
