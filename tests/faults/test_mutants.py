"""The list of deliberate bugs does not rot: each still has its place in the tree, and its row on the page names a test.

Some are put in for real; all are by `python -m tests.faults.mutants`.
"""

import ast
import re

import pytest

from tests.faults.bug import Bug
from tests.faults.bugs import BUGS
from tests.faults.proof import ROOT, healthy, mutated, noticed_by

QUICK = (
    "deduplication off",
    "the epoch is not checked at a settlement",
    "settled before it is sent",
    "a relist without a difference",
)
each_bug = pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)


def named_for(bug: Bug) -> str:
    """The one test that the page names for `bug`."""
    page = (ROOT / "docs" / "reliability.md").read_text()
    (row,) = re.findall(rf"^\| {re.escape(bug.name)} \| (.*) \|$", page, re.MULTILINE)
    found = re.fullmatch(r"`(test_\w+)`(, or it does not end)?", row)
    assert found is not None, row
    assert bool(found[2]) is bug.stalls
    return found[1]


def chosen_by(bug: Bug) -> str:
    """What pytest's -k gets with the bug's tests."""
    return bug.tests[bug.tests.index("-k") + 1] if "-k" in bug.tests else ""


@each_bug
def test_the_text_that_a_bug_replaces_is_there_once(bug: Bug) -> None:
    text = (ROOT / bug.file).read_text()
    assert mutated(bug, text) != text


@each_bug
def test_the_page_names_a_test_for_a_bug_and_it_is_one_of_the_bugs_tests(bug: Bug) -> None:
    assert [path for path in bug.files if not (ROOT / path).exists()] == []
    found = (ROOT / path for path in bug.files)
    files = [file for path in found for file in (path.rglob("test_*.py") if path.is_dir() else (path,))]
    nodes = (node for file in files for node in ast.walk(ast.parse(file.read_text())))
    tests = {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    assert named_for(bug) in tests
    assert not chosen_by(bug).isidentifier() or chosen_by(bug) in named_for(bug)


def test_a_text_that_is_not_there_is_said() -> None:
    with pytest.raises(ValueError, match="0 times"):
        mutated(BUGS[0], "nothing")


def test_the_list_is_long_enough_and_no_name_is_used_twice() -> None:
    assert len({bug.name for bug in BUGS}) == len(BUGS) >= 15


# -- for real, in a copy of the tree; of a bug's tests only the one that the page names, to be quick

each_quick = pytest.mark.parametrize("bug", [bug for bug in BUGS if bug.name in QUICK], ids=lambda bug: bug.name)


def only_the_named(bug: Bug) -> tuple[str, str, str]:
    (file,) = (
        file
        for file in map(str, bug.files)
        if re.search(rf"def {named_for(bug)}\(", (ROOT / file).read_text()) is not None
    )
    return file, "-k", f"{named_for(bug)} and ({chosen_by(bug) or named_for(bug)})"


@pytest.fixture(scope="module")
def _healthy() -> None:
    words = [only_the_named(bug) for bug in BUGS if bug.name in QUICK]
    files, expressions = {file for file, _, _ in words}, [expression for _, _, expression in words]
    healthy([*sorted(files), "-k", " or ".join(expressions)], at_least=len(QUICK))


@each_quick
@pytest.mark.usefixtures("_healthy")
def test_a_bug_is_noticed_by_the_test_that_the_page_names(bug: Bug) -> None:
    assert noticed_by(bug, only_the_named(bug)) == f"`{named_for(bug)}`"
