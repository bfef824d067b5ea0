"""The probes of several processes as one."""

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path

from prometheus_client import CollectorRegistry

from common.telemetry.http import Check, TelemetryServer
from console.probes import MergedProbes
from console.supervise import ProcessState, ProcessView

FINE = Check(ok=True)


def child(name: str, folder: Path, state: ProcessState = ProcessState.RUNNING) -> ProcessView:
    return ProcessView(name, name, state, 1, 0, folder / name)


@contextlib.contextmanager
def answering(view: ProcessView, live: Check = FINE, ready: Check = FINE) -> Iterator[None]:
    with TelemetryServer("", CollectorRegistry(), lambda: live, lambda: ready, f"unix:{view.probe}"):
        yield


def test_all_ready_is_ready(tmp_path: Path) -> None:
    one, two = child("shipper-1", tmp_path), child("shipper-2", tmp_path)
    valkey = ProcessView("valkey", "valkey", ProcessState.RUNNING, 1, 0)
    probes = MergedProbes(lambda: [valkey, one, two])
    with answering(one), answering(two):
        assert probes.ready() == probes.alive() == Check(ok=True)


def test_who_is_not_ready_and_why_is_said(tmp_path: Path) -> None:
    one, two = child("shipper-1", tmp_path), child("shipper-2", tmp_path)
    late = child("watcher", tmp_path)
    ended = child("valkey", tmp_path, ProcessState.WAITING)
    probes = MergedProbes(lambda: [ended, one, two, late])
    with answering(one), answering(two, ready=Check(ok=False, reason="Coder is away")):
        assert probes.ready() == Check(
            ok=False, reason="valkey is waiting to start again; shipper-2: Coder is away; watcher: starting"
        )
        assert probes.alive() == FINE  # it can all mend itself


def test_who_is_dead_and_why_is_said(tmp_path: Path) -> None:
    one, two = child("shipper-1", tmp_path), child("shipper-2", tmp_path)
    with answering(one), answering(two, live=Check(ok=False, reason="ended: drainer")):
        assert MergedProbes(lambda: [one, two]).alive() == Check(ok=False, reason="shipper-2: ended: drainer")


def test_who_hangs_is_dead(tmp_path: Path) -> None:
    one = child("shipper", tmp_path)
    with socket.socket(socket.AF_UNIX) as mute:
        mute.bind(str(one.probe))
        mute.listen()
        probes = MergedProbes(lambda: [one])
        assert probes.alive() == probes.ready() == Check(ok=False, reason="shipper: no answer within 0.8 s")
