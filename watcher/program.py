"""One watcher process from its start to its exit code.

Start: settings are checked, then Redis is waited for, then the cluster's address is read; what no waiting can mend
is one line and exit code 1. SIGTERM and SIGINT: read no more, write what was read, exit 0.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from random import SystemRandom
from typing import Final

import structlog

from common.clock import SystemClock
from common.crypto import WrongTokenKey
from common.event_loop import new_event_loop
from common.settings.watcher import WatcherSettings
from common.store.errors import StoreRefused
from common.store.model import RETENTION, Retention
from common.telemetry.http import TelemetryServer
from common.telemetry.logging import configure_logging, wants_json
from common.telemetry.metrics import WatcherMetrics
from common.telemetry.process import own_registry
from watcher.directory import TOMBSTONE_S
from watcher.kube_errors import NoCluster
from watcher.parts import Watcher

__all__ = ["run_watcher"]

EXIT_REFUSED: Final = 1

log = structlog.get_logger()


def run_watcher(settings: WatcherSettings, retention: Retention = RETENTION, tombstone_s: float = TOMBSTONE_S) -> int:
    """Watch Kubernetes and append what it says."""
    configure_logging("watcher", json=wants_json(settings.log_format, sys.stderr), level=settings.log_level.value)
    registry = own_registry("watcher")
    try:
        watcher = Watcher(settings, WatcherMetrics(registry), SystemClock(), SystemRandom(), retention, tombstone_s)
    except StoreRefused as error:
        log.error("cannot start", error=str(error))
        return EXIT_REFUSED
    telemetry = TelemetryServer(
        settings.metrics_addr, registry, watcher.alive, watcher.ready, probe_addr=settings.probe_addr
    )
    with telemetry:
        try:
            with asyncio.Runner(loop_factory=new_event_loop) as runner:
                runner.run(_until_signalled(watcher))
        except (NoCluster, StoreRefused, WrongTokenKey) as error:
            log.error("cannot go on", error=str(error))
            return EXIT_REFUSED
    log.info("stopped")
    return 0


async def _until_signalled(watcher: Watcher) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await watcher.run(stop)
