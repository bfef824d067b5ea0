"""Each transition of docs/explanation/reflector-states.md: what moves a reflector from one state to the next."""

from __future__ import annotations

import msgspec
import pytest

from tests.unit.watcher.rig import pod
from watcher.objects import Delta, Expired, Failure, Line, ListPage, Pod, Verb
from watcher.reflection import (
    Changed,
    Closed,
    Empty,
    Gone,
    Lines,
    Listed,
    Listing,
    Opened,
    Page,
    Rebuilt,
    Reply,
    Resuming,
    State,
    Watching,
    advance,
)

HALF: State = Listing("5", "next", ())


def _page(version: str = "5", more: str = "") -> Page[Pod]:
    return Page(ListPage(version, more, [], 0))


def _after(state: State, reply: Reply[Pod]) -> State:
    return advance(state, reply)[1]


def _lines(*lines: Line[Pod]) -> Lines[Pod]:
    return Lines(list(lines))


def _added(version: str) -> Delta[Pod]:
    return Delta(Verb.ADDED, msgspec.convert(pod(version=version), Pod))


@pytest.mark.parametrize("now", ["100", "101", "odd"])
def test_resuming_is_listed_if_the_server_is_not_behind_the_position(now: str) -> None:
    assert advance(Resuming("100"), _page(now)) == ([], Listed("100"))


def test_resuming_is_empty_if_the_server_is_behind_the_position() -> None:
    assert advance(Resuming("100"), _page("99")) == ([Rebuilt("100", "99")], Empty())


def test_empty_is_listing_after_the_first_of_several_pages() -> None:
    assert isinstance(_after(Empty(), _page("5", more="next")), Listing)


@pytest.mark.parametrize("paged", [True, False])
def test_empty_is_listed_after_a_list_in_one_page(paged: bool) -> None:
    assert _after(Empty(paged), _page("5")) == Listed("5")


@pytest.mark.parametrize("paged", [True, False])
def test_empty_stays_empty_after_410_and_lists_in_pages(paged: bool) -> None:
    assert advance(Empty(paged), Gone()) == ([], Empty(paged=True))


def test_listing_is_listing_while_pages_follow() -> None:
    state = _after(HALF, _page("9", more="more"))
    assert isinstance(state, Listing)
    assert (state.position, state.continue_token) == ("5", "more")


def test_listing_is_listed_after_the_last_page_at_the_first_ones_version() -> None:
    assert _after(HALF, _page("9")) == Listed("5")


def test_listing_is_empty_after_410_and_lists_in_one_piece() -> None:
    assert advance(HALF, Gone()) == ([], Empty(paged=False))


def test_listed_is_watching_once_the_stream_is_open() -> None:
    assert _after(Listed("7"), Opened()) == Watching("7")


def test_listed_stays_listed_if_no_stream_opens() -> None:
    assert _after(Listed("7"), Closed()) == Listed("7")


def test_listed_is_empty_after_410_as_a_status() -> None:
    assert _after(Listed("7"), Gone()) == Empty()


def test_watching_stays_watching_and_moves_on_with_what_it_hears() -> None:
    delta = _added("8")
    assert advance(Watching("7"), _lines(delta)) == ([Changed([delta], "8")], Watching("8"))


def test_watching_is_listed_where_it_was_when_the_stream_closes() -> None:
    assert _after(Watching("7"), Closed()) == Listed("7")


def test_watching_is_listed_where_it_was_after_a_failure_in_the_stream() -> None:
    assert _after(Watching("7"), _lines(_added("8"), Failure(500, "no leader"))) == Listed("8")


@pytest.mark.parametrize("reply", [Gone(), Lines[Pod]([Expired()])])
def test_watching_is_empty_after_410_in_either_form(reply: Reply[Pod]) -> None:
    assert _after(Watching("7"), reply) == Empty()
