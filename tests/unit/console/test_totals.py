"""The few figures of a run."""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.registry import Collector

from common.telemetry.metrics import ShipperMetrics, WatcherMetrics
from console.totals import Totals, read_totals


class Together(Collector):
    """What several processes have."""

    def __init__(self, *registries: CollectorRegistry) -> None:
        self._registries = registries

    def collect(self) -> Iterator[Metric]:
        for registry in self._registries:
            yield from registry.collect()


def test_figures_are_summed_over_labels_and_absent_ones_are_zero() -> None:
    registry = CollectorRegistry()
    assert read_totals(registry) == Totals(0, 0, 0, 0, 0.0, 0, 0)
    first, second = CollectorRegistry(), CollectorRegistry()
    watcher, shipper = WatcherMetrics(first), ShipperMetrics(second)
    registry.register(Together(first, second))
    watcher.records.labels("accepted").inc(5)
    watcher.records.labels("duplicate").inc(7)
    watcher.known_objects.labels("Pod").set(2)
    watcher.known_objects.labels("ReplicaSet").set(1)
    shipper.lines.inc(4)
    shipper.dropped.labels("budget").inc(1)
    shipper.dropped.labels("dead").inc(2)
    shipper.backlog_records.set(3)
    shipper.oldest_due_seconds.set(1.5)
    shipper.held_agents.labels("unauthorized").set(1)
    assert read_totals(registry) == Totals(5, 4, 3, 3, 1.5, 1, 3)
