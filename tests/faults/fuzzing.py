"""What all targets for generated input share: how many examples each gets, and what they promise of shown text."""

from __future__ import annotations

import time
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, TypeVar

import pytest
from hypothesis import HealthCheck, settings

__all__ = ["IN_CI", "LINE_MAX_CHARS", "TARGETS", "fuzzed", "is_obeyed", "quickly"]

_Target = TypeVar("_Target", bound=Callable[..., Any])

TARGETS: Final = 16
"""In all files `test_fuzz*.py`; `test_fuzz_share.py` counts them."""
IN_CI: Final = 20_000
LONG: Final = 1_000_000
_is_long: Final = settings.get_current_profile_name() == "long"
WITHIN_S: Final = 600
"""All examples of a target, on a machine that has much else to do; a million may take as long as they take."""


def fuzzed(target: _Target) -> _Target:
    """A target, with its share of the examples."""
    examples = (LONG if _is_long else IN_CI) // TARGETS
    chosen = settings(
        max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck)
    )  # fmt: skip
    timed: _Target = pytest.mark.timeout(0 if _is_long else WITHIN_S)(chosen(target))
    return timed


LINE_MAX_CHARS: Final = 1_024
EXAMPLE_WITHIN_S: Final = 1.0
"""Of the processor's time: what is input here takes milliseconds."""


def is_obeyed(char: str) -> bool:
    """Whether a viewer may obey `char` instead of showing it."""
    kind = unicodedata.category(char)
    overrides = unicodedata.bidirectional(char) in ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")
    return (kind in ("Cc", "Zl", "Zp", "Cs") and char != "\t") or overrides


@contextmanager
def quickly() -> Iterator[None]:
    """What is done in the block costs little, whatever it is done to."""
    began_s = time.thread_time()
    yield
    assert time.thread_time() - began_s < EXAMPLE_WITHIN_S
