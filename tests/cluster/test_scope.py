"""What is watched and what is not: selectors, and namespaces that we may not read."""

import uuid
from pathlib import Path

import pytest

from tests.cluster.api import KubeApi
from tests.cluster.conftest import MakeNamespace, MakeWorkspace
from tests.cluster.harness import Programs, WorkspaceLog
from tests.cluster.objects import container, deployment, event, pod
from tests.cluster.pki import write_kubeconfig

MARK = "logstream-test"
RULES = [
    {"apiGroups": [""], "resources": ["pods", "events"], "verbs": ["get", "list", "watch"]},
    {"apiGroups": [""], "resources": ["secrets", "configmaps"], "verbs": ["get"]},
    {"apiGroups": ["apps"], "resources": ["replicasets"], "verbs": ["get", "list", "watch"]},
]


async def restricted_user(kube: KubeApi, namespace: str, path: Path) -> Path:
    """A kubeconfig of a service account that may do nothing yet."""
    await kube.create("serviceaccounts", namespace, {"metadata": {"name": "logstream"}})
    request = await kube.call(
        "POST",
        f"/api/v1/namespaces/{namespace}/serviceaccounts/logstream/token",
        {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 3600}},
    )
    return write_kubeconfig(path, kube.server, kube.authority(), request["status"]["token"])


async def grant(kube: KubeApi, namespace: str, home: str) -> None:
    """Let the service account of `home` read `namespace` as the program needs it."""
    group = "rbac.authorization.k8s.io"
    await kube.create("roles", namespace, {"metadata": {"name": "logstream"}, "rules": RULES})
    binding = {
        "metadata": {"name": "logstream"},
        "roleRef": {"apiGroup": group, "kind": "Role", "name": "logstream"},
        "subjects": [{"kind": "ServiceAccount", "name": "logstream", "namespace": home}],
    }
    await kube.create("rolebindings", namespace, binding)


async def test_a_forbidden_namespace_is_named_and_the_others_go_on(
    kube: KubeApi, new_namespace: MakeNamespace, new_workspace: MakeWorkspace, programs: Programs, tmp_path: Path
) -> None:
    allowed, forbidden = await new_namespace(), await new_namespace()
    kubeconfig = await restricted_user(kube, allowed, tmp_path / "restricted.kubeconfig")
    await grant(kube, allowed, home=allowed)
    await (await programs.shipper()).ready()
    watcher = await programs.watcher("--namespaces", f"{allowed},{forbidden}", "--kubeconfig", str(kubeconfig))

    seen, unseen = new_workspace(), new_workspace()
    await kube.create("pods", forbidden, pod("dev", container(unseen.token)))
    await kube.create("pods", allowed, pod("dev", container(seen.token)))
    await seen.gets("🐳 Created pod: dev")
    line = await watcher.said(forbidden, "forbidden")
    assert "pods" in line or "events" in line or "replicasets" in line
    assert unseen.lines() == []

    await grant(kube, forbidden, home=allowed)
    await unseen.gets("🐳 Created pod: dev")


async def test_a_namespace_that_does_not_exist_yet_is_watched_once_it_does(
    kube: KubeApi, new_workspace: MakeWorkspace, new_namespace: MakeNamespace, programs: Programs
) -> None:
    name = await new_namespace()
    later = f"{name}-later"
    await programs.start("--namespaces", f"{name},{later}")
    await kube.call("POST", "/api/v1/namespaces", {"metadata": {"name": later}})
    workspace = new_workspace()
    try:
        await kube.create("serviceaccounts", later, {"metadata": {"name": "own"}})
        made = pod("dev", container(workspace.token))
        made["spec"]["serviceAccountName"] = "own"
        await kube.create("pods", later, made)
        await workspace.gets("🐳 Created pod: dev")
    finally:
        await kube.call("DELETE", f"/api/v1/namespaces/{later}")


async def test_a_label_selector_chooses_pods_and_their_owners(
    kube: KubeApi, namespace: str, new_workspace: MakeWorkspace, programs: Programs
) -> None:
    await programs.start("--namespaces", namespace, "--label-selector", "team=blue")
    other, chosen = new_workspace(), new_workspace()
    await kube.create("deployments", namespace, deployment("red", container(other.token), labels={"team": "red"}))
    await kube.create("deployments", namespace, deployment("blue", container(chosen.token), labels={"team": "blue"}))
    await chosen.gets("🐳 Queued pod from ReplicaSet: blue-")
    await chosen.gets("🐳 Created pod: blue-")
    await chosen.gets("No node for the pod yet")
    assert other.lines() == []


