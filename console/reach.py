"""Find the Redis of the programs that are looked at, and their token keys, without taking anything over."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from common.settings.dry_run import dry_run_prefix
from common.settings.inspect import InspectSettings
from common.settings.token_keys import read_token_key_file
from common.store.keys import Keys
from console.valkey import TOKEN_KEY_FILE, find_socket

__all__ = ["NothingKept", "Reach", "reach"]

_STARTED_BY_RUN: Final = "coder-logstream run starts its own Valkey; name another Redis with --redis-url"


class NothingKept(Exception):
    """No Redis is named, and no `run` keeps one here. The text says so."""


@dataclass(frozen=True)
class Reach:
    """Where the data are. `token_keys` is empty if none is given here."""

    url: str
    queue_url: str
    keys: Keys
    token_keys: tuple[str, ...]


def reach(settings: InspectSettings) -> Reach:
    """Raises NothingKept; ValueError for a key file of `run` that is none."""
    keys = settings.token_keys
    prefix = dry_run_prefix(settings.redis_prefix) if settings.dry_run else settings.redis_prefix
    if settings.redis_url is not None:
        url = settings.redis_url
    else:
        socket = find_socket(settings.data_dir)
        if socket is None:
            raise NothingKept(f"no run is at work on {settings.data_dir}: {_STARTED_BY_RUN}")
        url = socket
        key_file = settings.data_dir / TOKEN_KEY_FILE
        if not keys and key_file.exists():
            keys = read_token_key_file(key_file).keys.values
    return Reach(url, settings.queue_url or url, Keys(prefix), keys)
