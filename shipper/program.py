"""One shipper process from its start to its exit code: RQ in the main thread, everything else on the engine's loop.

SIGTERM and SIGINT: claim no more, finish what is under way, hand back, exit 0 within ten seconds. So it ends, too, when
nobody reads the lines of a dry run any more, but with the code of a program that writes into a closed pipe.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from random import SystemRandom
from types import FrameType
from typing import Final

import structlog

from common.clock import SystemClock
from common.crypto import WrongTokenKey
from common.settings.flags import EXIT_UNREAD
from common.settings.shipper import ShipperSettings
from common.store.errors import StoreRefused
from common.store.model import RETENTION, Retention
from common.telemetry.http import TelemetryServer
from common.telemetry.logging import configure_logging, wants_json
from common.telemetry.process import own_registry
from common.wording.read import WordingError
from shipper.engine import Engine
from shipper.parts import Shipper
from shipper.proxy import ProxyError
from shipper.trust import TrustError
from shipper.worker import BellWorker, answer_bells

__all__ = ["run_shipper"]

EXIT_REFUSED: Final = 1
LAST_RESORT_S: Final = 9.5
"""A Redis that swallows packets can hold up RQ's farewell for a minute. Nothing is lost by leaving without it."""

log = structlog.get_logger()


def run_shipper(settings: ShipperSettings, retention: Retention = RETENTION) -> int:
    """Deliver the waiting lines to Coder."""
    configure_logging("shipper", json=wants_json(settings.log_format, sys.stderr), level=settings.log_level.value)
    registry = own_registry("shipper")
    clock, random = SystemClock(), SystemRandom()
    try:
        shipper = Shipper(settings, registry, clock, random, retention)
    except (TrustError, ProxyError, StoreRefused, WordingError) as error:
        log.error("cannot start", error=str(error))
        return EXIT_REFUSED
    telemetry = TelemetryServer(
        settings.metrics_addr, registry, shipper.alive, shipper.ready, probe_addr=settings.probe_addr
    )
    stop = _Stop()
    shipper.on_unread = stop.unread
    with Engine() as engine, telemetry, stop:
        try:
            if not engine.call(shipper.open(stop.wanted)) or shipper.drainer is None:
                return 0
        except (StoreRefused, WrongTokenKey) as error:
            log.error("cannot start", error=str(error))
            return EXIT_REFUSED
        drainer = shipper.drainer
        stop.on_wanted = lambda: engine.soon(drainer.stop)
        answer_bells(
            shipper.bell.queue(),
            lambda: engine.call(drainer.shift()),
            stop.wanted,
            stop.set_worker,
            clock,
            random,
        )
        engine.call(shipper.close())
    if stop.code == EXIT_UNREAD:
        _forget_output()
        log.error("stdout was closed; what is not shown yet waits for the next dry run", prefix=settings.redis_prefix)
    else:
        log.info("stopped")
    return stop.code


def _forget_output() -> None:
    """Let the interpreter write what it still holds for stdout to nowhere: it would complain at its end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


class _Stop:
    """The wish to stop, as signals bring it to the main thread, in which it is made. A context: inside, SIGTERM and
    SIGINT are ours."""

    def __init__(self) -> None:
        self.wanted = threading.Event()
        self.code = 0
        """What the program ends with."""
        self.on_wanted: Callable[[], None] = lambda: None
        self._worker: BellWorker | None = None
        self._thread = threading.get_ident()

    def unread(self) -> None:
        """Wish to stop because nobody reads what we write. In any thread."""
        if not self.wanted.is_set() and self.code == 0:
            self.code = EXIT_UNREAD
            signal.pthread_kill(self._thread, signal.SIGTERM)  # it may block in a read of the queue

    def set_worker(self, worker: BellWorker | None) -> None:
        self._worker = worker

    def __enter__(self) -> None:
        signal.signal(signal.SIGTERM, self._heard)
        signal.signal(signal.SIGINT, self._heard)

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)

    def _heard(self, _signum: int, _frame: FrameType | None) -> None:
        if self.wanted.is_set():
            return
        self.wanted.set()
        timer = threading.Timer(LAST_RESORT_S, os._exit, args=(self.code,))
        timer.daemon = True
        timer.start()
        self.on_wanted()
        if self._worker is not None:
            self._worker.stop()
