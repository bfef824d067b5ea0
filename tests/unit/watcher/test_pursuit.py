"""Tokens in Secrets and ConfigMaps, from the first sight of an object until it is certain: found, or none."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import permutations
from typing import Any

import pytest
from structlog.testing import capture_logs

from common.ids import Uid
from tests.unit.watcher.rig import OTHER_TOKEN, TOKEN, Rig, event, pod, replica_set, secret_env, until
from watcher.kube_errors import Forbidden, KubeError, Unreachable
from watcher.sought import NoToken
from watcher.sources import CACHE_MAX_CHARS, CACHE_S

NAME = "CODER_AGENT_TOKEN"
UID = Uid("pod-1")
SECRET = "/api/v1/namespaces/ns/secrets/agent"
CONFIG_MAP = "/api/v1/namespaces/ns/configmaps/agent"


@asynccontextmanager
async def _running(rig: Rig) -> AsyncIterator[None]:
    task = asyncio.create_task(rig.sources.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait((task,))


def _base64(**values: str) -> dict[str, str]:
    return {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}


def _pod(*sources: str, name: str = "pod-1", started: bool = False, env: list[dict[str, Any]] | None = None) -> Any:
    """A pod that takes all variables from `sources`: `secret`, `configMap`."""
    value = pod(name, env=env or [], started=started)
    value["spec"]["containers"][0]["envFrom"] = [{f"{kind}Ref": {"name": "agent"}} for kind in sources]
    return value


def _optional(kind: str = "configMap") -> list[dict[str, Any]]:
    return [{"name": NAME, "valueFrom": {f"{kind}KeyRef": {"name": "agent", "key": "token", "optional": True}}}]


def _agents(rig: Rig, uid: Uid = UID) -> list[str]:
    known = rig.directory.get(uid)
    return [seat.agent for seat in known.seats] if known is not None else []


def _counted(rig: Rig, why: NoToken) -> float:
    return float(rig.metrics.agents_without_token.labels(why.value)._value.get())  # noqa: SLF001 - no other way to read


def _is_bare(rig: Rig) -> bool:
    return rig.directory.get(UID) is None and not rig.outbox.objects.get("pods/*")


async def test_an_ordinary_pod_whose_variables_come_from_a_source_is_told_from_a_workspace_by_one_look() -> None:
    rig = Rig()
    rig.api.config_map("ns", "agent", {"OTHER": "x"})
    with capture_logs() as logs:
        async with _running(rig):
            await rig.deliver("pods", "ADDED", _pod("configMap"))
            await rig.deliver("events", "ADDED", event())
            await until(lambda: CONFIG_MAP in rig.api.asked)
            await rig.deliver("pods", "MODIFIED", _pod("configMap", started=True))
            await until(lambda: _is_bare(rig))
            asked = len(rig.api.asked)
            for _ in range(3):
                rig.clock.now_s += CACHE_S
                rig.registrar._pursuit._lacking.clear()  # noqa: SLF001 - that memory is bounded
                await rig.deliver("pods", "MODIFIED", _pod("configMap", started=True))
    assert len(rig.api.asked) == asked <= 2
    assert _counted(rig, NoToken.NONE) == 1
    assert len(rig.parking) == 0
    assert {entry["log_level"] for entry in logs} == {"debug"}


async def test_a_source_that_gets_the_variable_before_the_container_starts_makes_it_a_workspace() -> None:
    rig = Rig()
    rig.api.config_map("ns", "agent", {"OTHER": "x"})
    async with _running(rig):
        await rig.deliver("pods", "ADDED", _pod("configMap"))
        await until(lambda: CONFIG_MAP in rig.api.asked)
        rig.api.config_map("ns", "agent", {NAME: TOKEN})
        await rig.deliver("pods", "MODIFIED", _pod("configMap", started=True))
        await until(lambda: rig.outbox.said == ["Pod Created"])
    assert _agents(rig) == [rig.vault.agent_id(TOKEN)]


async def test_a_template_whose_source_has_no_token_is_ordinary_at_once() -> None:
    rig = Rig()
    rig.api.secret("ns", "agent", {})
    owner = replica_set()
    owner["spec"]["template"]["spec"]["containers"] = _pod("secret")["spec"]["containers"]
    async with _running(rig):
        await rig.deliver("replicasets", "ADDED", owner)
        await until(lambda: _counted(rig, NoToken.NONE) == 1)
        await rig.deliver("replicasets", "MODIFIED", owner)
    assert rig.api.asked == [SECRET]


@pytest.mark.parametrize("started", [False, True])
async def test_an_optional_source_is_waited_for_until_the_container_has_started(started: bool) -> None:
    rig = Rig()
    with capture_logs() as logs:
        async with _running(rig):
            await rig.deliver("pods", "ADDED", pod(env=_optional()))
            await until(lambda: CONFIG_MAP in rig.api.asked)
            if started:
                await rig.deliver("pods", "MODIFIED", pod(env=_optional(), started=True))
                await until(lambda: _is_bare(rig))
                rig.clock.now_s += CACHE_S
                await rig.deliver("pods", "MODIFIED", pod(env=_optional(), started=True))
                assert _is_bare(rig)
            else:
                rig.api.config_map("ns", "agent", {"token": TOKEN})
                await until(lambda: rig.outbox.said == ["Pod Created"])
    assert not [entry for entry in logs if entry["log_level"] != "debug"]  # it is no error


async def test_one_of_two_agents_that_never_gets_its_token_leaves_the_other() -> None:
    rig = Rig()
    rig.api.secret("ns", "agent", _base64(token=TOKEN))

    def both(*, started: bool) -> dict[str, Any]:
        value = pod(env=secret_env(), started=started)
        value["spec"]["initContainers"] = [{"name": "i", "env": _optional()}]
        value["status"]["initContainerStatuses"] = [{"name": "i", "state": {"running": {}} if started else {}}]
        return value

    async with _running(rig):
        await rig.deliver("pods", "ADDED", both(started=False))
        await until(lambda: bool(_agents(rig)))
        await rig.deliver("pods", "MODIFIED", both(started=True))
        await until(lambda: (known := rig.directory.get(UID)) is not None and known.settled)
    assert _agents(rig) == [rig.vault.agent_id(TOKEN)]


@pytest.mark.parametrize("order", list(permutations(("pod", "secret", "configmap"))))
async def test_two_sources_and_their_pod_come_in_any_order(order: tuple[str, ...]) -> None:
    rig = Rig()
    async with _running(rig):
        for each in order:
            asked = len(rig.api.asked)
            match each:
                case "pod":
                    await rig.deliver("pods", "ADDED", _pod("configMap", "secret"))
                case "secret":
                    rig.api.secret("ns", "agent", _base64(OTHER="x"))
                case _:
                    rig.api.config_map("ns", "agent", {NAME: TOKEN})
            if rig.directory.get(UID) is not None and each != order[-1]:
                await until(lambda asked=asked: len(rig.api.asked) > asked)  # type: ignore[misc]
        await until(lambda: rig.outbox.said == ["Pod Created"])
    assert _agents(rig) == [rig.vault.agent_id(TOKEN)]


async def test_the_last_look_reads_every_source_anew() -> None:
    rig = Rig()
    rig.api.secret("ns", "agent", _base64(**{NAME: TOKEN}))
    async with _running(rig):
        await rig.deliver("pods", "ADDED", _pod("configMap", "secret"))
        await until(lambda: _agents(rig) == [rig.vault.agent_id(TOKEN)])
        rig.api.secret("ns", "agent", _base64(OTHER="x"))
        rig.api.config_map("ns", "agent", {NAME: OTHER_TOKEN})
        await rig.deliver("pods", "MODIFIED", _pod("configMap", "secret", started=True))
        await until(lambda: (known := rig.directory.get(UID)) is not None and known.settled)
    assert _agents(rig) == [rig.vault.agent_id(OTHER_TOKEN)]


async def test_a_last_look_that_finds_nobody_in_is_taken_again() -> None:
    rig = Rig()
    rig.api.secret("ns", "agent", _base64(token=TOKEN))
    async with _running(rig):
        await rig.deliver("pods", "ADDED", pod(env=secret_env()))
        await until(lambda: _agents(rig) == [rig.vault.agent_id(TOKEN)])
        rig.api.objects[SECRET] = Unreachable("down")
        asked = len(rig.api.asked)
        await rig.deliver("pods", "MODIFIED", pod(env=secret_env(), started=True))
        await until(lambda: len(rig.api.asked) > asked)
        rig.api.secret("ns", "agent", _base64(token=OTHER_TOKEN))
        await until(lambda: (known := rig.directory.get(UID)) is not None and known.settled)
    assert _agents(rig) == [rig.vault.agent_id(OTHER_TOKEN)]


async def test_a_read_that_began_before_the_start_is_no_last_look() -> None:
    rig = Rig()
    rig.api.secret("ns", "agent", _base64(token=TOKEN))
    held, reading = asyncio.Event(), asyncio.Event()
    get = rig.api.get

    async def slow(path: str, query: Any = None) -> bytes:
        body = await get(path, query)
        reading.set()
        await held.wait()
        return body

    rig.api.get = slow  # type: ignore[method-assign]
    async with _running(rig):
        await rig.deliver("pods", "ADDED", pod(env=secret_env()))
        await reading.wait()
        rig.api.secret("ns", "agent", _base64(token=OTHER_TOKEN))
        await rig.deliver("pods", "MODIFIED", pod(env=secret_env(), started=True))
        held.set()
        await until(lambda: (known := rig.directory.get(UID)) is not None and known.settled)
    assert _agents(rig) == [rig.vault.agent_id(OTHER_TOKEN)]


@pytest.mark.parametrize("started", [False, True])
async def test_a_denied_source_is_said_once_with_resource_verb_and_namespace(started: bool) -> None:
    rig = Rig()
    denied: KubeError = Forbidden('configmaps "agent" is forbidden')
    paths = [f"/api/v1/namespaces/ns/configmaps/m{number}" for number in range(3)]
    rig.api.objects |= dict.fromkeys(paths, denied)
    with capture_logs() as logs:
        async with _running(rig):
            for number in range(3):
                value = _pod(name=f"pod-{number}", started=started)
                value["spec"]["containers"][0]["envFrom"] = [{"configMapRef": {"name": f"m{number}"}}]
                await rig.deliver("pods", "ADDED", value)
            await until(lambda: set(paths) <= set(rig.api.asked))
            await until(lambda: not started or not list(rig.directory))  # what only might have a token is let go
    (said,) = [entry for entry in logs if entry["log_level"] == "error"]
    assert said["remedy"].startswith("give the watcher's service account get on configmaps in a Role in namespace 'ns'")
    assert not [entry for entry in logs if entry["log_level"] == "warning"]


async def test_a_reason_is_said_once_for_each_object_and_a_new_one_again() -> None:
    rig = Rig()
    with capture_logs() as logs:
        async with _running(rig):
            await rig.deliver("pods", "ADDED", pod(env=secret_env()))
            await until(lambda: rig.api.asked.count(SECRET) > 1)
            rig.api.secret("ns", "agent", _base64(token="no"))
            await until(lambda: _counted(rig, NoToken.NOT_A_UUID) == 1)
            asked = len(rig.api.asked)
            await until(lambda: len(rig.api.asked) > asked)
    assert [entry["why"] for entry in logs if entry["log_level"] == "warning"] == ["secret_missing", "not_a_uuid"]
    assert _counted(rig, NoToken.NOT_A_UUID) == 1


async def test_a_variable_from_a_source_that_is_no_uuid_is_counted_too() -> None:
    rig = Rig()
    rig.api.config_map("ns", "agent", {NAME: "no"})
    async with _running(rig):
        await rig.deliver("pods", "ADDED", _pod("configMap"))
        await until(lambda: _counted(rig, NoToken.NOT_A_UUID) == 1)


async def test_what_is_sought_is_sought_over_a_restart() -> None:
    before, after = Rig(), Rig()
    await before.deliver("pods", "ADDED", _pod("configMap"))
    after.api.config_map("ns", "agent", {NAME: TOKEN})
    async with _running(after):
        assert after.registrar.load(before.outbox.objects["pods/*"])
        await until(lambda: after.outbox.said == ["Pod Created"])


async def test_an_ephemeral_container_that_takes_its_variables_from_a_source_is_asked_about_once() -> None:
    rig = Rig()
    rig.api.config_map("ns", "agent", {})
    joined = pod(started=True)
    joined["spec"]["ephemeralContainers"] = [{"name": "e", "envFrom": [{"configMapRef": {"name": "agent"}}]}]
    async with _running(rig):
        await rig.deliver("pods", "ADDED", pod(started=True))
        await rig.deliver("pods", "MODIFIED", joined)
        await until(lambda: not rig.directory.awaiting)
        rig.clock.now_s += CACHE_S
        await rig.deliver("pods", "MODIFIED", joined)
        assert not rig.directory.awaiting
    assert rig.api.asked == [CONFIG_MAP]
    assert _agents(rig) == [rig.vault.agent_id(TOKEN)]


async def test_what_is_kept_of_sources_is_bounded() -> None:
    rig = Rig()
    rig.api.config_map("ns", "agent", {NAME: TOKEN, "large": "x" * 1_000_000})
    async with _running(rig):
        await rig.deliver("pods", "ADDED", _pod("configMap"))
        await until(lambda: bool(_agents(rig)))
        for number in range(20):
            many = {f"{key}": "x" * 5_000 for key in range(150)} | {NAME: TOKEN}
            rig.api.config_map("ns", f"m{number}", many)
            value = _pod(name=f"p{number}")
            value["spec"]["containers"][0]["envFrom"] = [{"configMapRef": {"name": f"m{number}"}}]
            await rig.deliver("pods", "ADDED", value)
        await until(lambda: len(rig.outbox.registered) == 21)
    kept = rig.sources._cache.values()  # noqa: SLF001 - memory is what is tested
    sizes = [sum(map(len, each.reading.data.values())) for each in kept if not isinstance(each.reading, str)]
    assert 1 < len(sizes) < 21
    assert sum(sizes) <= CACHE_MAX_CHARS
