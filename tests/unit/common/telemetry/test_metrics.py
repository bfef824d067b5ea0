"""Metrics by name, and merged over processes."""

import os
import subprocess
import sys
from pathlib import Path

from prometheus_client import REGISTRY, CollectorRegistry, generate_latest

from common.telemetry.merged import MergedMetrics
from common.telemetry.metrics import ShipperMetrics, SupervisorMetrics, WatcherMetrics
from common.version import release

CHILD = """
import os, sys
from prometheus_client import CollectorRegistry
from common.telemetry.metrics import ShipperMetrics, WatcherMetrics
shipper, watcher = ShipperMetrics(CollectorRegistry()), WatcherMetrics(CollectorRegistry())
shipper.lines.inc(3)
shipper.leases.set(2)
shipper.backlog_records.set(int(sys.argv[1]))
shipper.rate_limit_remaining.labels("logs").set(int(sys.argv[1]))
watcher.append_seconds.observe(0.2)
print("ready", flush=True)
sys.stdin.read()
"""


def test_the_peers_six_series_begin_at_zero() -> None:
    registry = CollectorRegistry()
    ShipperMetrics(registry)
    page = generate_latest(registry).decode()
    for method in ("PostLogSource", "ConnectRPC", "SendLog"):
        for status in ("success", "failure"):
            assert f'coder_logstream_requests_total{{method="{method}",status="{status}"}} 0.0' in page


def test_the_page_says_which_release_of_which_program_it_is() -> None:
    registry = CollectorRegistry()
    WatcherMetrics(registry)
    assert value(registry, "build_info", version=release(), program="watcher") == 1


def test_no_series_tells_when_a_counter_was_made() -> None:
    registry = CollectorRegistry()
    ShipperMetrics(registry)
    assert b"_created" not in generate_latest(registry)


def test_nothing_is_registered_globally() -> None:
    for _ in range(2):
        for metrics in (WatcherMetrics, ShipperMetrics, SupervisorMetrics):
            metrics(CollectorRegistry())
    assert b"coder_logstream" not in generate_latest(REGISTRY)


def start(merged: MergedMetrics, number: int) -> "subprocess.Popen[str]":
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(number)],
        env={**os.environ, **merged.environ},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    return child


def end(child: "subprocess.Popen[str]") -> None:
    child.communicate("", timeout=10)


def value(registry: CollectorRegistry, name: str, **labels: str) -> float | None:
    return registry.get_sample_value(f"coder_logstream_{name}", labels)


def test_counters_add_up_and_the_gauges_of_the_dead_are_forgotten(tmp_path: Path) -> None:
    merged = MergedMetrics(tmp_path)
    registry = merged.registry()
    first, second = start(merged, 10), start(merged, 20)
    assert value(registry, "lines_total") == 6
    assert value(registry, "leases") == 4
    assert value(registry, "backlog_records") == 20
    assert value(registry, "rate_limit_remaining", endpoint="logs") == 10
    assert value(registry, "append_seconds_count") == 2
    end(first)
    merged.forget(first.pid)
    assert value(registry, "lines_total") == 6
    assert value(registry, "leases") == 2
    assert value(registry, "rate_limit_remaining", endpoint="logs") == 20
    end(second)


def test_the_supervisors_own_metrics_stand_beside_the_childrens(tmp_path: Path) -> None:
    merged = MergedMetrics(tmp_path)
    registry = merged.registry()
    SupervisorMetrics(registry).process_restarts.labels("watcher").inc()
    child = start(merged, 1)
    assert value(registry, "process_restarts_total", program="watcher") == 1
    assert value(registry, "lines_total") == 3
    end(child)
