"""Events that could not wait for their object: counted within bounds, and said when it comes."""

from common.ids import Uid
from tests.unit.watcher.rig import OTHER_TOKEN, SECRET, TOKEN, Rig, data_of, event, pod, secret_env, take_list
from watcher.unkept import Unkept


def said(rig: Rig) -> list[str]:
    """What was told, with the number where something was not kept."""
    return [
        f"{record.reason} {record.count}" if record.reason == "NotKept" else record.reason
        for record in rig.outbox.records
    ]


async def test_events_pushed_out_before_their_pod_came_are_counted_in_one_line() -> None:
    rig = Rig(parked_max=2)
    for number in range(5):
        await rig.deliver("events", "ADDED", event(f"ev-{number}", reason=f"R{number}"))
    await rig.deliver("pods", "ADDED", pod())
    await rig.deliver("pods", "MODIFIED", pod(phase="Running"))
    assert said(rig) == ["Created", "NotKept 3", "R3", "R4"]


async def test_events_that_waited_too_long_are_counted_too() -> None:
    rig = Rig()
    await rig.deliver("events", "ADDED", event("ev-1"))
    rig.clock.now_s += 10.0
    assert rig.parking.expire(rig.clock.now_s) == 1
    await rig.deliver("events", "ADDED", event("ev-2", reason="Pulled"))
    await rig.deliver("pods", "ADDED", pod())
    assert said(rig) == ["Created", "NotKept 1", "Pulled"]
    assert len(rig.parking.unkept) == 0


async def test_an_event_of_which_a_later_count_waits_is_not_missing() -> None:
    rig = Rig()
    await rig.deliver("events", "ADDED", event(count=1))
    rig.clock.now_s += 10.0
    await rig.deliver("events", "MODIFIED", event(count=2, version="12"))
    assert rig.parking.expire(rig.clock.now_s) == 1
    await rig.deliver("pods", "ADDED", pod())
    assert said(rig) == ["Created", "Scheduled"]


async def test_history_is_missing_only_to_those_who_waited_then() -> None:
    rig = Rig()
    await take_list(rig, events=[event("ev-1", about="old"), event("ev-2", about="new")])
    rig.clock.now_s += 10.0
    rig.parking.expire(rig.clock.now_s)
    await take_list(rig, pods=[pod("old", phase="Running", ready=True), pod("new")])
    assert said(rig) == ["Created", "NotKept 1"]


async def test_what_a_list_will_show_again_is_not_missing() -> None:
    rig = Rig(parked_max=1)
    for number in range(3):
        await rig.deliver("events", "ADDED", event(f"ev-{number}"))
    await take_list(rig, events=[])
    await rig.deliver("pods", "ADDED", pod())
    assert said(rig) == ["Created"]


async def test_agents_that_heard_an_event_do_not_miss_what_was_kept_for_another() -> None:
    rig = Rig()
    both = pod()
    both["spec"]["initContainers"] = [{"name": "i", "env": secret_env()}]
    await rig.deliver("events", "ADDED", event("early", reason="Early"))
    await rig.deliver("pods", "ADDED", both)
    await rig.deliver("events", "ADDED", event("late", reason="Late"))
    rig.clock.now_s += 10.0
    assert rig.parking.expire(rig.clock.now_s) == 2
    assert rig.registrar.source_answered(Uid("pod-1"), SECRET, data_of(OTHER_TOKEN))
    assert said(rig) == ["Created", "Early", "Late", "Created"]
    assert rig.outbox.entries[0].agent == rig.vault.agent_id(TOKEN)


async def test_an_object_without_an_agent_has_nobody_to_tell() -> None:
    rig = Rig(parked_max=1)
    for number in range(3):
        await rig.deliver("events", "ADDED", event(f"ev-{number}"))
    await rig.deliver("pods", "ADDED", pod(env=[]))
    assert said(rig) == []
    assert len(rig.parking.unkept) == 0


def test_counts_are_bounded_and_the_oldest_go() -> None:
    unkept = Unkept(2)
    for uid in ("a", "b", "a", "c"):
        unkept.add(Uid(uid), "events/*", "ns", history=False)
    assert len(unkept) == 2
    assert [unkept.take(Uid(uid), history=True) for uid in ("a", "b", "c")] == [2, 0, 1]


def test_counts_go_with_the_namespaces_that_another_watcher_takes() -> None:
    unkept = Unkept()
    unkept.add(Uid("a"), "events/*", "theirs", history=False)
    unkept.add(Uid("b"), "events/*", "ours", history=False)
    unkept.clear("events/*", lambda namespace: namespace == "theirs")
    assert [unkept.take(Uid(uid), history=True) for uid in ("a", "b")] == [0, 1]
