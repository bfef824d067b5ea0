"""The state machine of a watch: what it hands on, and that any way of hearing of a cluster ends in the same knowledge.

Its states one by one: test_reflector_states.py.
"""

from __future__ import annotations

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from common.ids import Uid
from tests.unit.watcher.rig import pod
from watcher.objects import Bookmark, Delta, Expired, Line, ListPage, Malformed, Pod, Verb
from watcher.reflection import (
    Began,
    Change,
    Changed,
    Closed,
    Completed,
    Empty,
    Found,
    Gone,
    Lines,
    Listed,
    Listing,
    Opened,
    Page,
    Rejected,
    Reply,
    Resuming,
    State,
    Watching,
    advance,
)


def _pod(uid: str, version: int | str) -> Pod:
    return msgspec.convert(pod(uid, version=str(version)), Pod)


def _added(uid: str, version: int | str) -> Delta[Pod]:
    return Delta(Verb.ADDED, _pod(uid, version))


def _page(*items: Pod, version: str = "5", more: str = "", malformed: int = 0) -> Page[Pod]:
    return Page(ListPage(version, more, list(items), malformed))


def _run(state: State, *replies: Reply[Pod]) -> tuple[list[Change[Pod]], State]:
    said: list[Change[Pod]] = []
    for reply in replies:
        changes, state = advance(state, reply)
        said += changes
    return said, state


def test_pages_are_one_list_at_the_first_ones_version() -> None:
    first, last = _pod("a", 3), _pod("b", 4)
    said, state = _run(Empty(), _page(first, version="5", more="t"), _page(last, version="9"))
    assert said == [Began("5"), Found([first]), Found([last]), Completed("5", frozenset((Uid("a"), Uid("b"))))]
    assert state == Listed("5")


def test_what_came_before_an_expiry_is_still_said() -> None:
    delta = _added("a", 8)
    lines: list[Line[Pod]] = [delta, Expired()]
    assert advance(Watching("7"), Lines(lines)) == ([Changed([delta], "8")], Empty())


def test_a_bookmark_moves_the_position_only() -> None:
    lines: list[Line[Pod]] = [Bookmark("9")]
    assert advance(Watching("7"), Lines(lines)) == ([Changed([], "9")], Watching("9"))


def test_a_malformed_object_is_passed_over_with_its_position() -> None:
    lines: list[Line[Pod]] = [Malformed("odd", "8"), Malformed("no JSON")]
    said, state = advance(Watching("7"), Lines(lines))
    assert said == [Rejected(1, "odd"), Rejected(1, "no JSON"), Changed([], "8")]
    assert state == Watching("8")


class _Follower:
    """What one who hears the changes knows: UIDs with their newest version."""

    def __init__(self) -> None:
        self.known: dict[str, str] = {}
        self.position = ""

    def take(self, change: Change[Pod]) -> None:
        match change:
            case Found(objects):
                self.known |= {each.metadata.uid: each.metadata.resource_version for each in objects}
            case Completed(position, uids):
                self.known = {uid: version for uid, version in self.known.items() if uid in uids}
                self.position = position
            case Changed(deltas, position):
                for delta in deltas:
                    if delta.verb is Verb.DELETED:
                        self.known.pop(delta.object.metadata.uid, None)
                    else:
                        self.known[delta.object.metadata.uid] = delta.object.metadata.resource_version
                self.position = position


class _Server:
    """A history of writes, and honest replies about it."""

    def __init__(self, writes: list[tuple[str, bool]]) -> None:
        self.history: list[Delta[Pod]] = []
        alive: set[str] = set()
        for version, (uid, delete) in enumerate(writes, start=1):
            verb = Verb.DELETED if delete and uid in alive else Verb.MODIFIED if uid in alive else Verb.ADDED
            alive = alive - {uid} if verb is Verb.DELETED else alive | {uid}
            self.history.append(Delta(verb, _pod(uid, version)))

    def at(self, version: int) -> dict[str, str]:
        follower = _Follower()
        follower.take(Changed(self.history[:version], str(version)))
        return follower.known

    def page(self, version: int, after: str, size: int) -> Page[Pod]:
        names = sorted(name for name in self.at(version) if name > after)
        items = [_pod(name, self.at(version)[name]) for name in names[:size]]
        return _page(*items, version=str(version), more=f"{version}:{names[size - 1]}" if len(names) > size else "")


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abcd"), st.booleans()), max_size=25), st.data())
def test_any_interleaving_of_watches_lists_and_failures_ends_in_the_truth(
    writes: list[tuple[str, bool]], data: st.DataObject
) -> None:
    server, follower = _Server(writes), _Follower()
    state: State = Empty()
    now = 0
    for _ in range(data.draw(st.integers(0, 40))):
        now = data.draw(st.integers(now, len(writes)))
        state = _hear(server, follower, state, now, data)
    for _ in range(12):  # quiet: everything is heard, nothing fails
        state = _hear(server, follower, state, len(writes), None)

    assert follower.known == server.at(len(writes))
    assert follower.position == str(len(writes))


def _hear(server: _Server, follower: _Follower, state: State, now: int, data: st.DataObject | None) -> State:
    reply: Reply[Pod]
    fault = data.draw(st.sampled_from(["none", "none", "none", "gone", "closed"])) if data is not None else "none"
    match state:
        case Empty():
            reply = server.page(now, "", 2 if state.paged else 99)
        case Listing(_, token, _):
            version, _, after = token.partition(":")
            reply = Gone() if fault == "gone" else server.page(int(version), after, 2)
        case Listed():
            reply = Gone() if fault == "gone" else Opened()
        case Watching(position):
            lines: list[Line[Pod]] = list(server.history[int(position) : now])
            if data is not None and lines:
                lines = lines[: data.draw(st.integers(0, len(lines)))]
            if fault == "gone":
                lines.append(Expired())
            reply = Closed() if fault == "closed" else Lines(lines)
        case Resuming():
            raise AssertionError
    changes, state = advance(state, reply)
    for change in changes:
        follower.take(change)
    return state
