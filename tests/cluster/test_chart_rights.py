"""The rights that the chart grants are those that the watcher needs for what is switched on, and no other."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest

from tests.chart.helm import Helm
from tests.chart.value_sets import URL
from tests.cluster.api import KubeApi
from tests.cluster.chart_rig import account_token, apply
from tests.cluster.conftest import MakeNamespace, MakeWorkspace
from tests.cluster.harness import Programs
from tests.cluster.namespaces import enforce_quota
from tests.cluster.objects import Object, container, container_with_secret, event, pod, secret
from tests.cluster.pki import write_kubeconfig
from tests.cluster.test_neighbours import set_of

RIGHTS: Final = {"ServiceAccount", "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"}
VERBS: Final = ("get", "list", "watch", "create", "patch", "delete")
GROUP_OF: Final[Mapping[str, str]] = {
    "pods": "", "pods/log": "", "pods/exec": "", "events": "", "secrets": "", "configmaps": "", "namespaces": "",
    "nodes": "", "serviceaccounts": "", "persistentvolumeclaims": "", "replicasets": "apps", "deployments": "apps",
    "statefulsets": "apps", "jobs": "batch", "cronjobs": "batch", "roles": "rbac.authorization.k8s.io",
    "leases": "coordination.k8s.io",
}  # fmt: skip
READ: Final = ("get", "list", "watch")
FOLLOWED: Final = ("list", "watch")
ALWAYS: Final[dict[str, tuple[str, ...]]] = {
    "pods": READ,
    "events": FOLLOWED,
    "replicasets": READ,
    "statefulsets": ("get",),
    "jobs": ("get",),
}
SECRETS: Final[dict[str, tuple[str, ...]]] = {"secrets": ("get",), "configmaps": ("get",)}


class Right(NamedTuple):
    namespace: str
    verb: str
    resource: str


def rights(namespaces: Iterable[str], verbs: Mapping[str, tuple[str, ...]]) -> set[Right]:
    return {Right(where, verb, what) for where in namespaces for what, each in verbs.items() for verb in each}


async def grant(kube: KubeApi, helm: Helm, home: str, values: Mapping[str, Any]) -> list[Object]:
    """Apply accounts and rights of a release; all that it renders."""
    objects = await asyncio.to_thread(helm.render, {**URL, **values}, namespace=home)
    for made in objects:
        if made["kind"] in RIGHTS and "helm.sh/hook" not in made["metadata"].get("annotations", {}):
            await apply(kube, made, home)
    return objects


async def may(kube: KubeApi, home: str, account: str, asked: Iterable[Right]) -> set[Right]:
    """Which of `asked` the account of the release has, as the API server judges."""

    async def allowed(right: Right) -> bool:
        resource, _, subresource = right.resource.partition("/")
        spec = {
            "user": f"system:serviceaccount:{home}:logs-coder-logstream-{account}",
            "groups": ["system:authenticated", "system:serviceaccounts", f"system:serviceaccounts:{home}"],
            "resourceAttributes": {
                "namespace": right.namespace, "verb": right.verb, "resource": resource, "subresource": subresource,
                "group": GROUP_OF[right.resource],
            },
        }  # fmt: skip
        review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec}
        answer = await kube.call("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", review)
        return bool(answer["status"]["allowed"])

    asked = list(asked)
    answers = await asyncio.gather(*(allowed(right) for right in asked))
    return {right for right, yes in zip(asked, answers, strict=True) if yes}


class Case(NamedTuple):
    values: Mapping[str, Any]
    """NAMED and OTHER stand for two namespaces."""
    everywhere: Mapping[str, tuple[str, ...]]
    named: Mapping[str, tuple[str, ...]]
    default: Mapping[str, tuple[str, ...]] = {}


NAMED, OTHER = "NAMED", "OTHER"
NAMESPACES: Final[dict[str, tuple[str, ...]]] = {"namespaces": READ}
CASES: Final[Mapping[str, Case]] = {
    "the whole cluster": Case({}, ALWAYS | SECRETS, {}),
    "the whole cluster, no Secrets": Case({"rbac": {"secretsAccess": "none"}}, ALWAYS, {}),
    "the whole cluster, Secrets of one namespace": Case(
        {"rbac": {"secretsAccess": "namespaced", "namespaces": [NAMED]}}, ALWAYS, SECRETS
    ),
    "a named namespace": Case({"namespaces": [NAMED]}, {}, ALWAYS | SECRETS),
    "a named namespace, no owners": Case(
        {"namespaces": NAMED, "rbac": {"owners": False, "secretsAccess": "namespaced"}},
        {},
        {"pods": READ, "events": FOLLOWED, "replicasets": READ} | SECRETS,
    ),
    "a named namespace, all Secrets": Case(
        {"namespaces": [NAMED], "rbac": {"secretsAccess": "cluster"}}, SECRETS, ALWAYS | SECRETS
    ),
    "everything on": Case(
        {"namespaces": [NAMED], "watcher": {"nodeEvents": True, "crashLogLines": 5}},
        {},
        ALWAYS | SECRETS | {"pods/log": ("get",)},
        {"events": FOLLOWED},
    ),
    "everything on, by flags": Case(
        {"args": ["--node-events", "--crash-log-lines=5", f"-n{NAMED}"]},
        {},
        ALWAYS | SECRETS | {"pods/log": ("get",)},
        {"events": FOLLOWED},
    ),
    "namespaces by label": Case({"namespaceSelector": "a=b"}, ALWAYS | SECRETS | NAMESPACES, {}),
    "namespaces by label, with Roles": Case(
        {"namespaceSelector": "a=b", "rbac": {"namespaces": [NAMED]}}, NAMESPACES, ALWAYS | SECRETS
    ),
    "rights of one's own": Case({"rbac": {"create": False}}, {}, {}),
}


def placed(values: Any, names: Mapping[str, str]) -> Any:
    """`values` with the real names in the place of their marks."""
    match values:
        case dict():
            return {key: placed(value, names) for key, value in values.items()}
        case list():
            return [placed(value, names) for value in values]
        case str():
            for mark, name in names.items():
                values = values.replace(mark, name)
            return values
        case _:
            return values


@pytest.mark.parametrize("name", CASES)
async def test_the_watcher_may_do_what_it_needs_and_nothing_else(
    name: str, kube: KubeApi, helm: Helm, home: str, new_namespace: MakeNamespace
) -> None:
    case = CASES[name]
    named, other = await new_namespace(), await new_namespace()
    places = (named, other, "default", "")
    await grant(kube, helm, home, placed(case.values, {NAMED: named}))
    asked = [Right(*each) for each in itertools.product(places, VERBS, GROUP_OF)]
    expected = rights(places, case.everywhere) | rights([named], case.named) | rights(["default"], case.default)

    allowed = await may(kube, home, "watcher", asked)
    assert sorted(allowed - expected) == []
    assert sorted(expected - allowed) == []


async def test_the_shipper_may_do_nothing(kube: KubeApi, helm: Helm, home: str) -> None:
    await grant(kube, helm, home, {"watcher": {"nodeEvents": True, "crashLogLines": 5}})
    asked = [Right(*each) for each in itertools.product((home, "default", ""), VERBS, GROUP_OF)]
    assert await may(kube, home, "shipper", asked) == set()


async def test_the_hook_may_make_one_secret_and_read_no_other(kube: KubeApi, helm: Helm, home: str) -> None:
    for made in await asyncio.to_thread(helm.render, URL, namespace=home):
        if made["kind"] in RIGHTS and "helm.sh/hook" in made["metadata"].get("annotations", {}):
            await apply(kube, made, home)
    asked = [Right(*each) for each in itertools.product((home, "default", ""), VERBS, GROUP_OF)]
    assert await may(kube, home, "make-keys", asked) == {Right(home, "create", "secrets")}


async def test_the_watcher_does_all_its_work_with_the_rights_of_its_account(
    kube: KubeApi,
    helm: Helm,
    home: str,
    new_namespace: MakeNamespace,
    new_workspace: MakeWorkspace,
    programs: Programs,
    tmp_path: Path,
) -> None:
    """Everything switched on, with the environment and flags that the chart gives it."""
    watched = await new_namespace()
    values = {"namespaces": [watched], "watcher": {"nodeEvents": True, "crashLogLines": 5}}
    objects = await grant(kube, helm, home, values)
    token = await account_token(kube, home, "logs-coder-logstream-watcher")
    kubeconfig = write_kubeconfig(tmp_path / "watcher.kubeconfig", kube.server, kube.authority(), token)
    given = next(
        made for made in objects if made["metadata"]["name"].endswith("-watcher") and made["kind"] == "Deployment"
    )
    environ = {
        each["name"]: each.get("value", "") for each in given["spec"]["template"]["spec"]["containers"][0]["env"]
    }
    chosen = {name: environ[name] for name in environ if "REDIS" not in name and "TOKEN" not in name}
    await (await programs.shipper()).ready()
    watcher = await programs.watcher("--kubeconfig", str(kubeconfig), **chosen)

    direct, by_secret, owned, on_node = (new_workspace() for _ in range(4))
    await kube.create("secrets", watched, secret("agent", token=by_secret.token))
    made = await kube.create("pods", watched, pod("direct", container(direct.token)))
    await kube.create("pods", watched, pod("by-secret", container_with_secret("agent", "token")))
    await kube.create("events", watched, event(made, "Pulled", "an image"))
    placed_pod = pod("placed", container(on_node.token))
    placed_pod["spec"]["nodeName"] = home
    await kube.create("pods", watched, placed_pod)
    await on_node.gets("🐳 Created pod: placed")
    await direct.gets("🐳 Created pod: direct")
    await direct.gets("an image (Pulled)")
    await by_secret.gets("🐳 Created pod: by-secret")
    await enforce_quota(kube, watched, pods="0")
    await kube.create("statefulsets", watched, set_of(owned.token))
    await owned.gets("FailedCreate: ", "exceeded quota: quota")
    node = {"apiVersion": "v1", "kind": "Node", "metadata": {"namespace": "default", "name": home, "uid": home}}
    said = event(node, "SpotInterrupted", "Spot interruption warning was triggered", warning=True)
    del said["involvedObject"]["namespace"]
    await kube.create("events", "default", said)
    await on_node.gets("SpotInterrupted")
    await watcher.ready()
    assert "orbidden" not in watcher.log
