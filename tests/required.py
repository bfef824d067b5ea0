"""What to do when a real part is not there: a skip that is summed up in one line, or in CI a failure."""

import os
from collections import Counter
from collections.abc import Iterable
from typing import Final, NoReturn

import pytest

ALL_PARTS: Final = "LOGSTREAM_REQUIRE_ALL"
MARK: Final = "not run: "


def missing(part: str, remedy: str) -> NoReturn:
    """End this test because `part` is not on this machine; `remedy` says how to get it."""
    if os.environ.get(ALL_PARTS) == "1":
        pytest.fail(f"{part} is missing and {ALL_PARTS}=1 asks for every real part ({remedy})", pytrace=False)
    pytest.skip(f"{MARK}{part} ({remedy})")


def unchecked(what: str, remedy: str) -> NoReturn:
    """Skip: here `what` cannot be looked at, and no part that can be installed would help."""
    pytest.skip(f"{MARK}{what} ({remedy})")


def not_run(skips: Iterable[str]) -> list[str]:
    """The lines that say what was not run, one per part, from the skip reasons of a whole run."""
    parts = Counter(reason.partition(MARK)[2] for reason in skips if MARK in reason)
    return [f"{MARK}{tests} test{'s' if tests > 1 else ''}: {part}" for part, tests in sorted(parts.items())]
