"""Each way in which a container can come to its agent's token, as parts of a pod specification."""

from collections.abc import Callable
from typing import Any, Final

from tests.cluster.objects import TOKEN, Object, config_map, secret

FILE: Final = "CODER_AGENT_TOKEN_FILE"
Form = Callable[[str], tuple[Object, list[Object]]]
"""From a token to a pod specification's parts, and the Secrets and ConfigMaps that go with it."""


def ref(kind: str, **more: Any) -> Object:
    return {"name": TOKEN, "valueFrom": {f"{kind}KeyRef": {"name": "agent", "key": "token", **more}}}


def env_of(*entries: Object) -> Object:
    return {"env": list(entries)}


def _file(volume: Object, **mount: Any) -> Object:
    mounts = [{"name": "agent", "mountPath": "/run/coder", **mount}]
    return {
        "env": [{"name": FILE, "value": "/run/coder/token"}],
        "volumeMounts": mounts,
        "volumes": [{"name": "agent", **volume}],
    }


FORMS: Final[dict[str, Form]] = {
    "value": lambda token: (env_of({"name": TOKEN, "value": token}), []),
    "secretKeyRef": lambda token: (env_of(ref("secret")), [secret("agent", token=token)]),
    "configMapKeyRef": lambda token: (env_of(ref("configMap")), [config_map("agent", token=token)]),
    "optional": lambda token: (env_of(ref("secret", optional=True)), [secret("agent", token=token)]),
    "envFrom a Secret": lambda token: (
        {"envFrom": [{"secretRef": {"name": "agent"}}]},
        [secret("agent", **{TOKEN: token})],
    ),
    "envFrom a Secret with a prefix": lambda token: (
        {"envFrom": [{"prefix": "CODER_", "secretRef": {"name": "agent"}}]},
        [secret("agent", AGENT_TOKEN=token)],
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
        {**env_of(ref("secret")), "envFrom": [{"configMapRef": {"name": "first"}}]},
        [config_map("first", **{TOKEN: "overridden"}), secret("agent", token=token)],
    ),
    "a reference to a variable": lambda token: (
        env_of(
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


def container_of(name: str, parts: Object) -> Object:
    return {"name": name, "image": "example.test/dev:1", **{k: v for k, v in parts.items() if k != "volumes"}}


def spec_of(*containers: Object, volumes: list[Object] | None = None, init: list[Object] | None = None) -> Object:
    return {"containers": list(containers), "volumes": volumes or [], "initContainers": init or []}


def pod_of(name: str, spec: Object) -> Object:
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}
