"""The chart installed for real: hooks, upgrades, the way from coder-logstream-kube and back, two releases."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, Final

import pytest

from tests.chart.helm import Helm, HelmRefused
from tests.chart.standard import CASES
from tests.chart.value_sets import URL, VALUE_SETS
from tests.chart.values_page import CHART
from tests.cluster.api import ApiRefused, KubeApi
from tests.cluster.chart_rig import GROUPS, Hooks, apply, release_namespace, run_helm
from tests.cluster.cluster import Cluster
from tests.cluster.harness import eventually
from tests.cluster.objects import Object
from tests.cluster.peers_chart import write_peers_chart

TIMEOUT: Final = ("--timeout", "60s")
STRICT: Final = {"dryRun": "All", "fieldValidation": "Strict"}
SECRET: Final = "logs-coder-logstream-keys"
KEYS: Final = {"token-key", "redis-password", "watcher-password", "shipper-password"}


@pytest.fixture(autouse=True)
def _without_kubelets(cluster: Cluster) -> None:
    """One would run the hooks' pods beside us, and count on an image."""
    _ = cluster.breakable


@pytest.fixture
async def hooks(kube: KubeApi, home: str, tmp_path: Path) -> AsyncIterator[Hooks]:
    async with Hooks(kube, tmp_path, home) as hooks:
        yield hooks


async def keys(kube: KubeApi, namespace: str) -> dict[str, str]:
    """What the Secret holds; nothing if it is not there."""
    there = [each for each in await kube.items("secrets", namespace) if each["metadata"]["name"] == SECRET]
    data = there[0]["data"] if there else {}
    return {key: base64.b64decode(value).decode() for key, value in data.items()}


async def pods_made(kube: KubeApi, namespace: str, wanted: Mapping[str, int]) -> None:
    """Wait until the controllers have made as many pods of each component: none was refused."""

    async def count() -> dict[str, int]:
        there = [pod["metadata"]["labels"] for pod in await kube.items("pods", namespace)]
        components = [labels.get("app.kubernetes.io/component", "") for labels in there]
        return {name: components.count(name) for name in wanted}

    await eventually(count, lambda seen: seen == wanted, why=f"pods in {namespace}")


async def test_a_release_keeps_its_keys_over_upgrade_rollback_and_reinstallation(
    kube: KubeApi, helm: Helm, home: str, hooks: Hooks
) -> None:
    where = ("logs", str(CHART), "--namespace", home, *TIMEOUT)
    notes = await run_helm(helm, "install", *where, *helm.values(URL))
    assert f"helm test logs --namespace {home} --logs" in notes
    assert "The image coder-logstream:" in notes
    assert "restricted Pod Security Standard" not in notes
    first = await keys(kube, home)
    assert first.keys() == KEYS
    await pods_made(kube, home, {"watcher": 2, "shipper": 2, "valkey": 1})
    assert [each["metadata"]["name"] for each in await kube.items("jobs", home)] == []

    other = {
        **URL,
        "namespaces": [home],
        "metrics": {"enabled": True},
        "image": {"tag": "2"},
        "shipper": {"replicas": 3},
    }
    await run_helm(helm, "upgrade", *where, *helm.values(other))
    assert await keys(kube, home) == first
    await pods_made(kube, home, {"shipper": 4})  # one of the new ones; the old ones go when it is ready
    await run_helm(helm, "rollback", "logs", "1", "--namespace", home, *TIMEOUT)
    await run_helm(helm, "uninstall", "logs", "--namespace", home, *TIMEOUT)
    assert await kube.items("deployments", home) == []
    await run_helm(helm, "install", *where, *helm.values(URL))
    assert await keys(kube, home) == first
    assert "kept the Secret" in hooks.said[-1]


