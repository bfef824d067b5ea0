"""Who is known, where, and for how long."""

from msgspec.structs import replace

from common.ids import AgentId, Uid
from watcher.directory import TOMBSTONE_S, Directory, Known, Place, Seat
from watcher.mounts import Kind
from watcher.sought import Key, Sought

SOUGHT = Sought(Key(Kind.SECRET, "s", "k"))
POD = Known("Pod", "ns", "p", Uid("u"), 5, told=True, seats=(Seat(AgentId("a"), b"sealed", SOUGHT),))
PODS, ALL_PODS = Place("Pod", "ns"), Place("Pod", "*")


def test_an_object_is_found_only_in_its_own_namespace() -> None:
    directory = Directory()
    directory.put(POD)
    assert directory.find(Uid("u"), "ns") == POD
    assert directory.find(Uid("u"), "elsewhere") is None


def test_a_deleted_object_is_found_for_a_while() -> None:
    directory = Directory()
    directory.put(POD)
    assert directory.bury(Uid("u"), 100.0) == POD
    assert directory.get(Uid("u")) is None
    directory.drop_tombstones(100.0 + TOMBSTONE_S - 1)
    assert directory.find(Uid("u"), "ns") == POD
    directory.drop_tombstones(100.0 + TOMBSTONE_S)
    assert directory.find(Uid("u"), "ns") is None


def test_objects_are_listed_by_kind_and_namespace() -> None:
    directory = Directory()
    for known in (POD, replace(POD, uid=Uid("v"), namespace="other"), replace(POD, uid=Uid("w"), kind="ReplicaSet")):
        directory.put(known)
    assert directory.uids(PODS) == {"u"}
    assert directory.uids(ALL_PODS) == {"u", "v"}
    directory.clear(lambda namespace: namespace == PODS.namespace)
    assert directory.uids(ALL_PODS) == {"v"}
    assert directory.count("Pod") == 1


def test_objects_without_an_agent_are_forgotten_with_the_next_list() -> None:
    directory = Directory()
    for uid in ("x", "y"):
        directory.put_bare(PODS, Uid(uid))
    directory.keep_bare(ALL_PODS, frozenset((Uid("y"),)))
    assert [directory.is_bare(PODS, Uid(uid)) for uid in ("x", "y")] == [False, True]
    directory.put(replace(POD, uid=Uid("y")))
    assert not directory.is_bare(PODS, Uid("y"))


def test_who_awaits_a_token_is_known_until_it_came_or_the_object_went() -> None:
    directory = Directory()
    waiting = replace(POD, awaited=(SOUGHT,))
    directory.put(waiting)
    assert set(directory.awaiting) == {"u"}
    directory.put(POD)
    assert not directory.awaiting
    directory.put(waiting)
    directory.bury(Uid("u"), 0.0)
    assert not directory.awaiting


def test_only_who_names_the_variable_is_sure_to_get_a_token() -> None:
    directory = Directory()
    directory.put(replace(POD, awaited=(Sought(SOUGHT.token, named=False),)))
    assert set(directory.awaiting) == {"u"}
    assert not directory.expecting
    directory.put(replace(POD, awaited=(SOUGHT,)))
    assert set(directory.expecting) == {"u"}


def test_an_object_that_turns_out_to_have_no_agent_is_bare_and_leaves_no_tombstone() -> None:
    directory = Directory()
    directory.put(replace(POD, awaited=(SOUGHT,)))
    directory.strip(POD)
    assert directory.is_bare(PODS, POD.uid)
    assert directory.find(POD.uid, "ns") is None
    assert not directory.awaiting
    assert not directory.uids(PODS)


def test_room_ends_at_the_bound_and_comes_back_with_who_goes() -> None:
    directory = Directory(known_max=2)
    directory.put(POD)
    assert directory.has_room
    directory.put(replace(POD, uid=Uid("v")))
    assert not directory.has_room
    directory.put(replace(POD, uid=Uid("w")))  # taken over from another watcher
    assert len(directory) == 3
    for uid in ("u", "v"):
        directory.bury(Uid(uid), 0.0)
    assert directory.has_room


def test_objects_without_an_agent_are_remembered_up_to_a_bound() -> None:
    directory = Directory(bare_max=2)
    for uid in ("x", "x", "y", "z"):
        directory.put_bare(PODS, Uid(uid))
    assert [directory.is_bare(PODS, Uid(uid)) for uid in ("x", "y", "z")] == [True, True, False]
    directory.forget_bare(PODS, Uid("x"))
    directory.forget_bare(PODS, Uid("x"))
    directory.put_bare(PODS, Uid("z"))
    assert directory.is_bare(PODS, Uid("z"))
    directory.keep_bare(ALL_PODS, frozenset())
    directory.put_bare(PODS, Uid("x"))
    directory.clear(lambda _: True)
    for uid in ("x", "y", "z"):
        directory.put_bare(PODS, Uid(uid))
    assert [directory.is_bare(PODS, Uid(uid)) for uid in ("x", "y", "z")] == [True, True, False]
