"""An eviction is told once, by the status or in the words of its Event, whichever comes first and whatever is lost."""

from typing import Any

import msgspec
import pytest

from common.ids import Uid
from common.record import Aspect, Level, LogRecord, Origin
from tests.unit.watcher.rig import OTHER_TOKEN, SECRET, TOKEN, Rig, agent_env, data_of, event, pod, secret_env
from watcher.evictions import WAITING_MAX, WAITS_S, Evicted, Evictions
from watcher.objects import Event

SAID = 'Usage of EmptyDir volume "scratch" exceeds the limit "5Mi". '


def evicted(about: str = "pod-1", version: str = "20") -> dict[str, Any]:
    """As the kubelet says it before it asks the containers to end."""
    return event(f"evicted-{about}", about=about, reason="Evicted", message=SAID, version=version)


def over(code: int, version: str = "21", **status: Any) -> dict[str, Any]:
    """A pod whose container ended; 0 makes it Succeeded, and its status forgets the reason (recorded, 1.35)."""
    value = pod(version=version, phase="Failed" if code else "Succeeded")
    ended = {"exitCode": code, "reason": "Error" if code else "Completed", "containerID": "cd://1"}
    value["status"] |= {"containerStatuses": [{"name": "c", "state": {"terminated": ended}}], **status}
    return value


KILLED = over(137, reason="Evicted", message=SAID)


def ends(rig: Rig) -> list[LogRecord]:
    return [record for record in rig.outbox.records if record.reason == "Evicted"]


async def with_pod(rig: Rig) -> None:
    await rig.deliver("pods", "ADDED", pod(phase="Running", started=True, ready=True))


@pytest.mark.parametrize("event_first", [True, False])
@pytest.mark.parametrize("last", [over(0), KILLED], ids=["exit code 0", "killed"])
async def test_it_is_told_once_in_our_words_in_either_order(last: dict[str, Any], event_first: bool) -> None:
    rig = Rig()
    await with_pod(rig)
    deliveries = [("events", "ADDED", evicted()), ("pods", "MODIFIED", last)]
    for resource, verb, value in deliveries if event_first else reversed(deliveries):
        await rig.deliver(resource, verb, value)
    rig.clock.now_s += WAITS_S
    rig.router.tick()
    (told,) = ends(rig)
    assert (told.origin, told.message, told.level) == (Origin.STATUS, SAID, Level.ERROR)
    assert told.details is not None
    assert told.details.aspect == Aspect.POD_ENDED


@pytest.mark.parametrize("last", [over(0), KILLED], ids=["exit code 0", "killed"])
async def test_an_event_that_comes_when_the_pod_is_gone_tells_no_more_and_no_less(last: dict[str, Any]) -> None:
    rig = Rig()
    await with_pod(rig)
    await rig.deliver("pods", "MODIFIED", last)
    await rig.deliver("pods", "DELETED", last)
    await rig.deliver("events", "ADDED", evicted())
    rig.clock.now_s += WAITS_S
    rig.router.tick()
    assert [record.origin for record in ends(rig)] == [Origin.STATUS]


async def test_both_ways_have_one_identity_so_a_restart_repeats_nothing() -> None:
    identities = set()
    for last in (over(0), KILLED):
        rig = Rig()
        await with_pod(rig)
        await rig.deliver("events", "ADDED", evicted())
        await rig.deliver("pods", "MODIFIED", last)
        identities |= {(record.identity, record.version) for record in ends(rig)}
    assert len(identities) == 1


async def test_what_only_an_event_says_stays_an_event_and_comes_late() -> None:
    rig = Rig()
    await with_pod(rig)
    await rig.deliver("events", "ADDED", evicted())
    rig.clock.now_s += WAITS_S - 1
    rig.router.tick()
    assert ends(rig) == []
    rig.clock.now_s += 1
    rig.router.tick()
    (told,) = ends(rig)
    assert told.origin is Origin.EVENT


async def test_a_pod_that_was_asked_to_end_makes_no_eviction_ours() -> None:
    rig = Rig()
    await with_pod(rig)
    await rig.deliver("events", "ADDED", evicted())
    leaving = over(0)
    leaving["metadata"]["deletionTimestamp"] = "2026-11-22T15:50:00Z"
    await rig.deliver("pods", "MODIFIED", leaving)
    await rig.deliver("pods", "DELETED", leaving)
    (told,) = ends(rig)
    assert told.origin is Origin.EVENT
    assert rig.outbox.records[-1].reason == "Deleted"