async def test_renders_that_are_applied_keep_the_keys(kube: KubeApi, helm: Helm, home: str, hooks: Hooks) -> None:
    """As Argo CD does, or `kubectl apply`: no lookup, and hooks are objects as others are."""

    async def held() -> Mapping[str, str]:
        return await keys(kube, home)

    async def applied(values: Mapping[str, Any]) -> Mapping[str, str]:
        for made in await asyncio.to_thread(helm.render, values, namespace=home):
            await apply(kube, made, home)

        await eventually(held, lambda seen: seen.keys() == KEYS, why="the keys")
        return await keys(kube, home)

    first = await applied(URL)
    assert await applied(URL) == first
    newer = {**URL, "image": {"tag": "2"}}
    assert await applied(newer) == first

    async def ran() -> int:
        return len(hooks.said)

    await eventually(ran, lambda seen: seen == 2, why="a Job of the newer image")
    assert await keys(kube, home) == first


async def test_what_a_secret_holds_is_kept_and_what_it_lacks_is_added(
    kube: KubeApi, helm: Helm, home: str, hooks: Hooks
) -> None:
    own = base64.urlsafe_b64encode(bytes(32)).decode()
    await kube.create("secrets", home, {"metadata": {"name": SECRET}, "stringData": {"token-key": own, "more": "x"}})
    await run_helm(helm, "install", "logs", str(CHART), "--namespace", home, *TIMEOUT, *helm.values(URL))
    assert await keys(kube, home) | {"token-key": own, "more": "x"} == await keys(kube, home)
    assert (await keys(kube, home)).keys() == KEYS | {"more"}


async def test_a_key_that_is_none_stops_the_installation(kube: KubeApi, helm: Helm, home: str, hooks: Hooks) -> None:
    await kube.create("secrets", home, {"metadata": {"name": SECRET}, "stringData": {"token-key": "nonsense"}})
    where = ("logs", str(CHART), "--namespace", home, "--timeout", "3s")
    with pytest.raises(HelmRefused):
        await run_helm(helm, "install", *where, *helm.values(URL))
    assert "token-key in the Secret logs-coder-logstream-keys is not a token key" in hooks.said[0]
    assert await kube.items("deployments", home) == []


async def test_the_notes_say_what_leaves_the_restricted_standard(kube: KubeApi, helm: Helm, home: str) -> None:
    volumes = {"volumes": [{"name": "certs", "hostPath": {"path": "/etc/ssl"}}]}
    values = {**VALUE_SETS["peers-contexts"], "shipper": volumes}
    where = ("logs", str(CHART), "--namespace", home, "--dry-run=server")
    notes = await run_helm(helm, "install", *where, *helm.values(values))
    said = notes.partition("These leave the restricted Pod Security Standard")[2]
    assert "  watcher, valkey, make-keys, doctor: allowPrivilegeEscalation\n" in said
    assert "  shipper: allowPrivilegeEscalation, volume certs (hostPath)\n" in said


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.is_refused_for_this])
async def test_the_notes_name_the_pods_that_the_standard_refuses(
    name: str, kube: KubeApi, helm: Helm, home: str
) -> None:
    case = CASES[name]
    refused = set()
    for made in await asyncio.to_thread(helm.render, {**URL, **case.values}, namespace=home):
        if (spec := pod_spec(made)) is not None:
            said = await refusal(kube, home, made["metadata"]["name"], spec)
            assert "violates PodSecurity" in said or not said
            refused |= {spec["containers"][0]["name"]} if said else set()
    assert refused == {pod for pods in case.said for pod in pods}


async def refusal(kube: KubeApi, namespace: str, name: str, spec: Object) -> str:
    """What the API server says against a pod; empty if it takes it."""
    spec = {**spec, "serviceAccountName": "default", "priorityClassName": ""}  # others are not there
    pod = {"metadata": {"name": name}, "spec": spec}
    try:
        await kube.call("POST", f"/api/v1/namespaces/{namespace}/pods", pod, STRICT)
    except ApiRefused as error:
        return str(error)
    return ""


