"""The start-up of pods as histograms: by phase, and by whether it ended well."""

from __future__ import annotations

from typing import Final

from common.record import Timeline
from common.telemetry.metrics import WatcherMetrics

__all__ = ["StartTimes"]

_PHASES: Final = {
    "total": "total_ms",
    "scheduled": "scheduled_ms",
    "volumes": "volumes_ms",
    "images": "images_ms",
    "init_containers": "inits_ms",
    "containers": "containers_ms",
}
"""By label, the field of `Timeline`."""


class StartTimes:
    def __init__(self, metrics: WatcherMetrics) -> None:
        self._phases = {
            failed: {
                field: metrics.pod_start_seconds.labels(phase, "failed" if failed else "started")
                for phase, field in _PHASES.items()
            }
            for failed in (False, True)
        }

    def observe(self, timeline: Timeline, *, failed: bool) -> None:
        """Count one start; a phase that is not known is not counted."""
        for field, histogram in self._phases[failed].items():
            span_ms = getattr(timeline, field)
            if span_ms is not None:
                histogram.observe(span_ms / 1_000)
