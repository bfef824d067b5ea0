"""Which rights the chosen options need, where, and what it means when one is lacking. Pure.

The table of docs/how-to/run-on-one-machine.md says the same to people; a test holds both together.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Final

from msgspec import Struct

from common.checkup import Area, Finding, Mark, fine
from common.settings.watcher import KubernetesSettings
from watcher.directory import ANY_NAMESPACE
from watcher.paths import MAKER_PLURALS, NAMESPACES, PLURALS

__all__ = ["ACCESS_REVIEWS", "Need", "Right", "access_review", "judged", "needs_of", "place_name"]

ACCESS_REVIEWS: Final = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
_READ: Final = ("get", "list", "watch")
_GROUPS: Final = {"replicasets": "apps", "statefulsets": "apps", "jobs": "batch"}
_LOG: Final = "pods/log"


class Right(Struct, frozen=True, gc=False):
    """One verb on one resource, in a namespace or (`ANY_NAMESPACE`) in the cluster."""

    verb: str
    resource: str
    namespace: str


class Need(Struct, frozen=True):
    """Verbs that go together: without one of them `lacking` is what follows."""

    resource: str
    verbs: tuple[str, ...]
    mark: Mark
    lacking: str

    def rights(self, namespace: str) -> list[Right]:
        return [Right(verb, self.resource, namespace) for verb in self.verbs]


_UNSEEN: Final = "nothing of them is seen"
_POD_NEEDS: Final = (
    Need(PLURALS["Pod"], _READ, Mark.BAD, _UNSEEN),
    Need(PLURALS["ReplicaSet"], _READ, Mark.BAD, "what keeps a first pod from being made is not seen"),
    Need("events", ("list", "watch"), Mark.BAD, "no Event is seen"),
    *(
        Need(each, ("get",), Mark.DOUBT, "agents whose token lies in one are not found, unless a rule names it")
        for each in ("secrets", "configmaps")
    ),
    *(
        Need(each, ("get",), Mark.DOUBT, "why the first pod of such a workspace cannot be made is not told")
        for each in MAKER_PLURALS.values()
    ),
)
_CRASH_LOGS: Final = Need(_LOG, ("get",), Mark.BAD, "the last lines of crashed containers are not shown")
_NODE_EVENTS: Final = Need("events", ("list", "watch"), Mark.BAD, "what ends a node is not told (--node-events)")
_NODES_HOME: Final = "default"
_SELECTED: Final = Need(NAMESPACES, _READ, Mark.BAD, "it is not known which namespaces have the label")


def needs_of(settings: KubernetesSettings, namespaces: Collection[str]) -> dict[str, list[Need]]:
    """What is needed, by namespace. `namespaces`: those that are watched, `ANY_NAMESPACE` for the cluster."""
    needs = {each: [*_POD_NEEDS, *([_CRASH_LOGS] if settings.crash_log_lines else [])] for each in namespaces}
    if settings.node_events and not needs.keys() & {_NODES_HOME, ANY_NAMESPACE}:
        needs[_NODES_HOME] = [_NODE_EVENTS]
    if settings.namespace_selector.strip():
        needs.setdefault(ANY_NAMESPACE, []).append(_SELECTED)
    return needs


def access_review(right: Right) -> dict[str, object]:
    """The question whether we have `right`."""
    resource, _, subresource = right.resource.partition("/")
    attributes = {
        "verb": right.verb,
        "group": _GROUPS.get(resource, ""),
        "resource": resource,
        "subresource": subresource,
        "namespace": "" if right.namespace == ANY_NAMESPACE else right.namespace,
    }
    spec = {"resourceAttributes": {name: value for name, value in attributes.items() if value}}
    return {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "spec": spec}


def place_name(namespace: str) -> str:
    """What people call it."""
    return "the cluster" if namespace == ANY_NAMESPACE else f"namespace {namespace}"


def judged(namespace: str, needs: Collection[Need], granted: Mapping[Right, bool]) -> Iterator[Finding]:
    """One line for all that is granted in `namespace`, and one for each resource with a right that is lacking."""
    about = f"permissions in {place_name(namespace)}"
    whole = [need for need in needs if all(granted[right] for right in need.rights(namespace))]
    if whole:
        yield fine(Area.KUBERNETES, about, "; ".join(f"{need.resource}: {', '.join(need.verbs)}" for need in whole))
    for need in needs:
        lacking = [right.verb for right in need.rights(namespace) if not granted[right]]
        if lacking:
            said = f"may not {', '.join(lacking)} {need.resource}: {need.lacking}"
            yield Finding(Area.KUBERNETES, about, need.mark, said, _remedy(need, lacking, namespace))


def _remedy(need: Need, lacking: Collection[str], namespace: str) -> str:
    group = _GROUPS.get(need.resource, "")
    where = "a ClusterRole bound cluster-wide"
    if namespace != ANY_NAMESPACE:
        where = f"a Role in namespace {namespace} or in a ClusterRole"
    of = f"of the API group {group} " if group else ""
    unless = " (leave it if no workspace needs it)" if need.mark is Mark.DOUBT else ""
    return f"grant {', '.join(lacking)} on {need.resource} {of}in {where}{unless}"
