"""What is found under a name in a cluster, and why it is not followed; and what a look at a cluster's fitness says."""

import base64
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from common.checkup import Mark
from common.clock import SystemClock
from common.settings.watcher import KubernetesSettings
from common.whereabouts import ObjectSeen
from console.doubles.faults import Answer, Injection
from console.doubles.kube import KubeDouble, kubeconfig
from console.doubles.kube_control import Forbid, Inject, Put
from watcher.checkup import examine
from watcher.explain import OBJECTS_MAX, explain
from watcher.kube import KubeClient

TOKEN = str(uuid.uuid4())
PLAIN = [{"name": "CODER_AGENT_TOKEN", "value": TOKEN}]
HIDDEN = [{"name": "CODER_AGENT_TOKEN", "valueFrom": {"secretKeyRef": {"name": "s", "key": "t"}}}]


class Site:
    def __init__(self, kube: KubeDouble, api: KubeClient) -> None:
        self.kube = kube
        self.api = api

    def pod(self, name: str, env: object, namespace: str = "coder", labels: dict[str, str] | None = None) -> None:
        metadata = {"name": name, "namespace": namespace, "labels": labels or {}}
        self.kube.apply(Put("pods", {"metadata": metadata, "spec": {"containers": [{"name": "dev", "env": env}]}}))

    async def one(self, name: str, **settings: Any) -> ObjectSeen:
        (seen,) = (await explain(KubernetesSettings(**settings), self.api, name)).objects
        return seen

    async def names(self, name: str, **settings: Any) -> list[str]:
        found = await explain(KubernetesSettings(**settings), self.api, name)
        return [f"{each.kind} {each.namespace}/{each.name}" for each in found.objects]

    async def marked(self, mark: Mark, **settings: Any) -> list[str]:
        findings = await examine(KubernetesSettings(**settings), self.api, self.kube.url, SystemClock())
        return [f"{each.about}: {each.said}" for each in findings if each.mark is mark]


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with KubeDouble() as kube:
        path = tmp_path / "kubeconfig"
        path.write_text(kubeconfig(kube.url))
        api = KubeClient(str(path), clock=SystemClock(), request_timeout_s=30)
        await api.open()
        yield Site(kube, api)
        await api.close()


async def test_a_pod_is_found_by_its_name_its_deployments_its_workspaces_and_its_owners(site: Site) -> None:
    names = {"com.coder.workspace.name": "web", "com.coder.user.username": "alice"}
    site.pod("dev-5d9c-x2x", PLAIN, labels=names)
    site.pod("devil", PLAIN)
    for name in ("dev-5d9c-x2x", "coder/dev-5d9c-x2x", "dev", "dev-5d9c", "web", "alice", "alice/web"):
        assert await site.names(name) == ["Pod coder/dev-5d9c-x2x"], name
    for name in ("dev-5", "bob", "bob/web", "other/dev-5d9c-x2x", "we"):
        assert await site.names(name) == [], name


async def test_a_replica_set_whose_pods_cannot_be_made_is_found(site: Site) -> None:
    template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "dev", "env": PLAIN}]}}
    owner = {"metadata": {"name": "web-5d9c", "namespace": "coder"}, "spec": {"replicas": 1, "template": template}}
    site.kube.apply(Put("replicasets", owner))
    seen = await site.one("web", label_selector="app=web")
    assert (seen.kind, seen.left_out) == ("ReplicaSet", "")
    assert [(place.container, place.where, place.problem) for place in seen.places] == [
        ("dev", "the value of CODER_AGENT_TOKEN", "")
    ]
    assert (await site.one("web", label_selector="app=x")).left_out == "--label-selector app=x leaves it out"


async def test_replica_sets_of_earlier_builds_are_left_aside(site: Site) -> None:
    for name, replicas in (("web-old", 0), ("web-new", 1)):
        owner = {"metadata": {"name": name, "namespace": "coder"}, "spec": {"replicas": replicas, "template": {}}}
        site.kube.apply(Put("replicasets", owner))
    assert await site.names("web") == ["ReplicaSet coder/web-new"]
    assert await site.names("web-old") == ["ReplicaSet coder/web-old"]


async def test_what_is_no_name_asks_for_nothing_else(site: Site) -> None:
    site.pod("web", PLAIN)
    for name in ("../coder/web", "coder/../../secrets", "coder/web,x=y", "/web", ""):
        assert await site.names(name) == [], name


async def test_why_a_pod_is_not_followed_is_said_with_the_remedy(site: Site) -> None:
    site.pod("web", PLAIN, labels={"team": "red"})
    site.kube.apply(Put("namespaces", {"metadata": {"name": "labelled", "labels": {"coder": "yes"}}}))
    for settings, left_out, remedy in (
        ({"namespaces": "a,b"}, "namespace coder is not watched", "--namespaces"),
        (
            {"namespace_selector": "coder=yes"},
            "namespace coder has not the labels of --namespace-selector",
            "coder=yes",
        ),
        ({"label_selector": "team=blue"}, "--label-selector team=blue leaves it out", "label the pod"),
        ({"field_selector": "metadata.name!=web"}, "--field-selector metadata.name!=web leaves it out", "selector"),
    ):
        seen = await site.one("web", **settings)
        assert seen.left_out == left_out
        assert remedy in seen.remedy
    assert (await site.one("web", namespaces="coder", label_selector="team=red")).left_out == ""