async def test_a_release_of_the_go_program_is_upgraded_with_its_values_and_rolled_back(
    kube: KubeApi, helm: Helm, tmp_path: Path
) -> None:
    peers_chart = write_peers_chart(tmp_path)
    async with release_namespace(kube, restricted=False) as home, Hooks(kube, tmp_path, home):
        where = ("--namespace", home, *TIMEOUT)
        own = {"serviceAccount": {"name": f"go-{home}"}, "rbac": {"roleName": home, "roleBindingName": home}}
        values = helm.values({**URL, **own, "labels": {"team": "a"}})
        await run_helm(helm, "install", "go", str(peers_chart), *where, *values)
        await pods_made(kube, home, {"": 1})

        notes = await run_helm(helm, "upgrade", "go", str(CHART), "--reuse-values", *where)
        assert "image.repo names coder-logstream-kube's image, which counts as not set" in notes
        await pods_made(kube, home, {"": 0, "watcher": 2, "shipper": 2, "valkey": 1})
        pods = await kube.items("pods", home)
        images = {pod["spec"]["containers"][0]["image"] for pod in pods}
        assert len(images) == 1
        assert not next(iter(images)).startswith("ghcr.io")
        assert {pod["metadata"]["labels"].get("team") for pod in pods} == {"a", None}  # Valkey is ours

        await run_helm(helm, "rollback", "go", "1", *where)
        await pods_made(kube, home, {"": 1, "watcher": 0, "shipper": 0, "valkey": 0})
        assert {each["metadata"]["name"] for each in await kube.items("serviceaccounts", home)} == {
            "default",
            f"go-{home}",
        }


async def test_two_releases_do_not_clash(kube: KubeApi, helm: Helm, home: str) -> None:
    """Two Coders in one cluster, whose workspaces share a namespace; releases of one name in two namespaces."""
    async with release_namespace(kube) as other, release_namespace(kube) as workspaces:
        values = helm.values({**URL, "namespaces": [workspaces], "keys": {"existingSecret": "keys"}})
        for release, namespace in (("logs", home), ("more", home), ("logs", other)):
            await run_helm(helm, "install", release, str(CHART), "--namespace", namespace, *TIMEOUT, *values)
        roles = {each["metadata"]["name"] for each in await kube.items("roles", workspaces)}
        assert len(roles) == 3
        for release, namespace in (("logs", home), ("logs", other)):
            await run_helm(helm, "uninstall", release, "--namespace", namespace, *TIMEOUT)
        assert len(await kube.items("roles", workspaces)) == 1
        left = {each["metadata"]["name"] for each in await kube.items("deployments", home)}
        assert left == {"more-coder-logstream-watcher", "more-coder-logstream-shipper"}


@pytest.mark.parametrize("name", VALUE_SETS)
async def test_the_api_server_takes_every_object(name: str, kube: KubeApi, helm: Helm, home: str) -> None:
    """A server-side dry run with strict fields, and of each pod too: the namespace enforces the restricted standard."""
    refused = []
    for made in await asyncio.to_thread(helm.render, VALUE_SETS[name], namespace=home):
        spec = pod_spec(made)
        if made["kind"] in GROUPS.keys() - {"Pod"} and made["metadata"].get("namespace", home) == home:
            await apply(kube, made, home, dry_run=True)
        if spec is not None and (said := await refusal(kube, home, made["metadata"]["name"], spec)):
            refused.append(said)
    if name == "peers-contexts":
        assert all("violates PodSecurity" in each for each in refused)
        assert refused
    else:
        assert refused == []


def pod_spec(made: Object) -> Object | None:
    match made["kind"]:
        case "Pod":
            return dict(made["spec"])
        case "Deployment" | "StatefulSet" | "Job":
            spec = dict(made["spec"]["template"]["spec"])
            claims = [claim["metadata"]["name"] for claim in made["spec"].get("volumeClaimTemplates", ())]
            claimed = [{"name": name, "persistentVolumeClaim": {"claimName": name}} for name in claims]
            return {**spec, "volumes": [*spec.get("volumes", ()), *claimed]}
        case _:
            return None
