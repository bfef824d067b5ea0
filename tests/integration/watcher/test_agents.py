"""Which agents an object has: one token in several places, containers that come later."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from common.crypto import TokenVault
from tests.integration.watcher.rig import Rig, until
from tests.unit.watcher.rig import OTHER_TOKEN, TOKEN, agent_env, event, pod, secret_env


async def _told(rig: Rig, token: str) -> list[tuple[str, str]]:
    return [(record.object.namespace, record.reason) for record in await rig.records(token)]


async def _until_told(rig: Rig, *lines: tuple[str, str]) -> None:
    async def there() -> bool:
        return await _told(rig, TOKEN) == list(lines)

    try:
        await until(there)
    except TimeoutError:
        raise AssertionError(f"told {await _told(rig, TOKEN)}, not {list(lines)}") from None


async def test_one_token_in_two_namespaces_is_one_agent_and_the_end_of_one_object_does_not_end_the_other(
    rig: Rig,
) -> None:
    async with rig.watcher() as watcher:
        await rig.watching()
        rig.put("pods", pod("here", namespace="a"))
        rig.put("pods", pod("there", namespace="b"))
        told = [("a", "Created"), ("b", "Created")]
        await _until_told(rig, *told)
        rig.put("events", event("e1", about="here", namespace="a", reason="Pulling"))
        rig.put("events", event("e2", about="there", namespace="b", reason="Pulled"))
        rig.put("events", event("e3", about="there", namespace="a", reason="Foreign"))  # not of that namespace
        told += [("a", "Pulling"), ("b", "Pulled")]
        await _until_told(rig, *told)

        rig.delete("pods", "here", "a")
        told.append(("a", "Deleted"))
        await _until_told(rig, *told)
        await rig.until_saved("pods")
        vault = await TokenVault.open(rig.client, rig.keys, [rig.token_key])
        assert await rig.client.ttl(rig.keys.agent(vault.agent_id(TOKEN))) == -1  # kept for the other
        rig.put("events", event("e4", about="there", namespace="b", reason="Started"))
        told.append(("b", "Started"))
        await _until_told(rig, *told)

        rig.delete("pods", "there", "b")
        await _until_told(rig, *told, ("b", "Deleted"))
        await watcher.stop()


def _running(env: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    return pod(env=env, phase="Running", ready=True, started=True)


def _with_ephemeral(value: dict[str, Any], env: list[dict[str, Any]]) -> dict[str, Any]:
    value["spec"]["ephemeralContainers"] = [{"name": "debug", "env": env}]
    return value


async def test_the_token_of_an_ephemeral_container_is_found(rig: Rig) -> None:
    async with rig.watcher():
        await rig.watching()
        rig.put("pods", _running([]))
        rig.put("pods", _with_ephemeral(_running([]), agent_env()))
        await rig.until_said(TOKEN, "Pod Created")
        rig.put("events", event(reason="Started"))
        await rig.until_said(TOKEN, "Pod Created", "Pod Started x1")


@pytest.mark.parametrize("env", [agent_env(OTHER_TOKEN), secret_env()], ids=["value", "Secret"])
async def test_an_ephemeral_container_joins_an_agent_to_a_pod_that_runs(rig: Rig, env: list[dict[str, Any]]) -> None:
    secret = {"token": base64.b64encode(OTHER_TOKEN.encode()).decode()}
    rig.put("secrets", {"metadata": {"name": "agent", "namespace": "ns"}, "data": secret})
    async with rig.watcher() as watcher:
        await rig.watching()
        rig.put("pods", pod())
        rig.put("pods", _running())
        await rig.until_said(TOKEN, "Pod Created")
        rig.put("pods", _with_ephemeral(_running(), env))
        await rig.until_said(OTHER_TOKEN, "Pod Created")
        rig.put("events", event(reason="Started"))
        await rig.until_said(OTHER_TOKEN, "Pod Created", "Pod Started x1")
        await rig.until_said(TOKEN, "Pod Created", "Pod Started x1")
        await watcher.stop()
    rig.put("events", event("e2", reason="Last"))
    async with rig.watcher():
        await rig.until_said(OTHER_TOKEN, "Pod Created", "Pod Started x1", "Pod Last x1")
        await rig.until_said(TOKEN, "Pod Created", "Pod Started x1", "Pod Last x1")


async def test_a_token_in_a_config_map_is_waited_for_over_a_restart(rig: Rig) -> None:
    reference = {"configMapKeyRef": {"name": "agent", "key": "token"}}
    async with rig.watcher() as watcher:
        await rig.watching()
        rig.put("pods", pod(env=[{"name": "CODER_AGENT_TOKEN", "valueFrom": reference}]))
        rig.put("events", event(reason="Failed"))
        await watcher.said("configmap_missing", "pod-1")
        await watcher.stop()
    rig.put("configmaps", {"metadata": {"name": "agent", "namespace": "ns"}, "data": {"token": TOKEN}})
    async with rig.watcher():
        await rig.until_said(TOKEN, "Pod Created", "Pod Failed x1")


async def test_a_token_file_in_a_projected_volume_is_found_and_an_ordinary_pod_holds_nothing_up(rig: Rig) -> None:
    value = pod(env=[{"name": "CODER_AGENT_TOKEN_FILE", "value": "/run/coder/token"}])
    value["spec"]["containers"][0]["volumeMounts"] = [{"name": "v", "mountPath": "/run/coder"}]
    items = [{"key": "t", "path": "token"}]
    value["spec"]["volumes"] = [
        {"name": "v", "projected": {"sources": [{"secret": {"name": "agent", "items": items}}]}}
    ]
    ordinary = pod("ordinary", env=[])
    ordinary["spec"]["containers"][0]["envFrom"] = [{"configMapRef": {"name": "settings"}}]
    async with rig.watcher() as watcher:
        await rig.watching()
        rig.put("configmaps", {"metadata": {"name": "settings", "namespace": "ns"}, "data": {"A": "b"}})
        rig.put("pods", ordinary)
        rig.put("pods", pod("ordinary", env=[], started=True) | {"spec": ordinary["spec"]})
        rig.put("pods", value)
        rig.put("events", event("e0", about="ordinary"))
        rig.put("events", event(reason="Started"))
        data = {"t": base64.b64encode(TOKEN.encode()).decode()}
        rig.put("secrets", {"metadata": {"name": "agent", "namespace": "ns"}, "data": data})
        await rig.until_said(TOKEN, "Pod Created", "Pod Started x1")
        rig.put("events", event("e2", reason="Last"))
        await rig.until_said(TOKEN, "Pod Created", "Pod Started x1", "Pod Last x1")
        await rig.until_saved("events")  # nothing is parked any more
        await watcher.stop()
