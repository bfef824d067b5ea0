"""From changes to records: who is told what, when, and what is saved."""

from typing import Any

import msgspec
import pytest
from cryptography.fernet import Fernet

from common.crypto import TokenVault
from common.ids import Uid, Unit
from common.store.model import Home
from tests.unit.watcher.rig import (
    OTHER_TOKEN,
    SECRET,
    TOKEN,
    TOKEN_KEY,
    Rig,
    data_of,
    event,
    pod,
    replica_set,
    secret_env,
    take_list,
)
from watcher.objects import ReplicaSet
from watcher.packed import unpack
from watcher.reflection import Began, Completed, Found, Rebuilt
from watcher.sought import Failure, NoToken


async def test_a_new_pod_is_told_and_registered() -> None:
    rig = Rig()
    await rig.deliver("pods", "ADDED", pod())
    assert rig.outbox.said == ["Pod Created"]
    assert [(agent, uid) for agent, uid, _ in rig.outbox.registered] == [(rig.vault.agent_id(TOKEN), "pod-1")]
    assert rig.outbox.entries[0].home is Home.OBJECT
    assert rig.vault.unseal(rig.outbox.registered[0][2].sealed_token) == TOKEN


async def test_an_event_before_its_pod_waits_and_follows_it() -> None:
    rig = Rig()
    await rig.deliver("events", "ADDED", event())
    assert rig.outbox.said == []
    await rig.deliver("pods", "ADDED", pod())
    assert rig.outbox.said == ["Pod Created", "Pod Scheduled x1"]


async def test_a_waiting_event_holds_the_saved_position_back() -> None:
    rig = Rig()
    await rig.deliver("events", "ADDED", event(about="other", kind="Node", version="20"))
    await rig.deliver("events", "ADDED", event(version="21"))
    await rig.deliver("events", "ADDED", event("ev-2", about="pod-2", version="22"))
    assert rig.outbox.positions["events/*"] == "20"
    await rig.deliver("pods", "ADDED", pod())
    rig.events.save()
    assert rig.outbox.positions["events/*"] == "21"


async def test_while_a_list_is_under_way_nothing_is_saved_of_what_waited_before_it() -> None:
    rig = Rig()
    await rig.deliver("events", "ADDED", event(about="other", kind="Node", version="20"))
    waiting = event(version="21")
    await rig.deliver("events", "ADDED", waiting)
    await rig.events.take(Began("30"))
    rig.events.save()
    rig.events.part(rig.domain.units)
    assert rig.outbox.positions["events/*"] == "20"


async def test_an_event_reaches_no_object_of_another_namespace() -> None:
    rig = Rig()
    await rig.deliver("pods", "ADDED", pod())
    await rig.deliver("events", "ADDED", event(namespace="evil"))
    await rig.deliver("events", "ADDED", event("ev-2", own_namespace="evil"))
    assert rig.outbox.said == ["Pod Created"]


async def test_same_named_pods_of_two_namespaces_stay_apart() -> None:
    rig = Rig()
    await rig.deliver("pods", "ADDED", pod("u1", namespace="a", name="ws"))
    other = pod("u2", namespace="b", name="ws", env=[{"name": "CODER_AGENT_TOKEN", "value": OTHER_TOKEN}])
    await rig.deliver("pods", "ADDED", other)
    await rig.deliver("events", "ADDED", event(about="u2", namespace="b"))
    assert [entry.agent for entry in rig.outbox.entries][-1] == rig.vault.agent_id(OTHER_TOKEN)


async def test_a_token_in_two_objects_is_one_agent_that_outlives_either() -> None:
    rig = Rig()
    await rig.deliver("replicasets", "ADDED", replica_set())
    await rig.deliver("pods", "ADDED", pod())
    await rig.deliver("pods", "DELETED", pod(deleting=True))
    await rig.deliver("events", "ADDED", event(about="rs-1", kind="ReplicaSet"))
    assert rig.outbox.said == ["ReplicaSet Queued", "Pod Created", "Pod Deleted", "ReplicaSet Scheduled x1"]
    assert len({entry.agent for entry in rig.outbox.entries}) == 1
    assert [uid for _, uid in rig.outbox.released] == ["pod-1"]


async def test_repeats_are_told_with_their_count() -> None:
    rig = Rig()
    await rig.deliver("pods", "ADDED", pod())
    await rig.deliver("events", "ADDED", event())
    await rig.deliver("events", "MODIFIED", event(count=9))
    await rig.deliver("events", "DELETED", event(count=9))
    assert rig.outbox.said == ["Pod Created", "Pod Scheduled x1", "Pod Scheduled x9"]