@pytest.mark.parametrize(
    ("env", "where", "problem"),
    [
        ([{"name": "CODER_AGENT_TOKEN", "value": "x" + TOKEN}], "CODER_AGENT_TOKEN or ", "is no agent token"),
        (HIDDEN, "Secret s, key t", "there is no such Secret"),
        (
            [{"name": "CODER_AGENT_TOKEN", "valueFrom": {"fieldRef": {"fieldPath": "metadata.uid"}}}],
            "",
            "not looked for",
        ),
    ],
)
async def test_why_there_is_no_token_is_said(site: Site, env: object, where: str, problem: str) -> None:
    site.pod("web", env)
    (place,) = (await site.one("web")).places
    assert place.where.startswith(where)
    assert problem in place.problem
    assert place.remedy


async def test_a_secret_that_may_not_be_read_is_told_from_one_that_is_there(site: Site) -> None:
    data = {"t": base64.b64encode(TOKEN.encode()).decode()}
    site.kube.apply(Put("secrets", {"metadata": {"name": "s", "namespace": "coder"}, "data": data}))
    site.pod("web", HIDDEN)
    assert [place.problem for place in (await site.one("web")).places] == [""]
    site.kube.apply(Forbid(verb="get", resource="secrets"))
    (place,) = (await site.one("web")).places
    assert place.problem == "the Secret may not be read"
    assert place.remedy == "grant get on secrets in a Role in namespace coder or in a ClusterRole"


async def test_without_rights_in_the_cluster_only_what_is_watched_is_looked_into(site: Site) -> None:
    site.pod("web", PLAIN)
    site.pod("web", PLAIN, "other")
    assert len(await site.names("web", namespaces="coder")) == 2
    for namespace in ("", "other"):
        site.kube.apply(Forbid(verb="list", resource="pods", namespace=namespace))
    found = await explain(KubernetesSettings(namespaces=("coder",)), site.api, "web")
    assert [each.namespace for each in found.objects] == ["coder"]
    assert found.troubles == ("only the namespaces watched were looked into: listing others is forbidden",)


async def test_an_owner_is_no_namespace_that_may_not_be_looked_into(site: Site) -> None:
    site.pod("web", PLAIN, labels={"com.coder.user.username": "alice", "com.coder.workspace.name": "dev"})
    site.kube.apply(Forbid(verb="list", resource="pods", namespace="alice"))
    found = await explain(KubernetesSettings(), site.api, "alice/dev")
    assert ([each.name for each in found.objects], found.troubles) == (["web"], ())
    nothing = await explain(KubernetesSettings(), site.api, "alice/none")
    (trouble,) = nothing.troubles
    assert trouble.startswith("namespace alice could not be looked into: ")


async def test_of_very_many_the_first_are_told(site: Site) -> None:
    for number in range(OBJECTS_MAX + 1):
        site.pod(f"web-{number}", PLAIN)
    found = await explain(KubernetesSettings(), site.api, "web")
    assert len(found.objects) == OBJECTS_MAX
    assert found.troubles == (f"{OBJECTS_MAX + 1} objects are called so; the first {OBJECTS_MAX} are told",)


async def test_the_options_chosen_decide_which_rights_are_looked_for(site: Site) -> None:
    site.kube.apply(Put("namespaces", {"metadata": {"name": "a", "labels": {"ours": ""}}}))
    for verb, resource, namespace in (
        ("get", "pods", "a"),
        ("get", "pods/log", "a"),
        ("watch", "namespaces", ""),
        ("list", "events", "default"),
    ):
        site.kube.apply(Forbid(verb=verb, resource=resource, namespace=namespace))
    assert await site.marked(Mark.BAD, namespaces="a") == [
        "permissions in namespace a: may not get pods: nothing of them is seen"
    ]
    failures = await site.marked(Mark.BAD, namespace_selector="ours", node_events=True, crash_log_lines=5)
    assert [each.partition(":")[2].strip() for each in failures] == [
        "may not get pods: nothing of them is seen",
        "may not get pods/log: the last lines of crashed containers are not shown",
        "may not list events: what ends a node is not told (--node-events)",
        "may not watch namespaces: it is not known which namespaces have the label",
    ]


async def test_a_field_that_the_cluster_does_not_know_and_a_selector_that_is_none_are_said(site: Site) -> None:
    (said,) = await site.marked(Mark.BAD, field_selector="spec.color=red")
    assert said.startswith("selectors: the cluster does not take --field-selector: ")
    (said,) = await site.marked(Mark.BAD, label_selector="a in b")
    assert said.startswith("selectors: --label-selector: label selector 'a in b': cannot read")


async def test_a_namespace_that_is_not_there_and_a_cluster_without_workspaces_are_doubts(site: Site) -> None:
    assert await site.marked(Mark.DOUBT, namespaces="nowhere") == [
        "namespaces: there is no nowhere yet",
        "workspaces: none of 0 pods has an agent token",
    ]
    assert await site.marked(Mark.DOUBT, namespace_selector="ours") == [
        "namespaces: none has the labels ours",
        "workspaces: none of 0 pods has an agent token",
    ]


async def test_a_cluster_that_fails_is_said_and_no_more_is_asked(site: Site) -> None:
    site.kube.apply(Inject(Injection(Answer(500, "out of order"), 100, {"verb": "list"})))
    failures = await site.marked(Mark.BAD)
    assert failures == ["workspaces: pods cannot be listed: HTTP 500: out of order"]
