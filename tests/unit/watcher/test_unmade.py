"""StatefulSets and Jobs without a pod: their agents are found in the template when an Event says so, and no sooner."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import pytest
from cryptography.fernet import Fernet
from structlog.testing import capture_logs

from common.crypto import TokenVault
from tests.unit.watcher.rig import OTHER_TOKEN, TOKEN, TOKEN_KEY, Rig, agent_env, event, pod, secret_env, until
from tests.unit.watcher.test_beside import heard, with_owner
from watcher.kube_errors import Forbidden
from watcher.lingering import LINGER_S
from watcher.relay import FRESH_S

PATHS: Final = {
    "StatefulSet": "/apis/apps/v1/namespaces/ns/statefulsets/owner",
    "Job": "/apis/batch/v1/namespaces/ns/jobs/owner",
}
PATH: Final = PATHS["StatefulSet"]


def maker(env: Any = None, *, uid: str = "owner-1", labels: Any = None, **more: Any) -> dict[str, Any]:
    container = {"name": "c", "env": agent_env() if env is None else env}
    template = {"metadata": {"labels": labels or {}}, "spec": {"containers": [container]}}
    metadata = {"name": "owner", "namespace": "ns", "uid": uid, "creationTimestamp": "2026-11-22T15:49:00Z"}
    return {"metadata": metadata, "spec": {"replicas": 1, "template": template}, **more}


def failed(kind: str = "StatefulSet", *, name: str = "owner", **more: Any) -> dict[str, Any]:
    value = event(**{"reason": "FailedCreate", "about": "owner-1", "kind": kind, "at": "2026-11-22T15:50:00Z", **more})
    value["involvedObject"]["name"] = name
    return value


@asynccontextmanager
async def running(rig: Rig) -> AsyncIterator[None]:
    """Look-ups are answered; at the end all that were asked for are done."""
    tasks = [asyncio.create_task(service.run()) for service in (rig.unmade, rig.sources)]
    try:
        yield
        await until(lambda: len(rig.unmade._errands) == 0)  # noqa: SLF001 - nothing else tells that all is done
    finally:
        for task in tasks:
            task.cancel()


@pytest.mark.parametrize("kind", list(PATHS))
async def test_an_owner_whose_pod_cannot_be_made_has_the_agents_of_its_template(kind: str) -> None:
    rig = Rig()
    rig.api.objects[PATHS[kind]] = maker()
    async with running(rig):
        await rig.deliver("events", "ADDED", failed(kind))
        await until(lambda: heard(rig) == [f"{kind} FailedCreate x1"])
    assert [uid for _, uid, _ in rig.outbox.registered] == ["owner-1"]
    # Nobody watches the owner: were its agents kept for it, they would be kept for ever.
    assert rig.outbox.released == [(rig.vault.agent_id(TOKEN), "owner-1")]


async def test_events_about_owners_that_do_not_fail_cost_no_look_up() -> None:
    rig = Rig()
    async with running(rig):
        await rig.deliver("events", "ADDED", failed(reason="SuccessfulCreate"))
        await rig.deliver("events", "ADDED", failed("Deployment", uid="ev-2"))
    assert rig.api.asked == []


async def test_while_the_template_is_fresh_repeats_are_folded_and_cost_no_look_up() -> None:
    rig = Rig()
    rig.api.objects[PATH] = maker()
    async with running(rig):
        await rig.deliver("events", "ADDED", failed())
        await until(lambda: bool(rig.outbox.entries))
        for count in range(2, 8):
            await rig.deliver("events", "MODIFIED", failed(count=count))
    assert [entry.version for entry in rig.outbox.entries] == [1, 2, 4]
    assert rig.api.asked == [PATH]


async def test_a_template_that_gets_another_token_is_read_again() -> None:
    rig = Rig()
    rig.api.objects[PATH] = maker()
    async with running(rig):
        await rig.deliver("events", "ADDED", failed())
        await until(lambda: bool(rig.outbox.entries))
        rig.api.objects[PATH] = maker(agent_env(OTHER_TOKEN))
        rig.clock.now_s += FRESH_S
        await rig.deliver("events", "MODIFIED", failed(count=2))
        await until(lambda: bool(heard(rig, OTHER_TOKEN)))
    assert heard(rig, OTHER_TOKEN) == ["StatefulSet FailedCreate x2"]


async def test_a_pod_with_the_same_token_has_the_event_once() -> None:
    rig = Rig()
    rig.api.objects[PATH] = maker()
    async with running(rig):
        await rig.deliver("events", "ADDED", failed())
        await until(lambda: bool(rig.outbox.entries))
        await rig.deliver("pods", "ADDED", with_owner(pod(), "StatefulSet"))
    assert heard(rig) == ["StatefulSet FailedCreate x1", "Pod Created"]


async def test_a_token_in_a_secret_is_waited_for() -> None:
    rig = Rig()
    rig.api.objects[PATH] = maker(secret_env())
    async with running(rig):
        await rig.deliver("events", "ADDED", failed())
        await until(lambda: "/api/v1/namespaces/ns/secrets/agent" in rig.api.asked)
        assert rig.outbox.entries == []
        rig.api.secret("ns", "agent", {"token": "MTExMTExMTEtMjIyMi00MzMzLTg0NDQtNTU1NTU1NTU1NTU1"})
        rig.clock.now_s += 11.0
        await until(lambda: bool(rig.outbox.entries))
    assert heard(rig) == ["StatefulSet FailedCreate x1"]


@pytest.mark.parametrize(
    "answer",
    [
        maker(uid="another"),
        maker([]),
        maker([{"name": "CODER_AGENT_TOKEN", "value": "no uuid"}]),
        maker(status={"readyReplicas": 1}),
        maker(status={"conditions": [{"type": "Failed", "status": "True"}]}),
        {"kind": "Status"},
        [],
        None,
    ],
)
async def test_nobody_is_told_where_no_agent_waits(answer: object) -> None:
    rig = Rig()
    rig.api.objects[PATH] = answer
    async with running(rig):
        await rig.deliver("events", "ADDED", failed())
        await until(lambda: rig.api.asked == [PATH])
    assert rig.outbox.entries == []


async def test_owners_are_matched_by_the_labels_of_their_template() -> None:
    rig = Rig(selector="app=coder")
    rig.api.objects[PATH] = maker(labels={"app": "other"})
    async with running(rig):
        await rig.deliver("events", "ADDED", failed())
        await until(lambda: rig.api.asked == [PATH])
    assert rig.outbox.entries == []


@pytest.mark.parametrize(
    "name", ["../../../../api/v1/namespaces/ns/secrets/agent", "..", "a/b", "A", "", "a?b", "a%2fb"]
)
async def test_a_name_that_is_none_is_never_asked_for(name: str) -> None:
    rig = Rig()
    async with running(rig):
        await rig.deliver("events", "ADDED", failed(name=name))
    assert rig.api.asked == []


async def test_what_is_forbidden_is_said_once_and_left_alone_for_a_while() -> None:
    rig = Rig()
    rig.api.objects[PATH] = Forbidden("no")
    with capture_logs() as logs:
        async with running(rig):
            for number in range(5):
                await rig.deliver("events", "ADDED", failed(uid=f"ev-{number}"))
                await until(lambda: len(rig.unmade._errands) == 0)  # noqa: SLF001 - as above
    assert rig.api.asked == [PATH]
    assert [line["resource"] for line in logs if "permission denied" in line["event"]] == ["statefulsets"]


async def test_nothing_is_asked_any_more_when_the_event_waited_long_enough() -> None:
    rig = Rig()
    await rig.deliver("events", "ADDED", failed())
    rig.clock.now_s += LINGER_S + 1
    rig.router.expire(())
    async with running(rig):
        pass
    assert rig.api.asked == []


async def test_agents_that_are_named_anew_are_looked_for_again() -> None:
    rig = Rig()
    rig.api.objects[PATH] = maker()
    async with running(rig):
        await rig.deliver("events", "ADDED", failed())
        await until(lambda: bool(rig.outbox.entries))
        fresh = TokenVault([Fernet(TOKEN_KEY)], b"n" * 32)
        rig.registrar.start_over(fresh)
        rig.router.renamed()
        rig.clock.now_s += 10.0
        await rig.deliver("events", "MODIFIED", failed(count=2))
        await until(lambda: rig.outbox.entries[-1].version == 2)
    assert rig.outbox.entries[-1].agent == fresh.agent_id(TOKEN)
