"""The summary of a start is told once and the same, whatever comes first, and whoever reads it."""

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from common.ids import Uid, Unit
from common.record import LogRecord, Timeline
from tests.unit.watcher.rig import SECRET, TOKEN, Rig, data_of, event, pod, secret_env, take_list
from tests.unit.watcher.test_recordings import FOLDER, Recorded
from watcher.objects import Metadata
from watcher.starts import LAG_MAX_S, LAG_S
from watcher.versions import is_newer

READY_AT = "2026-11-22T15:49:20Z"
UNKNOWN = Timeline(13_000, 1_000)
"""Of the pod that is `ready` here."""
KNOWN = Timeline(13_000, 1_000, 2_000, 5_000, None, 5_000, 1, 0, 1_000_000)


def ready(version: str = "20", *, is_ready: bool = True, since: str = READY_AT, **more: Any) -> dict[str, Any]:
    """A pod of 15:49:07 with a node since :08, whose kubelet saw it at :08, too."""
    value = pod(version=version, phase="Running", started=True, **more)
    value["status"]["startTime"] = "2026-11-22T15:49:08Z"
    value["status"]["conditions"] = [
        {"type": "PodScheduled", "status": "True", "lastTransitionTime": "2026-11-22T15:49:08Z"},
        {"type": "Ready", "status": str(is_ready), "lastTransitionTime": since},
    ]
    return value


def pulling() -> dict[str, Any]:
    value = event("pulling", reason="Pulling", message='Pulling image "app:1"', at="2026-11-22T15:49:10Z", version="12")
    return _of_container(value)


def pulled() -> dict[str, Any]:
    message = 'Successfully pulled image "app:1" in 5s (5s including waiting). Image size: 1000000 bytes.'
    value = event("pulled", reason="Pulled", message=message, at="2026-11-22T15:49:15Z", version="13")
    return _of_container(value)


def _of_container(value: dict[str, Any]) -> dict[str, Any]:
    value["involvedObject"]["fieldPath"] = "spec.containers{c}"
    return value


def starts(rig: Rig) -> list[Timeline]:
    told = [record for record in rig.outbox.records if record.details is not None]
    return [record.details.timeline for record in told if record.details and record.details.timeline is not None]


def later(rig: Rig, seconds: float) -> None:
    rig.clock.now_s += seconds
    rig.router.tick()


async def test_a_start_is_summed_up_after_its_events() -> None:
    rig = Rig()
    await rig.deliver("pods", "ADDED", pod())
    for each in (pulling(), pulled()):
        await rig.deliver("events", "ADDED", each)
    await rig.deliver("pods", "MODIFIED", ready())
    assert starts(rig) == [KNOWN]
    assert rig.outbox.said == ["Pod Created", "Pod Pulling x1", "Pod Pulled x1", "Pod PodStarted"]


async def test_events_that_come_after_the_pod_was_ready_are_waited_for() -> None:
    rig = Rig()
    await rig.deliver("pods", "ADDED", ready())
    later(rig, LAG_S - 1)
    assert starts(rig) == []
    for each in (pulling(), pulled()):
        await rig.deliver("events", "ADDED", each)
    assert starts(rig) == [KNOWN]
    later(rig, LAG_MAX_S)
    assert starts(rig) == [KNOWN]


async def test_events_that_never_come_are_left_out() -> None:
    rig = Rig()
    await rig.deliver("pods", "ADDED", ready())
    later(rig, LAG_S)
    assert starts(rig) == [UNKNOWN]
    for each in (pulling(), pulled()):
        await rig.deliver("events", "ADDED", each)
    assert starts(rig) == [UNKNOWN]
    assert len(rig.router.starts) == 0


async def test_where_events_cannot_be_read_they_are_waited_for_longer() -> None:
    rig = Rig()
    await rig.deliver("pods", "ADDED", ready())
    rig.clock.now_s += LAG_MAX_S - 1
    rig.router.tick(can_hear=False)
    assert starts(rig) == []
    rig.clock.now_s += 1
    rig.router.tick(can_hear=False)
    assert starts(rig) == [UNKNOWN]


