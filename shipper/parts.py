"""Put a shipper together from its settings, and take it apart. The only file that knows all its parts."""

from __future__ import annotations

import os
import socket
import sys
import threading
import uuid
from collections.abc import Callable
from random import Random
from typing import Final

import structlog
from prometheus_client import CollectorRegistry

from common.backoff import Backoff
from common.bell import Bell
from common.clock import Clock
from common.crypto import TokenVault
from common.ids import DrainerId
from common.settings.shipper import ShipperSettings
from common.store.address import is_sentinel
from common.store.connect import check_queue, check_server, connect, redacted_url
from common.store.dispatcher import Dispatcher
from common.store.errors import StoreUnavailable
from common.store.keys import Keys
from common.store.model import RETENTION, Retention
from common.store.sentinel import follow, follow_sync
from common.telemetry.http import Check
from common.telemetry.metrics import ShipperMetrics
from common.wording.read import read_wording
from shipper.background import Background
from shipper.coder import Coder
from shipper.desk import Desks
from shipper.drain import Drainer
from shipper.dry_run import DryRun
from shipper.greeter import Greeter
from shipper.hold import Windows
from shipper.meter import Meter
from shipper.pace import Pace
from shipper.proxy import proxy_for
from shipper.serve import Server
from shipper.sweep import Sweeper
from shipper.trust import trusted_authorities

__all__ = ["Shipper"]

SPARE_CONNECTIONS: Final = 4
"""To Coder, besides one for each agent served: nothing must wait for a free one."""

log = structlog.get_logger()


class Shipper:
    """A shipper at work. `open` on the event loop, `close` likewise."""

    def __init__(
        self,
        settings: ShipperSettings,
        registry: CollectorRegistry,
        clock: Clock,
        random: Random,
        retention: Retention = RETENTION,
    ) -> None:
        """Raises TrustError for unusable certificates, ProxyError and StoreRefused for addresses that are none, and
        WordingError for a wording file that became wrong since the settings were read."""
        self._settings = settings
        self._retention = retention
        self._clock = clock
        self._random = random
        self._keys = Keys(settings.redis_prefix)
        self._trust = trusted_authorities(settings.ssl_cert_file, settings.ssl_cert_dir)
        self._proxy = proxy_for(settings.coder_url)
        self._wording = read_wording(settings.wording_file)
        self._client = connect(settings.redis_url, max_connections=32)
        self._meter = Meter(ShipperMetrics(registry), clock)
        self._background = Background()
        self._trouble = "starting"
        self._coder: Coder | None = None
        self.on_unread: Callable[[], None] = _nothing
        """Told, perhaps several times, when nobody reads the lines of a dry run any more. On the event loop."""
        self.bell: Final = Bell(settings.queue_url, self._keys.prefix)
        self.drainer: Drainer | None = None
        self._sweeper: Sweeper | None = None
        self._greeter: Greeter | None = None

    async def open(self, stopping: threading.Event) -> bool:
        """Wait for Redis, then start what runs in the background. False: stopped while waiting.

        Raises StoreRefused or WrongTokenKey if waiting will not help.
        """
        vault = await self._open_vault(stopping)
        if vault is None:
            return False
        settings = self._settings
        dispatcher = Dispatcher(self._client, self._keys, lease_s=settings.lease_s, retention=self._retention)
        pace = Pace(self._random, settings.processes)
        server = Server(
            dispatcher,
            vault,
            self._open_desks(),
            pace,
            self._meter,
            self._clock,
            self._random,
            windows=Windows(settings.unauthorized_window_s, settings.unreachable_window_s),
            budget_bytes=settings.budget_bytes,
            wording=self._wording,
        )
        self.drainer = Drainer(
            DrainerId(f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"),
            dispatcher,
            server,
            self.bell,
            pace,
            self._meter,
            self._clock,
            self._random,
            concurrency=settings.concurrency,
            slice_s=settings.slice_s,
            lease_s=settings.lease_s,
        )
        self._sweeper = Sweeper(dispatcher, self.bell, self._meter, self._clock, on_unheard=self.drainer.look)
        self._background.start("drainer", self.drainer.run())
        self._background.start("sweeper", self._sweeper.run())
        if self._greeter is not None:
            self._background.start("greeter", self._greeter.run())
        if is_sentinel(settings.redis_url):
            self._background.start("follow", follow(self._client.connection_pool, self._clock))
        if is_sentinel(settings.queue_url):
            self._background.start("follow queue", follow_sync(self.bell.client.connection_pool, self._clock))
        self._trouble = ""
        return True

    async def close(self) -> None:
        """Finish what is in hand (bounded), then let go of everything."""
        if self.drainer is not None:
            self.drainer.stop()
            await self.drainer.finish()
        await self._background.close()
        if self._coder is not None:
            await self._coder.__aexit__()
        await self._client.aclose()

    def alive(self) -> Check:
        """For /livez: a background task that ended will not come back."""
        ended = [f"{name} ({reason})" for name, reason in self._background.ended.items()]
        return Check(ok=False, reason=f"ended: {'; '.join(ended)}") if ended else Check(ok=True)

    def ready(self) -> Check:
        """For /readyz: Redis answers, and Coder is one that we can talk to."""
        trouble = self._trouble
        if self._sweeper is not None:
            trouble = trouble or self._sweeper.store_trouble
        if self._greeter is not None:
            trouble = trouble or self._greeter.trouble
        return Check(ok=not trouble, reason=trouble or "ok")

    def _open_desks(self) -> Desks:
        """Coder's, and what asks it who it is; or those of a dry run."""
        settings = self._settings
        if settings.dry_run:
            log.warning("a dry run: lines go to stdout as JSON, and nothing to Coder", prefix=settings.redis_prefix)
            return DryRun(sys.stdout.buffer, self.on_unread)
        self._coder = Coder(
            settings.coder_url,
            self._trust,
            timeout_s=settings.request_timeout_s,
            connections=settings.concurrency + SPARE_CONNECTIONS,
            proxy=self._proxy,
        )
        self._greeter = Greeter(self._coder.buildinfo, settings.coder_url, self._clock)
        return self._coder

    async def _open_vault(self, stopping: threading.Event) -> TokenVault | None:
        backoff, failures = Backoff(cap_s=5.0), 0
        while not stopping.is_set():
            try:
                server = await check_server(self._client, self._keys)
                if self._settings.queue_url != self._settings.redis_url:
                    await check_queue(self._settings.queue_url)
                vault = await TokenVault.open(self._client, self._keys, self._settings.token_keys)
            except StoreUnavailable as error:
                if failures == 0:
                    log.warning("waiting for Redis", url=redacted_url(self._settings.redis_url), error=str(error))
                self._trouble = f"Redis: {error}"
                await self._clock.sleep(backoff.delay_s(failures, self._random))
                failures += 1
            else:
                log.info("connected", server=server, url=redacted_url(self._settings.redis_url))
                return vault
        return None


def _nothing() -> None:
    return
