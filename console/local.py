"""Watchers, shippers and their Redis on one machine: what `run` and `demo` share."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from common.settings.dry_run import dry_run_prefix
from common.settings.environ import derive
from common.settings.run import RunSettings
from common.settings.shipper import ShipperSettings
from common.settings.token_keys import TokenKeys, parse_token_keys
from common.settings.watcher import WatcherSettings
from console.programs import Surroundings, shipper_programs, watcher_programs
from console.supervise import Stage
from console.valkey import DataDir, EmbeddedValkey

__all__ = ["LocalStore", "local_stages", "open_local_store"]


@dataclass(frozen=True)
class LocalStore:
    """The Redis that the processes share."""

    url: str
    keys: TokenKeys | None
    """Token keys that we made and keep; None if the settings have some."""
    server: EmbeddedValkey | None
    """Our own server; None if the settings name another."""


@contextlib.contextmanager
def open_local_store(settings: RunSettings) -> Iterator[LocalStore]:
    """Own the data directory inside the block, as far as anything in it is used. Raises DataDirUnusable."""
    if settings.redis_url is not None and settings.token_keys:
        yield LocalStore(settings.redis_url, None, None)
        return
    with DataDir(settings.data_dir) as data:
        keys = None if settings.token_keys else parse_token_keys(data.token_keys())
        if settings.redis_url is not None:
            yield LocalStore(settings.redis_url, keys, None)
            return
        server = EmbeddedValkey(data)
        server.stop_leftover()
        try:
            yield LocalStore(server.url, keys, server)
        finally:
            server.close()


def local_stages(settings: RunSettings, store: LocalStore, around: Surroundings) -> Sequence[Stage]:
    """Valkey first, watchers last: nothing is appended that no shipper awaits; the stop goes the other way."""
    shared: dict[str, object] = {"redis_url": store.url, "queue_url": settings.queue_url or store.url}
    if store.keys is not None:
        shared["token_key"] = store.keys
    if settings.dry_run:
        shared["redis_prefix"] = dry_run_prefix(settings.redis_prefix)
    watcher = derive(WatcherSettings, settings, **shared)
    shipper = derive(ShipperSettings, settings, **shared)
    programs = (
        Stage(shipper_programs(shipper, around)),
        Stage(watcher_programs(watcher, settings.watchers, around)),
    )
    return programs if store.server is None else (store.server.stage(), *programs)
