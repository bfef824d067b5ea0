"""Which neighbours an object names, and who stands beside what."""

from typing import Any

import msgspec
import pytest

from common.ids import Uid
from tests.unit.watcher.rig import event, pod
from watcher.directory import TOMBSTONE_S, Directory, Known
from watcher.neighbours import TIES_MAX, Tie, tie_of, ties_of
from watcher.objects import Event, Pod

HOME = Tie("PersistentVolumeClaim", "home")


def _pod(owners: list[Any] | None = None, volumes: list[Any] | None = None, node: str = "") -> Pod:
    value = pod()
    value["metadata"]["ownerReferences"] = owners
    value["spec"] |= {"volumes": volumes, "nodeName": node}
    return msgspec.json.decode(msgspec.json.encode(value), type=Pod)


def _ties(value: Pod) -> list[Tie]:
    return list(ties_of(value.metadata, value.spec, pod=True))


@pytest.mark.parametrize("kind", ["StatefulSet", "Job", "Deployment"])
def test_the_owner_that_controls_a_pod_is_its_neighbour(kind: str) -> None:
    owner = {"apiVersion": "apps/v1", "kind": kind, "name": "ws", "uid": "u1", "controller": True}
    other = {"apiVersion": "v1", "kind": kind, "name": "x", "uid": "u2"}
    assert _ties(_pod([other, owner])) == [Tie(kind, "u1")]


def test_an_owner_that_is_no_workspaces_is_none() -> None:
    """A static pod belongs to its node, and a ReplicaSet is known by its own template."""
    owners = [{"kind": kind, "name": "n", "uid": "u", "controller": True} for kind in ("Node", "ReplicaSet", "Custom")]
    assert _ties(_pod(owners)) == []


def test_claims_are_those_that_are_named_and_those_of_ephemeral_volumes() -> None:
    volumes = [
        {"name": "a", "persistentVolumeClaim": {"claimName": "home"}},
        {"name": "scratch", "ephemeral": {"volumeClaimTemplate": {"spec": {}}}},
        {"name": "c", "emptyDir": {}},
    ]
    assert _ties(_pod(volumes=volumes)) == [HOME, Tie("PersistentVolumeClaim", "pod-1-scratch")]


def test_a_template_names_no_node_and_no_claim_of_an_ephemeral_volume() -> None:
    value = _pod(volumes=[{"name": "scratch", "ephemeral": {}}], node="node-1")
    assert ties_of(value.metadata, value.spec, pod=False) == ()


def test_neighbours_are_bounded_and_the_node_is_among_them() -> None:
    volumes = [{"name": "v", "persistentVolumeClaim": {"claimName": f"c{n}"}} for n in range(100)]
    ties = _ties(_pod(volumes=volumes, node="node-1"))
    assert len(ties) == TIES_MAX
    assert ties[0] == Tie("Node", "node-1")


@pytest.mark.parametrize("volumes", [7, "no", [7], [{"persistentVolumeClaim": 7}], {"a": 1}])
def test_malformed_volumes_are_none(volumes: Any) -> None:
    assert _ties(_pod(volumes=volumes)) == []


def test_an_event_is_about_a_claim_by_name_and_about_an_owner_by_uid() -> None:
    def about(kind: str) -> Tie | None:
        value = event(about="uid", kind=kind)
        value["involvedObject"]["name"] = "name"
        return tie_of(msgspec.convert(value, Event))

    assert about("PersistentVolumeClaim") == Tie("PersistentVolumeClaim", "name")
    assert about("Node") == Tie("Node", "name")
    assert about("Job") == Tie("Job", "uid")
    assert about("Pod") is None


def _known(uid: str, *ties: Tie, namespace: str = "ns") -> Known:
    return Known("Pod", namespace, uid, Uid(uid), 0, told=True, ties=ties)


def _beside(directory: Directory, tie: Tie, namespace: str = "ns") -> list[str]:
    return [known.uid for known in directory.beside(tie, namespace)]


def test_a_claim_of_another_namespace_is_another_claim() -> None:
    directory = Directory()
    directory.put(_known("a", HOME))
    directory.put(_known("b", HOME, namespace="other"))
    assert _beside(directory, HOME) == ["a"]


def test_a_node_stands_beside_pods_of_all_namespaces() -> None:
    directory, node = Directory(), Tie("Node", "n")
    directory.put(_known("a", node))
    directory.put(_known("b", node, namespace="other"))
    assert _beside(directory, node, "default") == ["a", "b"]


def test_what_an_object_names_now_counts() -> None:
    directory, node = Directory(), Tie("Node", "n")
    directory.put(_known("a", HOME))
    directory.put(_known("a", node))
    assert (_beside(directory, HOME), _beside(directory, node)) == ([], ["a"])


def test_the_deleted_are_found_apart_for_a_while_and_then_nothing_is_left_of_them() -> None:
    directory = Directory()
    for uid in ("a", "b", "c"):
        directory.put(_known(uid, HOME))
    directory.bury(Uid("a"), 100.0)
    directory.strip(_known("b", HOME))
    assert _beside(directory, HOME) == ["c"]
    assert [known.uid for known in directory.lately_beside(HOME, "ns")] == ["a"]
    directory.clear(lambda namespace: namespace == "ns")
    directory.drop_tombstones(100.0 + TOMBSTONE_S)
    assert directory.lately_beside(HOME, "ns") == []
    assert len(directory._neighbours) == 0  # noqa: SLF001 - that nothing stays is its bound
