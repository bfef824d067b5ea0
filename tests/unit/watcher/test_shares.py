"""Shares of watchers: everybody computes the same, and who comes or goes moves no more than its share."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.ids import Unit, WatcherId
from watcher.shares import SLOTS, share_of, slot_of

WATCHERS = st.sets(st.text(min_size=1, max_size=20).map(WatcherId), min_size=1, max_size=8)
NAMESPACES = [Unit(f"coder-{number}") for number in range(1_000)]


def shares(alive: set[WatcherId], units: list[Unit]) -> dict[Unit, WatcherId]:
    return {unit: name for name in alive for unit in share_of(name, units, alive)}


@given(WATCHERS, st.sets(st.text(max_size=20).map(Unit), max_size=50))
def test_each_unit_falls_to_exactly_one_of_the_living(alive: set[WatcherId], units: set[Unit]) -> None:
    parts = [share_of(name, units, alive) for name in alive]
    assert sorted(unit for part in parts for unit in part) == sorted(units)


@given(WATCHERS, st.data())
def test_no_unit_falls_to_two_whatever_each_knows_of_the_others(alive: set[WatcherId], data: st.DataObject) -> None:
    """Views of the selected namespaces may lag: a unit that one does not know of is left alone, never fought over."""
    views = {name: data.draw(st.sets(st.sampled_from(NAMESPACES[:30]))) for name in sorted(alive)}
    fallen = [unit for name, view in views.items() for unit in share_of(name, view, alive)]
    assert len(fallen) == len(set(fallen))


@given(WATCHERS, st.text(min_size=1, max_size=20).map(WatcherId))
def test_a_join_moves_units_only_to_the_one_who_joins(alive: set[WatcherId], joins: WatcherId) -> None:
    before, after = shares(alive, NAMESPACES[:50]), shares(alive | {joins}, NAMESPACES[:50])
    assert all(after[unit] in (before[unit], joins) for unit in before)


@pytest.mark.parametrize("units", [NAMESPACES, list(SLOTS)], ids=["namespaces", "slots"])
@pytest.mark.parametrize("number", [2, 3, 4, 8])
def test_a_join_moves_at_most_its_share_and_a_tenth(units: list[Unit], number: int) -> None:
    names = [WatcherId(f"watcher-{place}") for place in range(number)]
    before, after = shares(set(names[:-1]), units), shares(set(names), units)
    moved = sum(before[unit] != after[unit] for unit in units) / len(units)
    assert moved <= 1 / number + 0.1


def test_a_namespace_keeps_its_slot_for_all_time() -> None:
    """Positions in Redis are kept by slot: another mapping would lose them."""
    assert [slot_of(name) for name in ("default", "coder", "coder-workspaces")] == ["*34", "*106", "*101"]


def test_namespaces_spread_over_the_slots() -> None:
    counts = [sum(slot_of(name) == slot for name in NAMESPACES) for slot in SLOTS]
    assert max(counts) < 25
    assert sum(count == 0 for count in counts) < 5