async def test_late_events_of_a_deleted_pod_still_find_their_agent() -> None:
    rig = Rig()
    await rig.deliver("pods", "ADDED", pod())
    await rig.deliver("pods", "DELETED", pod(phase="Failed"))
    await rig.deliver("events", "ADDED", event(reason="Killing"))
    assert rig.outbox.said == ["Pod Created", "Pod Deleted", "Pod Killing x1"]
    assert rig.outbox.records[1].level.value == "error"


@pytest.mark.parametrize(("failed_before", "level"), [(False, "debug"), (True, "error")])
async def test_only_a_pod_that_failed_before_it_was_deleted_is_an_error(failed_before: bool, level: str) -> None:
    rig = Rig()
    await rig.deliver("pods", "ADDED", pod(phase="Running", started=True))
    if failed_before:
        await rig.deliver("pods", "MODIFIED", pod(phase="Failed"))
    await rig.deliver("pods", "MODIFIED", pod(phase="Failed", deleting=True))  # its program exits with 143
    await rig.deliver("pods", "DELETED", pod(phase="Failed", deleting=True))
    assert rig.outbox.said == ["Pod Created", "Pod Deleted"]
    assert rig.outbox.records[1].level.value == level


async def test_pods_without_a_token_keep_no_events_waiting() -> None:
    rig = Rig()
    await rig.deliver("pods", "ADDED", pod(env=[]))
    await rig.deliver("events", "ADDED", event())
    assert len(rig.parking) == 0
    assert rig.outbox.entries == []


@pytest.mark.parametrize("env", [[{"name": "CODER_AGENT_TOKEN", "value": "no uuid"}]])
async def test_an_unusable_token_is_counted_once_per_object(env: list[Any]) -> None:
    rig = Rig()
    for verb in ("ADDED", "MODIFIED", "MODIFIED"):
        await rig.deliver("pods", verb, pod(env=env))
    counted = rig.metrics.agents_without_token.labels(NoToken.NOT_A_UUID.value)
    assert counted._value.get() == 1  # noqa: SLF001 - the client library has no other way to read


async def test_replica_sets_are_matched_by_their_template_labels() -> None:
    rig = Rig(selector="app=coder")
    await rig.deliver("replicasets", "ADDED", replica_set("mine", labels={"app": "coder"}))
    await rig.deliver("replicasets", "ADDED", replica_set("other", labels={"app": "web"}))
    assert [record.object.uid for record in rig.outbox.records] == ["mine"]


async def test_at_the_first_start_only_those_who_wait_are_told() -> None:
    rig = Rig()
    old, waiting = pod("old", phase="Running", ready=True, started=True), pod("waiting")
    await take_list(rig, pods=[old, waiting], events=[event("e1", about="old"), event("e2", about="waiting")])
    assert [(record.object.uid, record.reason) for record in rig.outbox.records] == [
        ("waiting", "Created"),
        ("waiting", "Scheduled"),
    ]
    assert {uid for _, uid, _ in rig.outbox.registered} == {"old", "waiting"}
    assert rig.outbox.floors_set == [("pods/*", "50"), ("events/*", "50")]


async def test_the_position_of_a_first_list_is_saved_before_anything_else_is_read() -> None:
    rig = Rig()
    await take_list(rig, pods=[pod("old")], events=[])
    assert rig.outbox.flushes == [{"pods/*": "50"}, {"pods/*": "50", "events/*": "50"}]
    await take_list(rig, pods=[pod("old")], events=[])
    assert len(rig.outbox.flushes) == 2, "a later list is of no such weight"


async def test_an_old_pod_is_told_of_from_then_on() -> None:
    rig = Rig()
    await take_list(rig, pods=[pod("old", phase="Running", ready=True)], events=[])
    await rig.deliver("events", "ADDED", event(about="old", version="51"))
    assert rig.outbox.said == ["Pod Scheduled x1"]


async def test_history_of_a_quiet_pod_that_was_listed_first_is_not_told_when_its_pod_comes() -> None:
    rig = Rig()
    await take_list(rig, events=[event(about="old"), event("e2", about="new")])
    await take_list(rig, pods=[pod("old", phase="Running", ready=True), pod("new")])
    assert [record.object.uid for record in rig.outbox.records] == ["new", "new"]
    assert len(rig.parking) == 0