@pytest.mark.parametrize("whole_cluster", [True, False], ids=["whole cluster", "named namespaces"])
async def test_a_namespace_in_the_field_selector_binds_owners_too(
    kube: KubeApi,
    new_namespace: MakeNamespace,
    new_workspace: MakeWorkspace,
    programs: Programs,
    whole_cluster: bool,
) -> None:
    chosen_home, other_home = await new_namespace(), await new_namespace()
    named = () if whole_cluster else ("--namespaces", f"{chosen_home},{other_home}")
    await programs.start(*named, "--field-selector", f"metadata.namespace={chosen_home}")
    other, chosen = new_workspace(), new_workspace()
    await kube.create("deployments", other_home, deployment("dev", container(other.token)))
    await kube.create("deployments", chosen_home, deployment("dev", container(chosen.token)))
    await chosen.gets("🐳 Queued pod from ReplicaSet: dev-")
    await chosen.gets("No node for the pod yet")
    assert other.lines() == []


async def test_a_field_selector_chooses_pods_by_their_fields(
    kube: KubeApi, namespace: str, new_workspace: MakeWorkspace, programs: Programs
) -> None:
    await programs.start("--namespaces", namespace, "--field-selector", "metadata.name!=hidden")
    hidden, shown = new_workspace(), new_workspace()
    made = await kube.create("pods", namespace, pod("hidden", container(hidden.token)))
    await kube.create("events", namespace, event(made, "Pulled", "an image"))
    await kube.create("pods", namespace, pod("shown", container(shown.token)))
    await shown.gets("🐳 Created pod: shown")
    assert hidden.lines() == []


async def test_a_field_that_pods_cannot_be_selected_by_is_said_with_an_example(
    namespace: str, programs: Programs
) -> None:
    watcher = await programs.watcher("--namespaces", namespace, "--field-selector", "spec.color=red")
    said = await watcher.said("refuses the request", "pods", "spec.color", "example: metadata.namespace!=kube-system")
    assert '"error"' in said


async def mark(kube: KubeApi, namespace: str, value: str | None) -> None:
    """Label a namespace, or take the label away."""
    path = f"/api/v1/namespaces/{namespace}"
    patch = {"metadata": {"labels": {MARK: value}}}
    await kube.call("PATCH", path, patch, content_type="application/merge-patch+json")


async def test_a_namespace_is_watched_as_long_as_it_has_the_label(
    kube: KubeApi, new_namespace: MakeNamespace, new_workspace: MakeWorkspace, programs: Programs
) -> None:
    ours, chosen = f"s-{uuid.uuid4().hex[:8]}", [await new_namespace() for _ in range(2)]
    await mark(kube, chosen[0], ours)
    await programs.start("--namespace-selector", f"{MARK}={ours}")
    first, second = new_workspace(), new_workspace()
    made = await kube.create("pods", chosen[0], pod("dev", container(first.token)))
    await kube.create("pods", chosen[1], pod("dev", container(second.token)))
    await first.gets("🐳 Created pod: dev")
    assert second.lines() == []

    await mark(kube, chosen[1], ours)
    await second.gets("🐳 Created pod: dev")  # it waits, so it is told although it is older

    await mark(kube, chosen[0], None)
    await mark(kube, chosen[0], ours)
    await kube.create("events", chosen[0], event(made, "Pulled", "an image"))
    await first.gets("(Pulled)")
    assert first.having("Deleted pod") == []


async def test_a_deleted_namespace_that_was_selected_tells_the_ends_of_its_pods(
    kube: KubeApi, workspace: WorkspaceLog, programs: Programs
) -> None:
    chosen = f"logstream-test-{uuid.uuid4().hex[:8]}"
    await programs.start("--namespace-selector", f"{MARK}={chosen}")
    await kube.call("POST", "/api/v1/namespaces", {"metadata": {"name": chosen, "labels": {MARK: chosen}}})
    await kube.create("serviceaccounts", chosen, {"metadata": {"name": "own"}})
    made = pod("dev", container(workspace.token))
    made["spec"]["serviceAccountName"] = "own"
    await kube.create("pods", chosen, made)
    await workspace.gets("🐳 Created pod: dev")
    await kube.call("DELETE", f"/api/v1/namespaces/{chosen}")
    await workspace.gets("🗑️ Deleted pod: dev")


async def test_without_the_right_to_read_namespaces_it_is_named(
    kube: KubeApi, namespace: str, programs: Programs, tmp_path: Path
) -> None:
    kubeconfig = await restricted_user(kube, namespace, tmp_path / "restricted.kubeconfig")
    watcher = await programs.watcher("--namespace-selector", f"{MARK}=x", "--kubeconfig", str(kubeconfig))
    await watcher.said("get, list and watch on namespaces in a ClusterRole bound cluster-wide")
