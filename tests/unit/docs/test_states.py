"""The two pages of states: every transition has a test whose name names both states, and none is left out."""

from itertools import product
from pathlib import Path

import msgspec
import pytest

from common.store.glance import AgentPhase
from tests.unit.docs.pages import ROOT, fences, name_of, table_rows
from tests.unit.watcher.rig import pod
from watcher.objects import Bookmark, Delta, Expired, Failure, ListPage, Malformed, Pod, Verb
from watcher.reflection import (
    Closed,
    Empty,
    Gone,
    Lines,
    Listed,
    Listing,
    Opened,
    Page,
    Reply,
    Resuming,
    State,
    Watching,
    advance,
)

REFLECTOR = ROOT / "docs" / "explanation" / "reflector-states.md"
AGENT = ROOT / "docs" / "explanation" / "agent-states.md"
NAMES: dict[Path, set[str]] = {
    REFLECTOR: {kind.__name__ for kind in (Resuming, Empty, Listing, Listed, Watching)},
    AGENT: {str(each) for each in AgentPhase},
}
STATES: list[State] = [Resuming("7"), Empty(), Empty(paged=False), Listing("7", "t", ()), Listed("7"), Watching("7")]
ADDED = Delta(Verb.ADDED, msgspec.convert(pod(version="8"), Pod))
REPLIES: list[Reply[Pod]] = [
    *(Page(ListPage(version, more, [], 0)) for version in ("6", "7", "8", "odd") for more in ("", "t")),
    Opened(),
    Closed(),
    Gone(),
    *(Lines[Pod]([line]) for line in (ADDED, Bookmark("8"), Malformed("odd"), Expired(), Failure(500, "no leader"))),
]


def transitions(page: Path) -> list[list[str]]:
    """From, to, what moves it, shown by."""
    return [row for row in table_rows(page) if len(row) == 4 and row[0] != "from"]


@pytest.mark.parametrize("page", [REFLECTOR, AGENT], ids=name_of)
def test_every_state_is_drawn_explained_left_and_entered(page: Path) -> None:
    (drawing,) = fences(page, "")
    assert {name for name in NAMES[page] if name not in drawing} == set()
    assert {row[0] for row in table_rows(page) if len(row) == 3 and row[0] != "state"} == NAMES[page]
    rows = transitions(page)
    assert {row[0] for row in rows} == NAMES[page]
    assert {row[1] for row in rows} >= NAMES[page] - {"Resuming"}  # where a reflector begins


@pytest.mark.parametrize("page", [REFLECTOR, AGENT], ids=name_of)
def test_every_transition_is_shown_by_a_test_of_its_own_that_names_both_states(page: Path) -> None:
    shown = [row[3].strip("`") for row in transitions(page)]
    assert len(set(shown)) == len(shown)
    for row, test in zip(transitions(page), shown, strict=True):
        words = test.replace("_", " ")
        assert test.startswith("test_")
        assert row[0].lower() in words
        assert row[1].lower() in words.partition(row[0].lower())[2]


@pytest.mark.parametrize(
    ("page", "file"),
    [
        (REFLECTOR, "tests/unit/watcher/test_reflector_states.py"),
        (AGENT, "tests/integration/shipper/test_agent_states.py"),
    ],
)
def test_every_test_of_states_is_on_its_page(page: Path, file: str) -> None:
    there = [line.partition("def ")[2].partition("(")[0] for line in (ROOT / file).read_text().splitlines()]
    assert {name for name in there if name.startswith("test_")} == {row[3].strip("`") for row in transitions(page)}


def test_the_reflectors_transitions_are_those_of_the_function() -> None:
    moved = {
        (type(state).__name__, type(after).__name__)
        for state, reply in product(STATES, REPLIES)
        for after in [advance(state, reply)[1]]
        if after != state
    }
    drawn = {(row[0], row[1]) for row in transitions(REFLECTOR)} - {("Listed", "Listed")}
    assert moved == drawn