async def test_a_relist_tells_what_was_missed_in_order_of_time() -> None:
    rig = Rig(floor="20")
    await rig.deliver("pods", "ADDED", pod())
    await take_list(
        rig,
        events=[
            event("late", reason="C", at="2026-11-22T15:49:09Z", version="40"),
            event("same-later", reason="B", at="2026-11-22T15:49:08Z", version="41"),
            event("same-sooner", reason="A", at="2026-11-22T15:49:08.731Z", version="9"),  # most tell only the second
        ],
    )
    assert rig.outbox.said == ["Pod Created", "Pod A x1", "Pod B x1", "Pod C x1"]


async def test_a_relist_does_not_tell_what_was_there_before_we_came() -> None:
    rig = Rig(floor="20")
    await take_list(rig, pods=[pod("old", ready=True, version="15"), pod("new", ready=True, version="30")])
    await take_list(rig, events=[event("e1", about="old", version="16"), event("e2", about="old", version="31")])
    assert [(record.object.uid, record.reason) for record in rig.outbox.records] == [
        ("new", "Created"),
        ("old", "Scheduled"),
    ]
    assert rig.outbox.floors_set == []


async def test_a_cluster_behind_the_floor_is_met_anew() -> None:
    rig = Rig(floor="900")
    await take_list(rig, pods=[pod("a", ready=True, version="30")])
    assert rig.outbox.entries == []
    assert rig.outbox.floors_set == [("pods/*", "50")]


async def test_what_waits_from_before_a_reading_that_began_anew_further_back_is_no_reason_to_save_past_it() -> None:
    rig = Rig()
    await rig.deliver("events", "ADDED", event(version="40"))
    await rig.deliver("events", "ADDED", event("e2", version="41"))
    rig.parking.take(Uid("pod-1"))
    await rig.deliver("events", "ADDED", event("e3", version="42"))
    assert rig.outbox.positions["events/*"] == "41"
    rig.events.position = "30"  # for the sake of another unit, which was left there
    rig.events.save()
    assert rig.outbox.positions["events/*"] == "30"


async def test_what_a_rebuilt_cluster_says_is_not_older_than_what_was_read_of_the_one_before() -> None:
    rig = Rig(floor="900", reached={Unit("*"): "900"})
    for sink in (rig.pods, rig.events):
        await sink.take(Rebuilt("900", "50"))
    await take_list(rig, pods=[], events=[])
    await rig.deliver("pods", "ADDED", pod("new", version="51"))
    await rig.deliver("events", "ADDED", event(about="new", version="52"))
    assert rig.outbox.said == ["Pod Created", "Pod Scheduled x1"]


async def test_what_a_list_lacks_is_only_suspected() -> None:
    rig = Rig()
    await rig.deliver("pods", "ADDED", pod())
    await take_list(rig, pods=[])
    assert rig.outbox.said == ["Pod Created"]
    assert rig.directory.get(Uid("pod-1")) is not None


async def test_a_pod_that_left_the_selection_is_only_suspected() -> None:
    rig = Rig(selected=True)
    await rig.deliver("pods", "ADDED", pod())
    await rig.deliver("pods", "DELETED", pod())
    assert rig.outbox.said == ["Pod Created"]
    await rig.deliver("pods", "DELETED", pod(deleting=True))
    assert rig.outbox.said == ["Pod Created", "Pod Deleted"]


async def test_events_wait_until_the_secret_is_read() -> None:
    rig = Rig()
    await rig.deliver("pods", "ADDED", pod(env=secret_env()))
    await rig.deliver("events", "ADDED", event())
    assert not rig.registrar.source_answered(Uid("pod-1"), SECRET, Failure.MISSING)
    assert rig.outbox.said == []
    assert rig.registrar.source_answered(Uid("pod-1"), SECRET, data_of(TOKEN))
    assert rig.outbox.said == ["Pod Created", "Pod Scheduled x1"]


async def test_a_token_that_is_awaited_is_awaited_over_a_restart() -> None:
    rig = Rig()
    await rig.deliver("pods", "ADDED", pod(env=secret_env()))
    again = Rig()
    again.registrar.load(rig.outbox.objects["pods/*"])
    assert again.registrar.source_answered(Uid("pod-1"), SECRET, data_of(TOKEN))
    assert again.outbox.said == ["Pod Created"]


