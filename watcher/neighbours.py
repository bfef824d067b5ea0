"""What stands beside a pod and explains what becomes of it: its owner, its claims for volumes, its node. Pure.

No watch is needed for any of them. A pod names its controller and its claims, a ReplicaSet its Deployment; who writes
an Event names the neighbour; and `Neighbours` leads from the one to the other. An owner is known by UID, since another
one of its name is another owner; a claim only by name, which is all that a pod says of it, and an Event that claims to
be about one of another namespace than its own is refused before it comes here (guarantee 4). A generic ephemeral
volume's claim is called `<pod>-<volume>` (read: Kubernetes' docs of ephemeral volumes).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from msgspec import Struct

from common.ids import Uid
from watcher.objects import Event, Metadata
from watcher.specs import PodSpec, decode_claims

__all__ = [
    "BESIDE",
    "CLAIM",
    "JOB",
    "MAKERS",
    "NODE",
    "STATEFUL_SET",
    "Neighbours",
    "Tie",
    "place_of",
    "tie_of",
    "ties_of",
]

DEPLOYMENT: Final = "Deployment"
STATEFUL_SET: Final = "StatefulSet"
JOB: Final = "Job"
CLAIM: Final = "PersistentVolumeClaim"
NODE: Final = "Node"
MAKERS: Final = frozenset((STATEFUL_SET, JOB))
"""They make pods themselves: where none can be made, only their template has the token."""
_OWNERS: Final = MAKERS | {DEPLOYMENT}
BESIDE: Final = _OWNERS | {CLAIM}
"""Whose Events come with those of the namespace."""
TIES_MAX: Final = 32
"""Of one object; Kubernetes allows more volumes than any node can attach."""


class Tie(Struct, frozen=True, gc=False, array_like=True):
    """One neighbour of an object, which is in the object's namespace or in none."""

    kind: str
    key: str
    """UID of an owner; name of a claim or node."""


def ties_of(metadata: Metadata, spec: PodSpec | None, *, pod: bool) -> tuple[Tie, ...]:
    """The neighbours of an object; of a pod also what only the pod itself has: ephemeral volumes and a node."""
    ties = [
        Tie(owner.kind, owner.uid)
        for owner in metadata.owner_references or ()
        if owner.controller and owner.uid and owner.kind in _OWNERS
    ]
    if spec is not None:
        for volume in decode_claims(spec.volumes):
            if volume.persistent_volume_claim is not None and volume.persistent_volume_claim.claim_name:
                ties.append(Tie(CLAIM, volume.persistent_volume_claim.claim_name))
            elif volume.ephemeral is not None and pod:
                ties.append(Tie(CLAIM, f"{metadata.name}-{volume.name}"))
        if spec.node_name and pod:
            ties.insert(0, Tie(NODE, spec.node_name))
    return tuple(dict.fromkeys(ties))[:TIES_MAX]


def tie_of(event: Event) -> Tie | None:
    """What `event` is about, as those beside it name it; None if it is about nothing of the kind."""
    involved = event.involved_object
    if involved.kind in _OWNERS:
        return Tie(involved.kind, involved.uid)
    if involved.kind in (CLAIM, NODE):
        return Tie(involved.kind, involved.name)
    return None


_Key = tuple[str, str, str]


class Neighbours:
    """Which objects stand beside what. Bounded by the objects, of which each has at most `TIES_MAX`."""

    def __init__(self) -> None:
        self._beside: dict[_Key, dict[Uid, None]] = {}

    def __len__(self) -> int:
        return len(self._beside)

    def beside(self, tie: Tie, namespace: str) -> Iterator[Uid]:
        """The objects beside `tie`, which is in `namespace`, in the order in which they came."""
        return iter(self._beside.get(_key(tie, namespace), ()))

    def tie(self, uid: Uid, namespace: str, ties: Iterable[Tie]) -> None:
        for each in ties:
            self._beside.setdefault(_key(each, namespace), {})[uid] = None

    def untie(self, uid: Uid, namespace: str, ties: Iterable[Tie]) -> None:
        for each in ties:
            key = _key(each, namespace)
            uids = self._beside.get(key, {})
            uids.pop(uid, None)
            if not uids:
                self._beside.pop(key, None)


def _key(tie: Tie, namespace: str) -> _Key:
    return (tie.kind, place_of(tie, namespace), tie.key)


def place_of(tie: Tie, namespace: str) -> str:
    """`namespace`, in which an object names `tie` or Events about it are kept; "" for what is in none."""
    return "" if tie.kind == NODE else namespace
