"""What a soak fails for: each thing by itself."""

import math
from typing import Any

import msgspec
import pytest

from bench.curve import Sample
from bench.soak import GROWTH_MAX, Soaked, as_text


def sample(watcher_bytes: int, data_bytes: int = 3_000_000) -> Sample:
    return Sample(at_s=1.0, sizes_bytes={"watcher": watcher_bytes, "Redis' data": data_bytes}, counts={"backlog": 0})


def soaked(*watcher_bytes: int) -> Soaked:
    """So much memory while workspaces arrived, and then half as much."""
    samples = (*map(sample, watcher_bytes), sample(watcher_bytes[-1] // 2))
    return Soaked(
        workspaces=9, seconds=9.0, kept_s=1, samples=samples,
        lost=0, repeated=0, keys_left=(), schedule_left=0, backlog=0,
    )  # fmt: skip


FLAT = soaked(50, 80, 90, 100, 100, 100, 110, 110, 110)


def test_growth_in_the_beginning_and_up_to_a_tenth_is_clean() -> None:
    assert FLAT.clean
    assert FLAT.growths == {"watcher": GROWTH_MAX, "Redis' data": 1.0}
    assert "not flat" not in as_text(FLAT)


def test_a_process_that_grows_by_more_fails_it_and_is_named() -> None:
    grown = soaked(50, 80, 90, 100, 100, 100, 110, 113, 115)
    assert not grown.clean
    assert "watcher is not flat: 1.130, more than 1.10" in as_text(grown).splitlines()
    assert "Redis' data is not" not in as_text(grown)


def test_memory_of_which_nothing_is_known_is_not_flat() -> None:
    unknown = soaked(0, 0, 0, 0, 0, 0, 0, 0, 0)
    assert math.isnan(unknown.grown["watcher"])
    assert not unknown.clean


@pytest.mark.parametrize(
    "wrong", [{"lost": 1}, {"repeated": 1}, {"keys_left": ("agent:1",)}, {"schedule_left": 1}, {"backlog": 1}]
)
def test_whatever_is_lost_repeated_or_left_fails_it(wrong: dict[str, Any]) -> None:
    assert not msgspec.structs.replace(FLAT, **wrong).clean
