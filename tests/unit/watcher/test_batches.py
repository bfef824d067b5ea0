"""What is remembered of the last passes: bounded in time and size, in order, without what was to be saved."""

from __future__ import annotations

from common.ids import AgentId, Uid, Unit
from common.store.model import Card, Entry, Home
from watcher.batches import RECENT_MAX_BYTES, RECENT_S, Batch, Recent, Seat

A = AgentId("a")
HERE, THERE = Unit("here"), Unit("there")


def batch(identity: str, size_bytes: int = 1) -> Batch:
    made = Batch()
    made.add(Entry(A, identity, 1, Home.EVENT, b"x" * size_bytes), 0.0)
    return made


def identities(recent: Recent) -> list[str]:
    return [entry.identity for each in recent for entry, _ in each.entries]


def test_batches_are_remembered_in_order_for_their_time() -> None:
    recent = Recent()
    recent.add(batch("1"), 0.0)
    recent.add(batch("2"), 1.0)
    assert identities(recent) == ["1", "2"]
    recent.add(batch("3"), RECENT_S + 0.5)
    assert identities(recent) == ["2", "3"]
    recent.add(Batch(), 2 * RECENT_S + 1.0)
    assert identities(recent) == []


def test_they_never_take_more_than_their_room() -> None:
    recent = Recent()
    for i in range(5):
        recent.add(batch(str(i), RECENT_MAX_BYTES // 2 - 300), 0.0)
    assert identities(recent) == ["3", "4"]
    recent.clear()
    recent.add(batch("5", RECENT_MAX_BYTES // 2), 0.0)
    assert identities(recent) == ["5"], "what went is not counted any more"


def test_what_was_to_be_saved_is_not_remembered() -> None:
    recent, made = Recent(), batch("1")
    made.keep("pods", HERE, {Uid("u"): b"x"}, ())
    made.positions["pods", frozenset({HERE})] = "1"
    made.seats[A, Uid("u")] = Seat(Card(b"", "ns", "n"))
    recent.add(made, 0.0)
    (kept,) = recent
    assert not kept.saves
    assert kept.seats


def test_objects_that_were_refused_are_put_back_under_newer_ones() -> None:
    old, new = Batch(), Batch()
    old.keep("pods", HERE, {Uid("u"): b"old", Uid("v"): b"old"}, ())
    new.keep("pods", HERE, {Uid("u"): b"new"}, (Uid("v"),))
    old.keep("replicasets", HERE, {Uid("r"): b"r"}, ())
    old.keep("pods", THERE, {Uid("w"): b"old"}, ())
    new.put_objects_back(HERE, old)
    assert new.objects["pods", HERE].put == {Uid("u"): b"new"}
    assert new.objects["pods", HERE].remove == {Uid("v")}
    assert new.objects["replicasets", HERE].put == {Uid("r"): b"r"}
    assert ("pods", THERE) not in new.objects
    new.keep("pods", THERE, {Uid("w"): b"w"}, ())
    new.forget_units({HERE})
    assert list(new.objects) == [("pods", THERE)]


def test_of_units_that_are_forgotten_no_position_is_left_and_of_the_others_the_newest() -> None:
    batch = Batch()
    batch.positions = {("pods", frozenset((HERE, THERE))): "5", ("events", frozenset((HERE,))): "6"}
    batch.positions["pods", frozenset((THERE,))] = "7"
    batch.forget_units({HERE})
    assert batch.positions == {("pods", frozenset((THERE,))): "7"}
