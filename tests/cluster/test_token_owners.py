"""Tokens of what makes pods: in the template while no pod can be made, and in the pod whoever owns it."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from functools import partial

import pytest

from tests.cluster.api import KubeApi
from tests.cluster.conftest import MakeNamespace, MakeWorkspace
from tests.cluster.harness import Programs, WorkspaceLog, eventually
from tests.cluster.namespaces import enforce_quota
from tests.cluster.objects import Object, event, job, stateful_set
from tests.cluster.pod_steps import put
from tests.cluster.token_forms import FORMS, container_of, pod_of, spec_of

LATE_S = 120.0
"""Controllers try again after longer and longer pauses, and a template is read when they say so."""


async def test_templates_have_their_tokens_in_each_form_before_and_after_the_source_is_there(
    kube: KubeApi, new_namespace: MakeNamespace, new_workspace: MakeWorkspace, programs: Programs
) -> None:
    """No pod can be made, so nothing but the template tells whose trouble it is."""
    namespaces = {form: await new_namespace() for form in FORMS}
    for namespace in namespaces.values():
        await enforce_quota(kube, namespace, pods="0")
    await programs.start("--namespaces", ",".join(namespaces.values()))

    async def attempt(form: str, namespace: str) -> None:
        workspace = new_workspace()
        parts, sources = FORMS[form](workspace.token)
        spec = spec_of(container_of("dev", parts), volumes=parts.get("volumes"))
        await kube.create("statefulsets", namespace, stateful_set("early-set", spec))
        await kube.create("jobs", namespace, job("early-job", spec))
        for owner in ("early-set", "early-job"):
            await eventually(partial(failures, kube, namespace, owner), bool, why=f"{owner} with {form}")
        if sources:
            assert workspace.lines() == [], form
        await put(kube, namespace, sources)
        await kube.create("statefulsets", namespace, stateful_set("late-set", spec))
        await kube.create("jobs", namespace, job("late-job", spec))
        for owner in ("late-set", "late-job", "early-set", "early-job"):
            await workspace.gets("FailedCreate: ", f'"{owner}-', "exceeded quota", within_s=LATE_S)
        assert await kube.items("pods", namespace) == []

    await asyncio.gather(*(attempt(form, namespace) for form, namespace in namespaces.items()))


async def failures(kube: KubeApi, namespace: str, owner: str) -> list[Object]:
    """The Events that say that `owner` cannot make a pod."""
    return [
        each
        for each in await kube.items("events", namespace)
        if each["reason"] == "FailedCreate" and each["involvedObject"]["name"] == owner
    ]


@pytest.fixture
async def custom(kube: KubeApi) -> AsyncIterator[tuple[str, Object]]:
    """The path below which custom resources of a new kind are made in a namespace, and what is the same in all."""
    group, plural = f"g{uuid.uuid4().hex[:8]}.example.com", "workspaces"
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {"type": "object"}}}
    names = {"plural": plural, "singular": "workspace", "kind": "Workspace", "listKind": "WorkspaceList"}
    definition: Object = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {"group": group, "names": names, "scope": "Namespaced", "versions": [version]},
    }
    definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    await kube.call("POST", definitions, definition)

    async def conditions() -> list[Object]:
        made = await kube.call("GET", f"{definitions}/{plural}.{group}")
        return [each for each in made.get("status", {}).get("conditions") or () if each["status"] == "True"]

    await eventually(conditions, lambda seen: "Established" in {each["type"] for each in seen}, why="the new kind")
    yield f"/apis/{group}/v1", {"apiVersion": f"{group}/v1", "kind": "Workspace"}
    await kube.call("DELETE", f"{definitions}/{plural}.{group}")


@pytest.mark.parametrize("form", ["value", "secretKeyRef", "envFrom a Secret with a prefix"])
async def test_a_custom_owner_is_found_through_its_pod(
    form: str,
    custom: tuple[str, Object],
    kube: KubeApi,
    namespace: str,
    workspace: WorkspaceLog,
    programs: Programs,
) -> None:
    root, kind = custom
    parts, sources = FORMS[form](workspace.token)
    await programs.start("--namespaces", namespace)
    await put(kube, namespace, sources)
    owner = await kube.call("POST", f"{root}/namespaces/{namespace}/workspaces", kind | {"metadata": {"name": "mine"}})
    owned = pod_of("owned", spec_of(container_of("dev", parts)))
    owned["metadata"]["ownerReferences"] = [reference_to(owner)]
    made = await kube.create("pods", namespace, owned)
    await kube.create("events", namespace, event(owner, "Reconciled", "what an operator says of its own"))
    await kube.create("events", namespace, event(made, "Pulled", "about the pod"))
    await workspace.gets("🐳 Created pod: owned")
    await workspace.gets("about the pod")
    await kube.delete("pods", namespace, "owned")
    await workspace.gets("🗑️ Deleted pod: owned")
    assert workspace.having("of its own") == []


async def test_an_owner_of_a_kind_that_nobody_knows_is_found_through_its_pod(
    kube: KubeApi, namespace: str, workspace: WorkspaceLog, programs: Programs
) -> None:
    await programs.start("--namespaces", namespace)
    owned = pod_of("owned", spec_of(container_of("dev", FORMS["value"](workspace.token)[0])))
    unknown = {"apiVersion": "gone.example.com/v1", "kind": "Forgotten", "metadata": {"name": "x", "uid": "no-uid"}}
    owned["metadata"]["ownerReferences"] = [reference_to(unknown)]
    made = await kube.create("pods", namespace, owned)
    await kube.create("events", namespace, event(made, "Pulled", "about the pod"))
    await workspace.gets("🐳 Created pod: owned")
    await workspace.gets("about the pod")


def reference_to(owner: Object) -> Object:
    meta = owner["metadata"]
    named = {"apiVersion": owner["apiVersion"], "kind": owner["kind"], "name": meta["name"], "uid": meta["uid"]}
    return named | {"controller": True, "blockOwnerDeletion": True}
