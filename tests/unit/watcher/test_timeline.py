"""What the start of a pod went on: each figure, and when it is left out."""

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from common.record import Aspect, Level, Timeline
from watcher.objects import Pod
from watcher.pulls import Pull
from watcher.timeline import Start, had_started, is_whole, start_fact, start_of

T0_S = 1_795_362_540


def at(second: float) -> str:
    """RFC 3339, by the second, as Kubernetes writes it."""
    return datetime.fromtimestamp(T0_S + int(second), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def at_ms(second: float) -> int:
    return (T0_S + int(second)) * 1000


def condition(kind: str, second: float, value: str = "True") -> dict[str, str]:
    return {"type": kind, "status": value, "lastTransitionTime": at(second)}


RUNS: dict[str, Any] = {"running": {"startedAt": at(1)}}


def ended(second: float, container_id: str = "cd://1") -> dict[str, Any]:
    return {"terminated": {"exitCode": 1, "finishedAt": at(second), "containerID": container_id}}


def pod(
    *conditions: dict[str, str],
    phase: str = "Running",
    inits: dict[str, Any] | None = None,
    mains: dict[str, Any] | None = None,
    **metadata: str,
) -> Pod:
    """A pod made at second 0, seen by its kubelet at second 1."""

    def statuses(states: dict[str, Any]) -> list[dict[str, Any]]:
        return [{"name": name, "state": state} for name, state in states.items()]

    value = {
        "metadata": {"uid": "pod-1", "namespace": "ns", "creationTimestamp": at(0), **metadata},
        "status": {
            "phase": phase,
            "startTime": at(1),
            "conditions": list(conditions),
            "initContainerStatuses": statuses(inits or {}),
            "containerStatuses": statuses({"c": RUNS} if mains is None else mains),
        },
    }
    return msgspec.convert(value, Pod)


def started(*conditions: dict[str, str], **more: Any) -> Start:
    start = start_of(pod(*conditions, **more))
    assert start is not None
    return start


def timeline(start: Start, *pulls: Pull) -> Timeline:
    told = start_fact(start, pulls).details.timeline
    assert told is not None
    return told


def pull(container: str, asked: float, had: float, took_ms: int, size_bytes: int = 0, image: str = "") -> Pull:
    return Pull(container, at_ms(asked), at_ms(had), took_ms, size_bytes, image or container)


def cached(container: str, had: float, image: str = "") -> Pull:
    return Pull(container, had_at_ms=at_ms(had), image=image or container, cached=True)


SCHEDULED, READY = condition("PodScheduled", 1), condition("Ready", 42)


def test_the_phases_of_a_plain_start_add_up() -> None:
    """Made at 0, a node at 1, the image asked for at 7 and there at 34.9, ready at 42."""
    told = timeline(started(SCHEDULED, READY), pull("c", 7, 34.9, 27_900, 1_200_000_000))
    assert told == Timeline(42_000, 1_000, 6_000, 27_900, None, 7_100, 1, 0, 1_200_000_000)


def test_the_kubelets_word_that_the_sandbox_is_ready_is_not_believed() -> None:
    """It comes after the pulls."""
    late = condition("PodReadyToStartContainers", 35)
    assert timeline(started(SCHEDULED, READY, late), pull("c", 7, 35, 28_000)).volumes_ms == 6_000


def test_a_cached_image_takes_no_time() -> None:
    told = timeline(started(SCHEDULED, condition("Ready", 3)), cached("c", 2))
    assert told == Timeline(3_000, 1_000, 1_000, 0, None, 1_000, 0, 1)


def test_pulls_of_several_containers_add_up_and_an_image_counts_once() -> None:
    start = started(SCHEDULED, READY, mains={"a": RUNS, "b": RUNS, "c": RUNS, "d": RUNS})
    told = timeline(
        start,
        pull("a", 2, 12, 10_000, 500, "big"), pull("b", 13, 14, 1_000, 500, "big"),
        cached("c", 15, "big"), cached("d", 16, "small"),
    )  # fmt: skip
    assert told == Timeline(42_000, 1_000, 1_000, 11_000, None, 29_000, 1, 1, 500)


def test_init_containers_are_a_phase_of_their_own_without_their_images() -> None:
    start = started(
        SCHEDULED, condition("Initialized", 20), READY, inits={"clone": ended(20)}, mains={"c": RUNS, "d": RUNS}
    )
    told = timeline(start, pull("clone", 3, 8, 5_000, 5), pull("c", 20, 30, 10_000, 7), cached("d", 31))
    assert told == Timeline(42_000, 1_000, 2_000, 15_000, 12_000, 12_000, 2, 1, 12)


def test_without_init_containers_initialized_says_nothing() -> None:
    assert timeline(started(SCHEDULED, condition("Initialized", 1), READY), cached("c", 2)).inits_ms is None


def test_tries_that_failed_before_an_image_came_are_its_time() -> None:
    told = timeline(started(SCHEDULED, READY), pull("c", 5, 37, 2_000))
    assert (told.volumes_ms, told.images_ms, told.containers_ms) == (4_000, 32_000, 5_000)
    late_find = Pull("c", at_ms(5), at_ms(37), image="c", cached=True)
    assert timeline(started(SCHEDULED, READY), late_find).images_ms == 32_000


def test_a_difference_that_whole_seconds_explain_is_no_failed_try() -> None:
    assert timeline(started(SCHEDULED, READY), pull("c", 5, 7, 1_100)).images_ms == 1_100


@pytest.mark.parametrize("pulls", [(), (Pull("c", asked_at_ms=at_ms(5)),), (Pull("c", had_at_ms=at_ms(5), image="c"),)])
def test_what_images_took_is_left_out_with_all_that_depends_on_it_if_nobody_says(pulls: tuple[Pull, ...]) -> None:
    assert not is_whole(started(SCHEDULED, READY), pulls)
    assert timeline(started(SCHEDULED, READY), *pulls) == Timeline(42_000, 1_000)


def test_one_container_without_its_image_is_enough_to_leave_it_out() -> None:
    start = started(SCHEDULED, READY, mains={"c": RUNS, "d": RUNS})
    assert timeline(start, cached("c", 2)) == Timeline(42_000, 1_000)


def test_a_pull_that_nobody_saw_begin_has_its_own_time() -> None:
    lone = Pull("c", had_at_ms=at_ms(10), took_ms=3_000, image="c")
    assert not is_whole(started(SCHEDULED, READY), [lone])
    told = timeline(started(SCHEDULED, READY), lone)
    assert (told.volumes_ms, told.images_ms) == (6_000, 3_000)


def test_a_size_that_is_not_said_of_all_images_is_not_said() -> None:
    start = started(SCHEDULED, READY, mains={"c": RUNS, "d": RUNS})
    assert timeline(start, pull("c", 2, 3, 1_000, 500), pull("d", 4, 5, 1_000)).pulled_bytes == 0


def test_without_a_time_of_scheduling_only_the_whole_is_told() -> None:
    assert timeline(started(READY), cached("c", 2)) == Timeline(42_000)


def test_figures_that_cannot_be_are_left_out() -> None:
    """A forged Event, or clocks that differ by more than the seconds that times are cut to."""
    forged = pull("c", 2, 3, 3_600_000)
    assert timeline(started(SCHEDULED, READY), forged) == Timeline(42_000, 1_000)
    assert timeline(started(SCHEDULED, condition("Ready", 3)), pull("c", 1, 3, 2_900)).containers_ms == 0


def test_a_node_whose_clock_is_behind_gives_no_time_below_zero() -> None:
    told = timeline(started(condition("PodScheduled", 5), condition("Ready", 4)), cached("c", 3))
    assert (told.volumes_ms, told.containers_ms) == (0, 0)


@pytest.mark.parametrize(
    "value",
    [pod(), pod(SCHEDULED, condition("Ready", 1, "False")), pod({"type": "Ready", "status": "True"}),
     pod(READY, creationTimestamp=""), pod(phase="Succeeded"), Pod()],
)  # fmt: skip
def test_a_start_that_is_not_over_or_has_no_time_is_none(value: Pod) -> None:
    assert start_of(value) is None


def test_a_start_is_told_once_whatever_comes_later() -> None:
    fact = start_fact(started(SCHEDULED, READY), ())
    assert (fact.identity, fact.version, fact.reason, fact.level) == ("pod-1/start", 1, "PodStarted", Level.DEBUG)
    assert (fact.details.aspect, fact.at_ms) == (Aspect.STARTED, at_ms(42))


def failed(*conditions: dict[str, str], **more: Any) -> Pod:
    return pod(SCHEDULED, condition("Ready", 1, "False"), *conditions, phase="Failed", **more)


def test_a_pod_that_fails_before_it_was_ever_ready_is_told_with_the_phase_that_it_failed_in() -> None:
    start = start_of(failed(condition("Initialized", 1), mains={"c": ended(9)}))
    assert start is not None
    fact = start_fact(start, [cached("c", 3)])
    assert (fact.identity, fact.reason, fact.level) == ("pod-1/start", "PodFailed", Level.ERROR)
    assert (fact.details.aspect, fact.at_ms) == (Aspect.NOT_STARTED, at_ms(9))
    assert fact.details.timeline == Timeline(9_000, 1_000, 2_000, 0, None, 6_000, 0, 1)


def test_a_pod_that_fails_in_an_init_container_had_no_containers_yet() -> None:
    waits = {"waiting": {"reason": "PodInitializing"}}
    start = start_of(failed(condition("Initialized", 1, "False"), inits={"i": ended(9)}, mains={"c": waits}))
    assert start is not None
    assert is_whole(start, [cached("i", 3)])
    assert timeline(start, cached("i", 3)) == Timeline(9_000, 1_000, 2_000, 0, 6_000, None, 0, 1)


def test_a_pod_evicted_before_it_had_containers_is_told_by_the_time_of_that() -> None:
    never = {"terminated": {"exitCode": 137, "reason": "ContainerStatusUnknown", "finishedAt": None}}
    start = start_of(failed(condition("DisruptionTarget", 30), mains={"c": never}))
    assert start is not None
    assert is_whole(start, [])
    assert timeline(start) == Timeline(30_000, 1_000)


@pytest.mark.parametrize(
    "value",
    [
        failed(),  # nobody says when
        failed(mains={"c": ended(9)}, deletionTimestamp=at(8)),
        pod(SCHEDULED, condition("Ready", 9, "False"), phase="Failed", mains={"c": ended(9)}),  # it had been ready
    ],
)
def test_other_failures_are_no_failed_start(value: Pod) -> None:
    assert start_of(value) is None


def test_a_pod_whose_readiness_was_taken_away_had_started() -> None:
    assert had_started(pod(condition("Ready", 9, "False")))
    assert not had_started(pod(condition("Ready", 2, "False")))  # the kubelet's first word, a second later
    assert not had_started(pod(condition("Ready", 9)))
    assert not had_started(Pod())
