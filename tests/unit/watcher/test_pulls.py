"""What Events say of images, from messages of real kubelets, whatever the order in which they are read."""

from itertools import permutations
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.watcher.rig import event
from watcher.objects import Event
from watcher.pulls import CONTAINERS_MAX, Pull, merged, pull_in

T0_MS = 1_795_362_548_000
"""2026-11-22T15:49:08Z."""
PRESENT = 'Container image "busybox:1.35" already present on machine and can be accessed by the pod'
PULLED = 'Successfully pulled image "app:1.0" in 796ms (1.594s including waiting). Image size: 543804759 bytes.'


def heard(reason: str, message: str, *, path: str = "spec.containers{c}", **more: Any) -> Pull | None:
    said = event(reason=reason, message=message, **more)
    said["involvedObject"]["fieldPath"] = path
    return pull_in(msgspec.convert(said, Event))


@pytest.mark.parametrize(
    ("message", "took_ms", "size_bytes", "image"),
    [
        # The recordings of Kubernetes 1.35.
        (
            'Successfully pulled image "127.0.0.1:5/app:1" in 204ms (204ms including waiting). Image size: 1341 bytes.',
            204, 1_341, "127.0.0.1:5/app:1",
        ),
        # It waited for another pull: a log of the runner scale set, ghcr.io/actions.
        (PULLED, 1_594, 543_804_759, "app:1.0"),
        # Before sizes were said (1.29), before waiting was (1.26), before durations were (1.20).
        ('Successfully pulled image "nginx" in 1m2.5s (1m3.25s including waiting)', 63_250, 0, "nginx"),
        ('Successfully pulled image "nginx" in 15.981234567s', 15_981, 0, "nginx"),
        ('Successfully pulled image "nginx"', 0, 0, "nginx"),
        ('Successfully pulled image "big" in 1h0m3s (1h0m3s including waiting). Image size: 9 bytes.',
         3_603_000, 9, "big"),
    ],
)  # fmt: skip
def test_a_pull_is_read_with_its_wait_and_its_size(message: str, took_ms: int, size_bytes: int, image: str) -> None:
    assert heard("Pulled", message) == Pull("c", had_at_ms=T0_MS, took_ms=took_ms, size_bytes=size_bytes, image=image)


@pytest.mark.parametrize("message", [PRESENT, 'Container image "busybox:1.35" already present on machine'])
def test_an_image_that_is_on_the_node_was_not_pulled(message: str) -> None:
    assert heard("Pulled", message) == Pull("c", had_at_ms=T0_MS, image="busybox:1.35", cached=True)


def test_an_image_is_asked_for_when_it_first_is() -> None:
    assert heard("Pulling", 'Pulling image "app:1.0"', count=7) == Pull("c", asked_at_ms=T0_MS)
    assert heard("Pulling", "", path="spec.initContainers{one}") == Pull("one", asked_at_ms=T0_MS)


@pytest.mark.parametrize("path", ["", "spec.ephemeralContainers{c}", "spec.containers{}", "spec.volumes{c}"])
def test_only_images_that_a_start_waits_for_count(path: str) -> None:
    assert heard("Pulling", "", path=path) is None


def test_of_others_and_of_other_things_nothing_is_read() -> None:
    said = event(reason="Pulling") | {"source": {"component": "impostor"}}
    said["involvedObject"]["fieldPath"] = "spec.containers{c}"
    assert pull_in(msgspec.convert(said, Event)) is None
    assert heard("Started", "Container started") is None
    assert heard("Pulled", "something else") is None
    assert heard("Pulling", "", at="yesterday") is None


def test_a_later_start_of_the_container_changes_nothing() -> None:
    first = (Pull("c", asked_at_ms=1_000, had_at_ms=5_000, took_ms=4_000, size_bytes=9, image="app"),)
    assert merged(first, Pull("c", had_at_ms=8_000, image="app", cached=True)) == first
    assert merged(first, Pull("c", asked_at_ms=8_000)) == first


pulls = st.builds(
    Pull,
    st.sampled_from(("a", "b")),
    asked_at_ms=st.sampled_from((0, 1_000, 2_000)),
    had_at_ms=st.sampled_from((0, 2_000, 3_000)),
    took_ms=st.sampled_from((0, 500)),
    size_bytes=st.sampled_from((0, 7)),
    image=st.sampled_from(("app", "web")),
    cached=st.booleans(),
)


@given(st.lists(pulls, max_size=4))
def test_neither_order_nor_repetition_matters(heard_of: list[Pull]) -> None:
    outcomes = set()
    for order in permutations([*heard_of, *heard_of[:1]]):
        known: tuple[Pull, ...] = ()
        for pull in order:
            known = merged(known, pull)
        outcomes.add(known)
    assert len(outcomes) == 1


def test_of_containers_that_events_name_so_many_are_kept() -> None:
    pulls: tuple[Pull, ...] = ()
    for number in range(CONTAINERS_MAX + 10):
        pulls = merged(pulls, Pull(f"c{number:03}", asked_at_ms=1_000))
    pulls = merged(pulls, Pull("c001", had_at_ms=2_000))
    assert len(pulls) == CONTAINERS_MAX
    assert pulls[1] == Pull("c001", asked_at_ms=1_000, had_at_ms=2_000)