async def test_the_position_waits_with_it() -> None:
    rig = Rig()
    await with_pod(rig)
    await rig.deliver("events", "ADDED", evicted())
    await rig.deliver("events", "ADDED", event("other", version="30"))
    assert rig.router.told_up_to(rig.events.scope, "30") != "30"
    await rig.deliver("pods", "MODIFIED", over(0))
    assert rig.router.told_up_to(rig.events.scope, "30") == "30"


async def test_a_pod_of_nobody_keeps_nothing_waiting() -> None:
    rig = Rig()
    await rig.deliver("pods", "ADDED", pod(env=[]))
    await rig.deliver("events", "ADDED", evicted())
    assert rig.router.told_up_to(rig.events.scope, "20") == "20"


async def test_that_of_a_pod_that_nobody_knows_waits_as_any_event_does() -> None:
    """A made-up one may crowd out no real one, and is let go and counted like what else waits for a pod."""
    rig = Rig()
    await rig.deliver("events", "ADDED", evicted())
    assert len(rig.parking) == 1
    await rig.deliver("events", "ADDED", event("other", about="bare", version="30"))
    assert rig.router.told_up_to(rig.events.scope, "30") != "30"  # a crash does not lose it
    rig.clock.now_s += 1
    assert rig.parking.expire(rig.clock.now_s) == 2
    assert rig.router.told_up_to(rig.events.scope, "30") == "30"


@pytest.mark.parametrize("last", [over(0), KILLED], ids=["exit code 0", "killed"])
async def test_that_of_a_pod_that_comes_only_when_pods_can_be_read_again_is_told_with_its_end(
    last: dict[str, Any],
) -> None:
    rig = Rig()
    await rig.deliver("events", "ADDED", event())
    await rig.deliver("events", "ADDED", evicted())
    rig.clock.now_s += WAITS_S
    rig.router.tick()
    await with_pod(rig)
    await rig.deliver("pods", "MODIFIED", last)
    (told,) = ends(rig)
    assert told.origin is Origin.STATUS
    assert [record.reason for record in rig.outbox.records][:2] == ["Created", "Scheduled"]
    assert len(rig.parking) == 0


async def test_that_of_a_pod_that_is_over_when_it_is_met_is_told_behind_what_came_before() -> None:
    rig = Rig()
    await rig.deliver("events", "ADDED", evicted())
    await rig.deliver("events", "ADDED", event())
    await rig.deliver("pods", "ADDED", over(0))
    assert [record.reason for record in rig.outbox.records][:3] == ["Created", "Scheduled", "Evicted"]
    (told,) = ends(rig)
    assert told.origin is Origin.STATUS


@pytest.mark.parametrize("ends_first", [True, False])
async def test_that_of_a_pod_whose_second_token_comes_late_is_told_once_to_both_agents(ends_first: bool) -> None:
    rig = Rig()
    await rig.deliver("events", "ADDED", evicted())
    running, last = (pod(env=agent_env(OTHER_TOKEN), phase="Running"), over(0))
    for each in (running, last):
        each["spec"]["containers"][0]["env"] = agent_env(OTHER_TOKEN)
        each["spec"]["initContainers"] = [{"name": "i", "env": secret_env()}]
    await rig.deliver("pods", "ADDED", running)
    if ends_first:
        await rig.deliver("pods", "MODIFIED", last)
    rig.registrar.source_answered(Uid("pod-1"), SECRET, data_of(TOKEN))
    if not ends_first:
        await rig.deliver("pods", "MODIFIED", last)
    assert {record.origin for record in ends(rig)} == {Origin.STATUS}
    told = {each.agent for each in rig.outbox.entries if each.identity == ends(rig)[0].identity}
    assert told == {rig.vault.agent_id(token) for token in (TOKEN, OTHER_TOKEN)}


def test_what_finds_no_room_waits_no_longer() -> None:
    evictions = Evictions()
    for number in range(WAITING_MAX + 1):
        said = msgspec.convert(evicted(f"pod-{number}"), Event)
        evictions.hear(Evicted(said, "events/ns", history=False, before="1", since_s=0.0))
    assert [each.event.about for each in evictions.due(0.0)] == ["pod-0"]
    assert len(evictions) == WAITING_MAX


async def test_one_that_the_status_tells_is_counted() -> None:
    rig = Rig()
    await with_pod(rig)
    await rig.deliver("events", "ADDED", evicted())
    await rig.deliver("pods", "MODIFIED", KILLED)
    rig.router.tick()
    assert rig.metrics.records.labels("told_by_status")._value.get() == 1  # noqa: SLF001 - no other way
