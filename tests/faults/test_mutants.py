"""The list of deliberate bugs does not rot: each still has its place in the tree, and is a change."""

import pytest

from tests.faults.bug import Bug
from tests.faults.bugs import BUGS
from tests.faults.mutants import ROOT, mutated


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_the_text_that_a_bug_replaces_is_there_once(bug: Bug) -> None:
    text = (ROOT / bug.file).read_text()
    assert mutated(bug, text) != text


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_a_bug_stands_in_the_table_of_the_page(bug: Bug) -> None:
    page = (ROOT / "docs" / "reliability.md").read_text()
    assert any(line.startswith(f"| {bug.name} | ") for line in page.splitlines())


def test_a_text_that_is_not_there_is_said() -> None:
    with pytest.raises(ValueError, match="0 times"):
        mutated(BUGS[0], "nothing")


def test_the_list_is_long_enough_and_no_name_is_used_twice() -> None:
    assert len({bug.name for bug in BUGS}) == len(BUGS) >= 15
