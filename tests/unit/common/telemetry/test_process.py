"""What processes use of the machine, read from outside."""

import os
import subprocess
import sys

import pytest
from prometheus_client import CollectorRegistry

from common.telemetry.process import ProcessUsage, own_registry

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="figures come from /proc")

FIGURES = ("cpu_seconds_total", "resident_memory_bytes", "open_fds", "max_fds", "start_time_seconds")


def value(registry: CollectorRegistry, figure: str, process: str) -> float | None:
    return registry.get_sample_value(f"process_{figure}", {"process": process})


def test_a_program_tells_what_it_uses_itself() -> None:
    registry = own_registry("shipper")
    assert all((value(registry, figure, "shipper") or 0) > 0 for figure in FIGURES)


def test_each_of_several_processes_has_its_own_figures_and_the_dead_have_none() -> None:
    pids = {"us": os.getpid()}
    registry = CollectorRegistry()
    registry.register(ProcessUsage(lambda: pids))
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        pids["child"] = child.pid
        memory = [value(registry, "resident_memory_bytes", process) or 0 for process in pids]
        assert 0 < memory[1] < memory[0]
        child.communicate(b"\n", timeout=10)
    assert value(registry, "resident_memory_bytes", "child") is None
    assert value(registry, "resident_memory_bytes", "us")
