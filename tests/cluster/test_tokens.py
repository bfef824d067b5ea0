"""Each way in which a container can come to its agent's token, on a real API server and found by the real watcher."""

from collections.abc import Callable
from typing import Any, Final

import pytest

from tests.cluster.api import KubeApi
from tests.cluster.harness import Programs, WorkspaceLog, eventually
from tests.cluster.objects import TOKEN, Object, config_map, deployment, event, secret

FILE: Final = "CODER_AGENT_TOKEN_FILE"
Form = Callable[[str], tuple[Object, list[Object]]]
"""From a token to a pod specification's parts, and the Secrets and ConfigMaps that go with it."""


def _ref(kind: str, **more: Any) -> Object:
    return {"name": TOKEN, "valueFrom": {f"{kind}KeyRef": {"name": "agent", "key": "token", **more}}}


def _env(*entries: Object) -> Object:
    return {"env": list(entries)}


def _file(volume: Object, **mount: Any) -> Object:
    mounts = [{"name": "agent", "mountPath": "/run/coder", **mount}]
    return {
        "env": [{"name": FILE, "value": "/run/coder/token"}],
        "volumeMounts": mounts,
        "volumes": [{"name": "agent", **volume}],
    }


FORMS: Final[dict[str, Form]] = {
    "value": lambda token: (_env({"name": TOKEN, "value": token}), []),
    "secretKeyRef": lambda token: (_env(_ref("secret")), [secret("agent", token=token)]),
    "configMapKeyRef": lambda token: (_env(_ref("configMap")), [config_map("agent", token=token)]),
    "optional": lambda token: (_env(_ref("secret", optional=True)), [secret("agent", token=token)]),
    "envFrom a Secret": lambda token: (
        {"envFrom": [{"secretRef": {"name": "agent"}}]},
        [secret("agent", **{TOKEN: token})],
    ),
    "envFrom a ConfigMap with a prefix": lambda token: (
        {"envFrom": [{"prefix": "CODER_", "configMapRef": {"name": "agent", "optional": True}}]},
        [config_map("agent", AGENT_TOKEN=token)],
    ),
    "the last source of envFrom": lambda token: (
        {"envFrom": [{"configMapRef": {"name": "first"}}, {"secretRef": {"name": "agent"}}]},
        [config_map("first", **{TOKEN: "overridden"}), secret("agent", **{TOKEN: token})],
    ),
    "env over envFrom": lambda token: (
        {**_env(_ref("secret")), "envFrom": [{"configMapRef": {"name": "first"}}]},
        [config_map("first", **{TOKEN: "overridden"}), secret("agent", token=token)],
    ),
    "a reference to a variable": lambda token: (
        _env(
            {"name": "MINE", "valueFrom": {"secretKeyRef": {"name": "agent", "key": "token"}}},
            {"name": TOKEN, "value": "$(MINE)"},
        ),
        [secret("agent", token=token)],
    ),
    "a file of a Secret": lambda token: (
        _file({"secret": {"secretName": "agent"}}, readOnly=True),
        [secret("agent", token=f"{token}\n")],
    ),
    "a file of a ConfigMap by a subPath": lambda token: (
        _file(
            {"configMap": {"name": "agent", "items": [{"key": "t", "path": "deep/token"}]}},
            mountPath="/run/coder/token",
            subPath="deep/token",
        ),
        [config_map("agent", t=token)],
    ),
    "a file of a projected volume": lambda token: (
        _file(
            {
                "projected": {
                    "sources": [
                        {"configMap": {"name": "agent", "optional": True}},
                        {"secret": {"name": "agent", "items": [{"key": "t", "path": "token"}]}},
                        {"serviceAccountToken": {"path": "sa", "expirationSeconds": 3600}},
                    ]
                }
            }
        ),
        [secret("agent", t=token)],
    ),
    "a file whose path is in a ConfigMap": lambda token: (
        {
            "envFrom": [{"configMapRef": {"name": "settings"}}],
            **{key: value for key, value in _file({"secret": {"secretName": "agent"}}).items() if key != "env"},
        },
        [config_map("settings", **{FILE: "/run/coder/token"}), secret("agent", token=token)],
    ),
}


def _container(name: str, parts: Object) -> Object:
    return {"name": name, "image": "example.test/dev:1", **{k: v for k, v in parts.items() if k != "volumes"}}


def _spec(*containers: Object, volumes: list[Object] | None = None, init: list[Object] | None = None) -> Object:
    return {"containers": list(containers), "volumes": volumes or [], "initContainers": init or []}


def _pod(name: str, spec: Object) -> Object:
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}


async def _put(kube: KubeApi, namespace: str, sources: list[Object]) -> None:
    for source in sources:
        await kube.create(f"{source['kind'].lower()}s", namespace, source)