async def test_becoming_ready_again_is_no_start() -> None:
    rig = Rig()
    await rig.deliver("pods", "ADDED", ready())
    later(rig, LAG_S)
    await rig.deliver("pods", "MODIFIED", ready("21", is_ready=False, since="2026-11-22T16:00:00Z"))
    await rig.deliver("pods", "MODIFIED", ready("22", since="2026-11-22T16:00:09Z"))
    later(rig, LAG_S)
    assert starts(rig) == [UNKNOWN]


async def test_a_pod_that_was_ready_before_we_came_gets_none() -> None:
    rig = Rig()
    await take_list(rig, pods=[ready()])
    for version in ("60", "61"):
        await rig.deliver("pods", "MODIFIED", ready(version))
    later(rig, LAG_S)
    assert starts(rig) == []


async def test_nor_does_one_that_had_been_ready_before_and_was_not_just_then() -> None:
    rig = Rig()
    await take_list(rig, pods=[ready(is_ready=False, since="2026-11-22T16:00:00Z")])
    await rig.deliver("pods", "MODIFIED", ready("60", since="2026-11-22T16:00:09Z"))
    later(rig, LAG_S)
    assert starts(rig) == []


async def test_one_that_was_starting_when_we_came_is_summed_up_with_the_events_of_before() -> None:
    rig = Rig()
    await take_list(rig, pods=[ready(is_ready=False, since="2026-11-22T15:49:08Z")], events=[pulled(), pulling()])
    await rig.deliver("pods", "MODIFIED", ready("60"))
    assert starts(rig) == [KNOWN]


async def test_a_summary_that_waits_holds_the_saved_position_and_is_not_told_at_a_stop() -> None:
    """The next watcher reads the same again, with the Events that are still to come."""
    rig = Rig()
    await rig.deliver("pods", "ADDED", pod(version="19"))
    await rig.deliver("pods", "MODIFIED", ready("20"))
    await rig.deliver("pods", "MODIFIED", pod("other", version="25", env=[]))
    assert rig.outbox.positions["pods/*"] == "19"
    rig.pods.leave()
    assert (starts(rig), rig.outbox.positions["pods/*"]) == ([], "19")
    later(rig, LAG_S)
    rig.pods.save()
    assert rig.outbox.positions["pods/*"] == "25"


async def test_a_summary_that_waits_for_a_list_is_seen_again_in_it() -> None:
    rig = Rig(floor="10")
    await rig.deliver("pods", "ADDED", ready())
    await take_list(rig, pods=[ready()], events=[pulling(), pulled()])
    assert starts(rig) == [KNOWN]


async def test_a_summary_that_waits_outlives_a_list_in_which_its_pod_is_not_ready_any_more() -> None:
    rig = Rig(floor="10")
    await rig.deliver("pods", "ADDED", ready())
    await take_list(rig, pods=[ready("30", is_ready=False, since="2026-11-22T15:49:24Z")])
    for each in (pulling(), pulled()):
        await rig.deliver("events", "ADDED", each)
    assert starts(rig) == [KNOWN]


async def test_a_pod_that_goes_is_summed_up_with_what_is_known() -> None:
    rig = Rig()
    await rig.deliver("pods", "ADDED", ready())
    await rig.deliver("pods", "DELETED", ready("21", deleting=True))
    assert rig.outbox.said == ["Pod Created", "Pod PodStarted", "Pod Deleted"]
    assert starts(rig) == [UNKNOWN]
    assert rig.outbox.objects["pods/*"] == {}
    assert len(rig.router.starts) == 0


async def test_an_agent_whose_token_comes_late_is_told_too() -> None:
    rig = Rig()
    await rig.deliver("pods", "ADDED", ready(env=secret_env()))
    for each in (pulling(), pulled()):
        await rig.deliver("events", "ADDED", each)
    assert (starts(rig), rig.outbox.positions.get("pods/*")) == ([], None)
    rig.registrar.source_answered(Uid("pod-1"), SECRET, data_of(TOKEN))
    assert starts(rig) == [KNOWN]
    await rig.deliver("pods", "MODIFIED", ready("21", env=secret_env()))
    known = rig.directory.get(Uid("pod-1"))
    assert known is not None
    assert (known.begun, known.pulls, starts(rig)) == (True, (), [KNOWN])