async def test_before_the_start_a_changed_secret_changes_the_agent() -> None:
    rig = Rig()
    await rig.deliver("pods", "ADDED", pod(env=secret_env()))
    rig.registrar.source_answered(Uid("pod-1"), SECRET, data_of(TOKEN))
    rig.registrar.source_answered(Uid("pod-1"), SECRET, data_of(OTHER_TOKEN))
    assert [agent for agent, _ in rig.outbox.released] == [rig.vault.agent_id(TOKEN)]
    assert [entry.agent for entry in rig.outbox.entries] == [rig.vault.agent_id(t) for t in (TOKEN, OTHER_TOKEN)]


async def test_after_the_start_the_agent_is_kept() -> None:
    rig = Rig()
    await rig.deliver("pods", "ADDED", pod(env=secret_env()))
    rig.registrar.source_answered(Uid("pod-1"), SECRET, data_of(TOKEN))
    await rig.deliver("pods", "MODIFIED", pod(env=secret_env(), started=True))
    rig.registrar.source_answered(Uid("pod-1"), SECRET, data_of(TOKEN))  # the last look
    kept = unpack(rig.outbox.objects["pods/*"][Uid("pod-1")], rig.vault)
    assert kept is not None
    assert kept.known.settled
    again = Rig()
    again.registrar.load(rig.outbox.objects["pods/*"])
    again.registrar.source_answered(Uid("pod-1"), SECRET, data_of(OTHER_TOKEN))
    await again.deliver("pods", "MODIFIED", pod(env=[{"name": "CODER_AGENT_TOKEN", "value": OTHER_TOKEN}]))
    known = again.directory.get(Uid("pod-1"))
    assert known is not None
    assert [seat.agent for seat in known.seats] == [rig.vault.agent_id(TOKEN)]


async def test_a_restart_knows_whom_it_knew() -> None:
    rig = Rig()
    await rig.deliver("pods", "ADDED", pod())
    again = Rig()
    again.vault = rig.vault
    again.registrar.load(rig.outbox.objects["pods/*"])
    await again.deliver("events", "ADDED", event())
    assert again.outbox.said == ["Pod Scheduled x1"]


async def test_an_emptied_redis_gets_everyone_again_under_new_names() -> None:
    rig = Rig()
    await rig.deliver("pods", "ADDED", pod())
    rig.outbox.registered.clear()
    fresh = TokenVault([Fernet(TOKEN_KEY)], b"z" * 32)
    names = rig.registrar.start_over(fresh)
    assert names == {rig.vault.agent_id(TOKEN): fresh.agent_id(TOKEN)}
    assert [(agent, uid) for agent, uid, _ in rig.outbox.registered] == [(fresh.agent_id(TOKEN), "pod-1")]
    await take_list(rig, events=[event(version="11")])
    assert rig.outbox.said == ["Pod Created"]  # what was told stays told


async def test_an_emptied_redis_is_not_told_again_what_was_there_of_those_who_have_gone() -> None:
    rig = Rig()
    await rig.deliver("pods", "ADDED", pod())
    await rig.deliver("events", "ADDED", event(version="11"))
    await rig.deliver("pods", "DELETED", pod(deleting=True))
    before = list(rig.outbox.said)
    rig.registrar.start_over(rig.vault)
    await take_list(rig, events=[event(version="11")])
    assert rig.outbox.said == before
    await rig.deliver("events", "ADDED", event("ev-2", version="51"))
    assert rig.outbox.said == [*before, "Pod Scheduled x1"]


async def test_several_agents_in_one_pod_each_get_its_events() -> None:
    rig = Rig()
    both = pod()
    both["spec"]["initContainers"] = [{"name": "i", "env": [{"name": "CODER_AGENT_TOKEN", "value": OTHER_TOKEN}]}]
    await rig.deliver("pods", "ADDED", both)
    await rig.deliver("events", "ADDED", event())
    assert len({entry.agent for entry in rig.outbox.entries}) == 2
    assert rig.outbox.said.count("Pod Scheduled x1") == 2


async def test_replica_sets_that_lack_pods_are_told_at_the_first_start() -> None:
    rig = Rig()
    waiting, idle = replica_set("waiting"), replica_set("idle", ready=1)
    listed = [msgspec.convert(each, ReplicaSet) for each in (waiting, idle)]
    for change in (Began("50"), Found(listed), Completed("50", frozenset())):
        await rig.owners.take(change)
    assert [record.object.uid for record in rig.outbox.records] == ["waiting"]
