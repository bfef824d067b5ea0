"""What a deliberate bug is, and how its tests are named."""

from __future__ import annotations

import msgspec

__all__ = ["Bug", "shipper", "store", "watcher"]


class Bug(msgspec.Struct, frozen=True):
    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]
    """Arguments for pytest, of fast tests; schedules of faults are played besides."""


def store(*names: str) -> tuple[str, ...]:
    return (*(f"tests/integration/common/store/test_{name}.py" for name in names), "-k", "Valkey or not build")


def shipper(*names: str) -> tuple[str, ...]:
    return tuple(f"tests/integration/shipper/test_{name}.py" for name in names)


def watcher(*names: str) -> tuple[str, ...]:
    return tuple(f"tests/unit/watcher/test_{name}.py" for name in names)