async def test_a_start_is_counted_by_phase_if_redis_takes_it_as_news() -> None:
    rig = Rig()
    await rig.deliver("pods", "ADDED", ready())
    later(rig, LAG_S)
    nothing = {(phase, outcome): 0.0 for phase in PHASES for outcome in ("started", "failed")}
    assert sampled(rig, "count") == nothing
    rig.outbox.on_new["pod-1/start"]()
    assert sampled(rig, "count") == nothing | {("total", "started"): 1.0, ("scheduled", "started"): 1.0}
    assert sampled(rig, "sum") == nothing | {("total", "started"): 13.0, ("scheduled", "started"): 1.0}


PHASES = ("total", "scheduled", "volumes", "images", "init_containers", "containers")


def sampled(rig: Rig, what: str) -> dict[tuple[str, str], float]:
    (metric,) = rig.metrics.pod_start_seconds.collect()
    return {
        (sample.labels["phase"], sample.labels["outcome"]): sample.value
        for sample in metric.samples
        if sample.name.endswith(f"_{what}")
    }


# -- real streams, in any order, with a crash at any place


def recorded(scenario: str) -> list[Recorded]:
    lines = (FOLDER / f"{scenario}.jsonl").read_bytes().splitlines()
    return [msgspec.json.decode(line, type=Recorded) for line in lines]


def told(records: Sequence[LogRecord]) -> dict[str, tuple[int, Timeline | None]]:
    """What Redis would keep: of each start the first telling."""
    kept: dict[str, tuple[int, Timeline | None]] = {}
    for record in records:
        if record.details is not None and record.details.timeline is not None:
            kept.setdefault(record.identity, (record.last_at_ms, record.details.timeline))
    return kept


class _Headed(msgspec.Struct):
    metadata: Metadata


class _Line(msgspec.Struct):
    type: str
    object: _Headed


def _read(each: Recorded) -> _Line:
    return msgspec.json.decode(each.line, type=_Line)


def _is_ahead(each: Recorded, reached: dict[str, str]) -> bool:
    return is_newer(_read(each).object.metadata.resource_version, reached[each.resource]) is not False


async def _play(rig: Rig, deliveries: Sequence[Recorded]) -> None:
    for each in deliveries:
        await rig.deliver_line(each.resource, bytes(each.line))


SCENARIOS = ("normal", "rollout-ok", "pull-ok", "oomkilled", "crashloop-exit1", "job-backofflimit", "evicted-emptydir")


@pytest.mark.parametrize("scenario", SCENARIOS)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
async def test_any_order_any_repetition_and_a_crash_anywhere_give_the_same_summary(
    scenario: str, data: st.DataObject
) -> None:
    """Each watch keeps its own order; nothing holds the watches together, and any line may come again. A second watcher
    takes over with what the first had saved, and reads on from there. No pod goes: its end waits for no Event.
    """
    straight = [each for each in recorded(scenario) if _read(each).type != "DELETED"]
    expected = Rig()
    await _play(expected, straight)
    names = ("replicasets", "pods", "events")
    queues = {name: [each for each in straight if each.resource == name] for name in names}
    deliveries: list[Recorded] = []
    while any(queues.values()):
        name = data.draw(st.sampled_from([name for name, queue in queues.items() if queue]))
        deliveries.append(queues[name].pop(0))
        if data.draw(st.integers(0, 3)) == 0:
            deliveries.append(deliveries[-1])
    first = Rig()
    crash = data.draw(st.integers(0, len(deliveries)))
    await _play(first, deliveries[:crash])
    second = Rig()
    reached = {name: first.outbox.positions.get(f"{name}/*", "") for name in names}
    for name in names:
        second.registrar.load(first.outbox.objects.get(f"{name}/{Unit('*')}", {}))
    await _play(second, [each for each in deliveries if _is_ahead(each, reached)])
    later(second, LAG_MAX_S)
    summaries = told(expected.outbox.records)
    assert summaries
    assert told([*first.outbox.records, *second.outbox.records]) == summaries
