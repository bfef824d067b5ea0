"""Each way in which a container can come to its agent's token, on a real API server and found by the real watcher."""

import pytest

from tests.cluster.api import KubeApi
from tests.cluster.conftest import MakeWorkspace
from tests.cluster.harness import Programs, WorkspaceLog, eventually
from tests.cluster.objects import config_map, deployment, event, secret
from tests.cluster.pod_steps import put, say_started
from tests.cluster.token_forms import FORMS, container_of, env_of, pod_of, ref, spec_of


@pytest.mark.parametrize("form", list(FORMS))
async def test_a_token_is_found_in_each_form_of_pods_and_templates_and_when_its_source_comes_late(
    form: str, kube: KubeApi, namespace: str, workspace: WorkspaceLog, programs: Programs
) -> None:
    parts, sources = FORMS[form](workspace.token)
    spec = spec_of(container_of("dev", parts), volumes=parts.get("volumes"))
    await programs.start("--namespaces", namespace)
    made = await kube.create("pods", namespace, pod_of("early", spec))
    await kube.create("events", namespace, event(made, "Waiting", "for its source"))
    if sources:
        assert workspace.lines() == []
    await put(kube, namespace, sources)
    # What only might have a token is looked into when the pod changes, and once for certain when it has started.
    await say_started(kube, made)
    await workspace.gets("🐳 Created pod: early")
    await workspace.gets("for its source")

    await kube.create("pods", namespace, pod_of("late", spec))
    await workspace.gets("🐳 Created pod: late")
    owner = deployment("owned", container_of("dev", parts))
    owner["spec"]["template"]["spec"] = spec
    await kube.create("deployments", namespace, owner)
    await workspace.gets("🐳 Queued pod from ReplicaSet: owned-")
    await workspace.gets("🐳 Created pod: owned-")


@pytest.mark.parametrize("place", ["init container", "sidecar", "ephemeral container"])
async def test_a_token_is_found_in_each_kind_ofcontainer_of(
    place: str, kube: KubeApi, namespace: str, workspace: WorkspaceLog, programs: Programs
) -> None:
    parts, sources = FORMS["envFrom a Secret"](workspace.token)
    await put(kube, namespace, sources)
    await programs.start("--namespaces", namespace)
    carrier, plain = container_of("agent", parts), container_of("dev", {})
    if place == "ephemeral container":
        await kube.create("pods", namespace, pod_of("dev", spec_of(plain)))
        patch = {"spec": {"ephemeralContainers": [carrier]}}
        await kube.merge("pods", namespace, "dev", patch, "ephemeralcontainers")
    else:
        init = [carrier | {"restartPolicy": "Always"} if place == "sidecar" else carrier]
        await kube.create("pods", namespace, pod_of("dev", spec_of(plain, init=init)))
    await workspace.gets("🐳 Created pod: dev")


async def test_each_agent_of_a_pod_gets_its_events_as_soon_as_its_token_is_there(
    kube: KubeApi, namespace: str, new_workspace: MakeWorkspace, programs: Programs
) -> None:
    first, second, third = new_workspace(), new_workspace(), new_workspace()
    await put(kube, namespace, [config_map("agent", token=third.token)])
    await programs.start("--namespaces", namespace)
    spec = spec_of(
        container_of("dev", FORMS["value"](first.token)[0]),
        container_of("tools", FORMS["secretKeyRef"](second.token)[0]),
        init=[container_of("sidecar", FORMS["configMapKeyRef"](third.token)[0]) | {"restartPolicy": "Always"}],
    )
    made = await kube.create("pods", namespace, pod_of("dev", spec))
    await kube.create("events", namespace, event(made, "Pulled", "for all of them"))
    for workspace in (first, third):
        await workspace.gets("🐳 Created pod: dev")
        await workspace.gets("for all of them")
    assert second.lines() == []

    await put(kube, namespace, [secret("agent", token=second.token)])
    await second.gets("🐳 Created pod: dev")
    await second.gets("for all of them")
    await kube.delete("pods", namespace, "dev")
    for workspace in (first, second, third):
        await workspace.gets("🗑️ Deleted pod: dev")
        texts = [line.text for line in workspace.lines()]
        assert len(texts) == len(set(texts)), texts


async def test_an_optional_source_that_never_comes_is_no_error_and_one_that_comes_in_time_counts(
    kube: KubeApi, namespace: str, workspace: WorkspaceLog, programs: Programs
) -> None:
    watcher = await programs.start("--namespaces", namespace)
    spec = spec_of(container_of("dev", env_of(ref("configMap", optional=True))))
    await kube.create("pods", namespace, pod_of("dev", spec))

    async def asked() -> str:
        return watcher.log

    await eventually(asked, lambda log: "watching" in log, why="the watcher's log")
    await kube.create("configmaps", namespace, config_map("agent", token=workspace.token))
    await workspace.gets("🐳 Created pod: dev")
    assert "cannot be" not in watcher.log