async def _start(kube: KubeApi, made: Object) -> None:
    """What the kubelet says when the container runs."""
    meta = made["metadata"]
    state = {"running": {"startedAt": meta["creationTimestamp"]}}
    shown = {"name": "dev", "image": "x", "imageID": "x", "ready": True, "restartCount": 0, "state": state}
    status = {"phase": "Running", "containerStatuses": [shown]}
    await kube.merge("pods", meta["namespace"], meta["name"], {"status": status}, "status")


@pytest.mark.parametrize("form", list(FORMS))
async def test_a_token_is_found_in_each_form_of_pods_and_templates_and_when_its_source_comes_late(
    form: str, kube: KubeApi, namespace: str, workspace: WorkspaceLog, programs: Programs
) -> None:
    parts, sources = FORMS[form](workspace.token)
    spec = _spec(_container("dev", parts), volumes=parts.get("volumes"))
    await programs.start("--namespaces", namespace)
    made = await kube.create("pods", namespace, _pod("early", spec))
    await kube.create("events", namespace, event(made, "Waiting", "for its source"))
    if sources:
        assert workspace.lines() == []
    await _put(kube, namespace, sources)
    # What only might have a token is looked into when the pod changes, and once for certain when it has started.
    await _start(kube, made)
    await workspace.gets("🐳 Created pod: early")
    await workspace.gets("for its source")

    await kube.create("pods", namespace, _pod("late", spec))
    await workspace.gets("🐳 Created pod: late")
    owner = deployment("owned", _container("dev", parts))
    owner["spec"]["template"]["spec"] = spec
    await kube.create("deployments", namespace, owner)
    await workspace.gets("🐳 Queued pod from ReplicaSet: owned-")
    await workspace.gets("🐳 Created pod: owned-")


@pytest.mark.parametrize("place", ["init container", "sidecar", "ephemeral container"])
async def test_a_token_is_found_in_each_kind_of_container(
    place: str, kube: KubeApi, namespace: str, workspace: WorkspaceLog, programs: Programs
) -> None:
    parts, sources = FORMS["envFrom a Secret"](workspace.token)
    await _put(kube, namespace, sources)
    await programs.start("--namespaces", namespace)
    carrier, plain = _container("agent", parts), _container("dev", {})
    if place == "ephemeral container":
        await kube.create("pods", namespace, _pod("dev", _spec(plain)))
        patch = {"spec": {"ephemeralContainers": [carrier]}}
        await kube.merge("pods", namespace, "dev", patch, "ephemeralcontainers")
    else:
        init = [carrier | {"restartPolicy": "Always"} if place == "sidecar" else carrier]
        await kube.create("pods", namespace, _pod("dev", _spec(plain, init=init)))
    await workspace.gets("🐳 Created pod: dev")


@pytest.mark.parametrize("is_new_pod_first", [True, False])
async def test_a_rebuilt_workspace_is_told_to_its_new_agent(
    is_new_pod_first: bool,
    kube: KubeApi,
    namespace: str,
    workspace: WorkspaceLog,
    new_workspace: Callable[[], WorkspaceLog],
    programs: Programs,
) -> None:
    rebuilt = new_workspace()
    spec = _spec(_container("dev", FORMS["configMapKeyRef"]("")[0]))
    await kube.create("configmaps", namespace, config_map("agent", token=workspace.token))
    await programs.start("--namespaces", namespace)
    await kube.create("pods", namespace, _pod("first", spec))
    await workspace.gets("🐳 Created pod: first")

    async def change() -> None:
        await kube.merge("configmaps", namespace, "agent", {"data": {"token": rebuilt.token}})

    await kube.delete("pods", namespace, "first")
    await workspace.gets("🗑️ Deleted pod: first")
    if not is_new_pod_first:
        await change()
    made = await kube.create("pods", namespace, _pod("second", spec))
    if is_new_pod_first:
        await change()
    await _start(kube, made)
    await rebuilt.gets("🐳 Created pod: second")
    await kube.create("events", namespace, event(made, "Started", "with its new agent"))
    await rebuilt.gets("with its new agent")
    assert workspace.having("with its new agent") == []


async def test_an_optional_source_that_never_comes_is_no_error_and_one_that_comes_in_time_counts(
    kube: KubeApi, namespace: str, workspace: WorkspaceLog, programs: Programs
) -> None:
    watcher = await programs.start("--namespaces", namespace)
    spec = _spec(_container("dev", _env(_ref("configMap", optional=True))))
    await kube.create("pods", namespace, _pod("dev", spec))

    async def asked() -> str:
        return watcher.log

    await eventually(asked, lambda log: "watching" in log, why="the watcher's log")
    await kube.create("configmaps", namespace, config_map("agent", token=workspace.token))
    await workspace.gets("🐳 Created pod: dev")
    assert "cannot be" not in watcher.log
