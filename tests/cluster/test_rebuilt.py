"""A workspace that is rebuilt: a new pod, a new token in the source of the old one, in either order."""

import pytest

from tests.cluster.api import KubeApi
from tests.cluster.conftest import MakeWorkspace
from tests.cluster.harness import Programs, WorkspaceLog
from tests.cluster.objects import Object, event
from tests.cluster.pod_steps import put, say_started
from tests.cluster.token_forms import FORMS, container_of, pod_of, spec_of


async def change(kube: KubeApi, namespace: str, source: Object) -> None:
    """Give a source the contents of `source`."""
    values: Object = {key: source[key] for key in ("data", "stringData") if key in source}
    await kube.merge(f"{source['kind'].lower()}s", namespace, source["metadata"]["name"], values)


async def replace(kube: KubeApi, namespace: str, source: Object) -> None:
    """Make it anew, as a tool does that may not change it."""
    await kube.delete(f"{source['kind'].lower()}s", namespace, source["metadata"]["name"])
    await put(kube, namespace, [source])


RENEWALS = {"changed": change, "replaced": replace}


@pytest.mark.parametrize("is_new_pod_first", [True, False], ids=["new pod first", "new token first"])
@pytest.mark.parametrize(
    ("form", "renewal"),
    [
        ("configMapKeyRef", "changed"),
        ("secretKeyRef", "changed"),
        ("secretKeyRef", "replaced"),
        ("envFrom a Secret", "changed"),
        ("envFrom a Secret with a prefix", "replaced"),
        ("a reference to a variable", "changed"),
        ("a file of a Secret", "changed"),
    ],
)
async def test_a_rebuilt_workspace_is_told_to_its_new_agent(
    form: str,
    renewal: str,
    is_new_pod_first: bool,
    kube: KubeApi,
    namespace: str,
    workspace: WorkspaceLog,
    new_workspace: MakeWorkspace,
    programs: Programs,
) -> None:
    rebuilt = new_workspace()
    parts, sources = FORMS[form](workspace.token)
    (renewed,) = FORMS[form](rebuilt.token)[1]
    spec = spec_of(container_of("dev", parts), volumes=parts.get("volumes"))
    await put(kube, namespace, sources)
    await programs.start("--namespaces", namespace)
    await say_started(kube, await kube.create("pods", namespace, pod_of("first", spec)))
    await workspace.gets("🐳 Created pod: first")

    await kube.delete("pods", namespace, "first")
    await workspace.gets("🗑️ Deleted pod: first")
    if not is_new_pod_first:
        await RENEWALS[renewal](kube, namespace, renewed)
    made = await kube.create("pods", namespace, pod_of("second", spec))
    if is_new_pod_first:
        await RENEWALS[renewal](kube, namespace, renewed)
    await say_started(kube, made)
    await rebuilt.gets("🐳 Created pod: second")
    await kube.create("events", namespace, event(made, "Pulled", "with its new agent"))
    await rebuilt.gets("with its new agent")
    assert workspace.having("with its new agent") == []
