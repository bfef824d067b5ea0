"""One /metrics for several processes: Prometheus' multiprocess mode, seen from the process that starts the others.

The children write their values into files of one directory; the parent merges them at each scrape. The parent itself
must not have `PROMETHEUS_MULTIPROC_DIR` set, or its own metrics would be written there too.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

__all__ = ["MergedMetrics"]

_VARIABLE: Final = "PROMETHEUS_MULTIPROC_DIR"


class MergedMetrics:
    """The metrics of child processes, in `directory`, which must be empty at first and is not removed."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    @property
    def environ(self) -> dict[str, str]:
        """What a child needs in its environment."""
        return {_VARIABLE: str(self._directory)}

    def registry(self) -> CollectorRegistry:
        """A registry that merges the children's values each time it is collected; it may get metrics of its own."""
        registry = CollectorRegistry()
        MultiProcessCollector(registry, path=str(self._directory))  # type: ignore[no-untyped-call]
        return registry

    def forget(self, pid: int) -> None:
        """Child `pid` has ended: what it gauged counts no more; what it counted stays."""
        mark_process_dead(pid, path=str(self._directory))  # type: ignore[no-untyped-call]
