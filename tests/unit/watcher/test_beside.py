"""Events about what stands beside a pod: who is told of them, when, once, and in which order."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.ids import Uid, Unit
from tests.unit.watcher.rig import OTHER_TOKEN, TOKEN, Rig, agent_env, event, pod, replica_set, take_list
from watcher.lingering import LINGER_S
from watcher.packed import unpack
from watcher.repeats import SPELLS_S

EVENTS = "events/*"


def claim(uid: str = "ev-1", reason: str = "FailedBinding", *, name: str = "home", **more: Any) -> dict[str, Any]:
    value = event(uid, about="claim-1", kind="PersistentVolumeClaim", reason=reason, **more)
    value["involvedObject"]["name"] = name
    return value


def owned(uid: str = "ev-1", kind: str = "Job", reason: str = "BackoffLimitExceeded", **more: Any) -> dict[str, Any]:
    return event(uid, about="owner-1", kind=kind, reason=reason, **more)


def with_claim(value: dict[str, Any], name: str = "home") -> dict[str, Any]:
    value["spec"]["volumes"] = [{"name": "v", "persistentVolumeClaim": {"claimName": name}}]
    return value


def with_owner(value: dict[str, Any], kind: str = "Job", uid: str = "owner-1") -> dict[str, Any]:
    owner = {"apiVersion": "v1", "kind": kind, "name": "owner", "uid": uid, "controller": True}
    value["metadata"]["ownerReferences"] = [owner]
    return value


def heard(rig: Rig, token: str = TOKEN) -> list[str]:
    """What the agent of `token` was told, in order."""
    agent = rig.vault.agent_id(token)
    told = zip(rig.outbox.entries, rig.outbox.said, strict=True)
    return [said for entry, said in told if entry.agent == agent]


async def test_a_claims_event_reaches_the_pod_that_mounts_it() -> None:
    rig = Rig()
    await rig.deliver("pods", "ADDED", with_claim(pod()))
    await rig.deliver("events", "ADDED", claim())
    assert rig.outbox.said == ["Pod Created", "PersistentVolumeClaim FailedBinding x1"]
    about = rig.outbox.records[-1].object
    assert (about.namespace, about.name, about.uid) == ("ns", "home", "claim-1")


async def test_a_claims_event_before_its_pod_waits_and_follows_it() -> None:
    rig = Rig()
    await rig.deliver("events", "ADDED", claim())
    assert rig.outbox.said == []
    await rig.deliver("pods", "ADDED", with_claim(pod()))
    assert rig.outbox.said == ["Pod Created", "PersistentVolumeClaim FailedBinding x1"]


async def test_two_workspaces_that_share_a_claim_are_both_told_once() -> None:
    rig = Rig()
    await rig.deliver("pods", "ADDED", with_claim(pod()))
    await rig.deliver("events", "ADDED", claim())
    await rig.deliver("pods", "ADDED", with_claim(pod("pod-2", env=agent_env(OTHER_TOKEN))))
    for token in (TOKEN, OTHER_TOKEN):
        assert heard(rig, token) == ["Pod Created", "PersistentVolumeClaim FailedBinding x1"]


@pytest.mark.parametrize("kind", ["StatefulSet", "Job"])
async def test_an_owners_event_reaches_its_pod(kind: str) -> None:
    rig = Rig()
    await rig.deliver("pods", "ADDED", with_owner(pod(), kind))
    await rig.deliver("events", "ADDED", owned(kind=kind))
    assert rig.outbox.said == ["Pod Created", f"{kind} BackoffLimitExceeded x1"]


async def test_a_deployments_event_reaches_the_agent_of_its_replica_set_once() -> None:
    rig = Rig()
    await rig.deliver("replicasets", "ADDED", with_owner(replica_set(), "Deployment"))
    await rig.deliver("pods", "ADDED", with_owner(pod(), "Deployment"))
    await rig.deliver("events", "ADDED", owned(kind="Deployment", reason="ReplicaSetCreateError"))
    assert rig.outbox.said == ["ReplicaSet Queued", "Pod Created", "Deployment ReplicaSetCreateError x1"]


async def test_an_end_that_its_job_explains_is_told_after_the_pod_is_gone() -> None:
    rig = Rig()
    await rig.deliver("pods", "ADDED", with_owner(pod()))
    await rig.deliver("pods", "DELETED", with_owner(pod(deleting=True)))
    await rig.deliver("events", "ADDED", owned(reason="DeadlineExceeded"))
    assert rig.outbox.said == ["Pod Created", "Pod Deleted", "Job DeadlineExceeded x1"]


async def test_while_somebody_lives_beside_it_those_who_went_are_not_told() -> None:
    rig = Rig()
    await rig.deliver("pods", "ADDED", with_claim(pod()))
    await rig.deliver("pods", "DELETED", with_claim(pod(deleting=True)))
    await rig.deliver("pods", "ADDED", with_claim(pod("pod-2", env=agent_env(OTHER_TOKEN))))
    await rig.deliver("events", "ADDED", claim())
    assert heard(rig) == ["Pod Created", "Pod Deleted"]
    assert heard(rig, OTHER_TOKEN) == ["Pod Created", "PersistentVolumeClaim FailedBinding x1"]


@pytest.mark.parametrize(
    "forged",
    [
        claim(namespace="evil"),
        claim(own_namespace="evil"),
        owned(namespace="evil"),
        owned(own_namespace="evil"),
        owned(kind="StatefulSet"),  # the UID of a Job
        claim(name="other"),
    ],
)
async def test_nobody_writes_to_a_workspace_by_naming_its_neighbours_from_elsewhere(forged: dict[str, Any]) -> None:
    rig = Rig()
    await rig.deliver("pods", "ADDED", with_claim(with_owner(pod())))
    await rig.deliver("events", "ADDED", forged)
    assert rig.outbox.said == ["Pod Created"]


async def test_what_happened_long_before_a_pod_was_made_does_not_concern_it() -> None:
    rig = Rig(floor="1")
    await rig.deliver("pods", "ADDED", with_claim(pod()))  # made at 15:49:07
    await rig.deliver("events", "ADDED", claim("old", at="2026-11-22T15:47:06Z"))
    await rig.deliver("events", "ADDED", claim("new", at="2026-11-22T15:47:07Z"))
    assert [entry.identity for entry in rig.outbox.entries] == ["pod-1/created", "new"]


async def test_an_event_that_nobody_came_for_is_dropped_after_a_while() -> None:
    rig = Rig()
    await rig.deliver("events", "ADDED", claim())
    rig.clock.now_s += LINGER_S + 1
    rig.router.expire(())
    assert len(rig.lingering) == 0
    await rig.deliver("pods", "ADDED", with_claim(pod()))
    assert rig.outbox.said == ["Pod Created"]


async def test_as_long_as_pods_cannot_be_read_it_waits_on() -> None:
    rig = Rig()
    await rig.deliver("events", "ADDED", claim())
    rig.clock.now_s += 10 * LINGER_S
    rig.router.expire([EVENTS])
    await rig.deliver("pods", "ADDED", with_claim(pod()))
    assert rig.outbox.said == ["Pod Created", "PersistentVolumeClaim FailedBinding x1"]


async def test_the_saved_position_stays_before_what_is_kept_for_those_to_come() -> None:
    rig = Rig()
    await rig.deliver("events", "ADDED", event(about="other", kind="Node", version="20"))
    await rig.deliver("events", "ADDED", claim(version="21"))
    await rig.deliver("events", "ADDED", event("x", about="other", kind="Node", version="22"))
    assert rig.outbox.positions[EVENTS] == "20"
    rig.clock.now_s += LINGER_S + 1
    rig.router.expire(())
    rig.events.save()
    assert rig.outbox.positions[EVENTS] == "22"


async def test_more_than_may_be_kept_push_out_the_oldest_counted_but_no_event_about_a_pod() -> None:
    rig = Rig(lingering_max=2)
    await rig.deliver("events", "ADDED", event("pods"))
    for number in range(3):
        await rig.deliver("events", "ADDED", claim(f"c{number}"))
    await rig.deliver("pods", "ADDED", with_claim(pod()))
    assert [entry.identity for entry in rig.outbox.entries] == ["pod-1/created", "pods", "c1", "c2"]
    counted = rig.metrics.records.labels("neighbours_overflow")
    assert counted._value.get() == 1  # noqa: SLF001 - the client library has no other way to read


async def test_repeats_of_a_neighbours_event_are_folded() -> None:
    rig = Rig()
    await rig.deliver("pods", "ADDED", with_claim(pod()))
    for count in range(1, 8):
        await rig.deliver("events", "MODIFIED", claim(count=count, version=str(10 + count)))
    said = [f"PersistentVolumeClaim FailedBinding x{count}" for count in (1, 2, 4)]
    assert rig.outbox.said == ["Pod Created", *said]
    rig.clock.now_s += SPELLS_S[0] + 1
    rig.router.tick()
    assert rig.outbox.said[-1] == "PersistentVolumeClaim FailedBinding x7"


async def test_who_goes_hears_the_newest_count_first_though_it_is_held() -> None:
    rig = Rig()
    await rig.deliver("pods", "ADDED", with_claim(pod()))
    await rig.deliver("pods", "ADDED", with_claim(pod("pod-2", env=agent_env(OTHER_TOKEN))))
    for count in (1, 2, 3):
        await rig.deliver("events", "MODIFIED", claim(count=count))
    await rig.deliver("pods", "DELETED", with_claim(pod(deleting=True)))
    assert heard(rig)[-2:] == ["PersistentVolumeClaim FailedBinding x3", "Pod Deleted"]
    assert heard(rig, OTHER_TOKEN)[-1] == "PersistentVolumeClaim FailedBinding x2"
    rig.router.release(EVENTS)
    assert heard(rig, OTHER_TOKEN)[-1] == "PersistentVolumeClaim FailedBinding x3"
    assert heard(rig)[-1] == "Pod Deleted"


async def test_at_the_first_start_only_those_who_wait_are_told_what_was() -> None:
    rig = Rig()
    old = with_claim(pod("old", phase="Running", ready=True, started=True))
    waiting = with_claim(pod("waiting", env=agent_env(OTHER_TOKEN)))
    await take_list(rig, events=[claim()])
    await take_list(rig, pods=[old, waiting])
    assert heard(rig) == []
    assert heard(rig, OTHER_TOKEN) == ["Pod Created", "PersistentVolumeClaim FailedBinding x1"]
    await take_list(rig, events=[claim(), claim("ev-2", version="60")], version="61")
    assert heard(rig) == ["PersistentVolumeClaim FailedBinding x1"]


async def test_what_was_there_before_us_is_not_told_to_the_ready_whichever_list_comes_first() -> None:
    rig = Rig()
    await take_list(rig, pods=[with_claim(pod("old", phase="Running", ready=True, started=True))], events=[claim()])
    assert rig.outbox.said == []


async def test_a_pod_is_beside_its_neighbours_after_a_restart() -> None:
    before = Rig()
    await before.deliver("pods", "ADDED", with_claim(with_owner(pod())))
    rig = Rig()
    rig.registrar.load(before.outbox.objects["pods/*"])
    await rig.deliver("events", "ADDED", claim())
    await rig.deliver("events", "ADDED", owned("ev-2"))
    assert rig.outbox.said == ["PersistentVolumeClaim FailedBinding x1", "Job BackoffLimitExceeded x1"]


async def test_the_node_of_a_pod_is_kept_when_it_is_known() -> None:
    rig = Rig()
    placed = pod()
    placed["spec"]["nodeName"] = "node-1"
    for started in (False, True):
        placed["status"]["containerStatuses"][0]["state"] = {"running": {}} if started else {"waiting": {}}
        await rig.deliver("pods", "MODIFIED", placed)
    saved = unpack(rig.outbox.objects["pods/*"][Uid("pod-1")], rig.vault)
    assert saved is not None
    assert [tie.key for tie in saved.known.ties] == ["node-1"]


async def test_what_another_watcher_reads_from_now_on_is_kept_no_more() -> None:
    rig = Rig()
    await rig.deliver("events", "ADDED", claim())
    rig.events.part(frozenset((Unit("*"),)))
    assert len(rig.lingering) == 0


@given(
    st.lists(st.sampled_from(["a1", "a2", "a3", "b1", "pod", "other", "spell"]), max_size=30),
)
async def test_any_order_and_repetition_tells_each_who_lives_beside_it_the_newest_count(steps: list[str]) -> None:
    rig = Rig()
    seen: dict[str, int] = {}
    there = {"pod": with_claim(pod()), "other": with_claim(pod("pod-2", env=agent_env(OTHER_TOKEN)))}
    for step in [*steps, "pod", "other"]:
        if step in there:
            await rig.deliver("pods", "MODIFIED", there[step])
        elif step == "spell":
            rig.clock.now_s += 1.0
            rig.router.tick()
        else:
            name, count = step[0], int(step[1])
            seen[name] = max(seen.get(name, 0), count)
            await rig.deliver("events", "MODIFIED", claim(name, count=count))
    rig.events.leave()
    for token in (TOKEN, OTHER_TOKEN):
        agent = rig.vault.agent_id(token)
        told = [entry for entry in rig.outbox.entries if entry.agent == agent and entry.identity in ("a", "b")]
        newest: dict[str, int] = {}
        for entry in told:
            newest[entry.identity] = max(newest.get(entry.identity, 0), entry.version)
        assert newest == seen
