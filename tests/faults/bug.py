"""What a deliberate bug is, and how its tests are named."""

from __future__ import annotations

from itertools import takewhile
from pathlib import PurePosixPath

import msgspec

__all__ = ["Bug", "shipper", "store", "watcher"]


class Bug(msgspec.Struct, frozen=True):
    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]
    """Arguments for pytest, of fast tests; schedules of faults are played besides."""
    stalls: bool = False
    """With it a test of these never ends, so a time-out is how it is noticed. Of no other bug is one a proof."""

    @property
    def files(self) -> tuple[PurePosixPath, ...]:
        """The test files, or folders of them, with which `tests` begins."""
        return tuple(PurePosixPath(each) for each in takewhile(lambda word: not word.startswith("-"), self.tests))


def store(*names: str) -> tuple[str, ...]:
    return (*(f"tests/integration/common/store/test_{name}.py" for name in names), "-k", "Valkey or not build")


def shipper(*names: str) -> tuple[str, ...]:
    return tuple(f"tests/integration/shipper/test_{name}.py" for name in names)


def watcher(*names: str) -> tuple[str, ...]:
    return tuple(f"tests/unit/watcher/test_{name}.py" for name in names)
