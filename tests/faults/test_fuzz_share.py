"""All targets together get the examples that the page speaks of."""

from pathlib import Path

from tests.faults.fuzzing import IN_CI, TARGETS


def test_every_target_has_its_share() -> None:
    files = sorted(Path(__file__).parent.glob("test_fuzz*.py"))
    assert sum(line == "@fuzzed" for file in files for line in file.read_text().splitlines()) == TARGETS
    assert IN_CI == 20_000
