"""What one look at a pod tells, reason by reason, in the words of real kubelets, schedulers and controllers."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.record import Aspect, Level
from watcher.facts import Fact
from watcher.limits import quantity_bytes
from watcher.objects import Pod
from watcher.status import facts_of

STARTED, ENDED = "2026-11-22T15:49:12Z", "2026-11-22T15:49:24Z"


def terminated(code: int, reason: str = "Error", *, container_id: str = "cd://1", **more: Any) -> dict[str, Any]:
    times = {"startedAt": STARTED, "finishedAt": ENDED}
    return {"terminated": {"exitCode": code, "reason": reason, "containerID": container_id, **times, **more}}


def waiting(reason: str, message: str = "") -> dict[str, Any]:
    return {"waiting": {"reason": reason, "message": message}}


RUNNING = {"running": {"startedAt": STARTED}}
TRUE = [{"type": kind, "status": "True"} for kind in ("PodScheduled", "Initialized", "Ready", "ContainersReady")]


def container(state: dict[str, Any], last: dict[str, Any] | None = None, restarts: int = 0) -> dict[str, Any]:
    return {"name": "web", "image": "app:1", "restartCount": restarts, "state": state, "lastState": last or {}}


def look(
    *containers: dict[str, Any], inits: list[dict[str, Any]] | None = None, version: str = "10", **more: Any
) -> list[Fact]:
    status = {"phase": "Running", "conditions": TRUE, "containerStatuses": containers, **more.pop("status", {})}
    spec = {
        "containers": [{"name": "web", "resources": {"limits": {"memory": "512Mi"}}}],
        "initContainers": [{"name": "proxy", "restartPolicy": "Always"}, {"name": "setup"}],
        **more.pop("spec", {}),
    }
    metadata = {"uid": "u", "namespace": "ns", "resourceVersion": version, **more}
    if inits:
        status["initContainerStatuses"] = inits
    return list(facts_of(msgspec.convert({"metadata": metadata, "spec": spec, "status": status}, Pod)))


def only(facts: list[Fact]) -> Fact:
    (fact,) = facts
    return fact


def test_a_healthy_pod_tells_nothing() -> None:
    done = {**container(terminated(0, "Completed")), "name": "setup"}
    assert look(container(RUNNING), inits=[done, {**container(RUNNING), "name": "proxy"}]) == []
    assert look(container(waiting("ContainerCreating"))) == []
    assert look() == []
    assert facts_of(Pod()) == ()


def test_an_ending_and_what_stays_of_it_are_one_fact() -> None:
    """As a kubelet shows it: ended, waiting for its restart, running again, ended again."""
    one, two = terminated(1), terminated(1, container_id="cd://2")
    pause = waiting("CrashLoopBackOff", "back-off 10s restarting failed container=web pod=x")
    ends = [
        [fact.version for fact in look(shown) if fact.details.aspect == Aspect.ENDED]
        for shown in (
            container(one),
            container(pause, one),
            container(RUNNING, one, restarts=1),
            container(waiting("ContainerCreating"), one, restarts=1),
            container(two, one, restarts=1),
            container(pause, two, restarts=1),
        )
    ]
    assert ends == [[1], [1], [1], [1], [1, 2], [2]]


def test_an_ending_carries_all_that_is_known_of_it() -> None:
    fact = only(look(container(terminated(137, "OOMKilled", message="last words"), restarts=3)))
    details = fact.details
    assert (fact.reason, fact.message, fact.container, fact.level) == ("OOMKilled", "last words", "web", Level.ERROR)
    assert (details.exit_code, details.restarts, details.limit_bytes, details.image) == (137, 3, 512 * 1024**2, "app:1")
    assert fact.at_ms - details.started_at_ms == 12_000
    assert (fact.identity, fact.version) == ("u/ended/web", 4)


@pytest.mark.parametrize(
    ("state", "restarts", "level"),
    [
        (terminated(1), 0, Level.ERROR),
        (terminated(1), 1, Level.WARN),
        (terminated(1, finishedAt="2026-11-22T16:49:12Z"), 5, Level.ERROR),
        (terminated(137, "OOMKilled"), 5, Level.ERROR),
        (terminated(0, "Completed"), 0, Level.WARN),
        (terminated(128, "StartError", startedAt="1970-01-01T00:00:00Z"), 5, Level.WARN),
    ],
)
def test_the_first_ending_and_one_after_a_long_run_are_errors(state: Any, restarts: int, level: Level) -> None:
    assert only(look(container(state, restarts=restarts))).level is level


def test_an_end_that_is_wanted_is_no_trouble() -> None:
    assert only(look(container(terminated(0, "Completed")), spec={"restartPolicy": "Never"})).level is Level.DEBUG
    asked = look(container(terminated(143)), deletionTimestamp=ENDED)
    assert (only(asked).level, only(asked).details.expected) == (Level.DEBUG, True)
    assert look(container(terminated(0, "Completed")), deletionTimestamp=ENDED) == []


def test_a_container_that_the_kubelet_cannot_find_is_no_news_when_the_pod_goes() -> None:
    """It says so of one that was never made, too, with a made-up exit code (recorded, 1.35)."""
    lost = container(terminated(137, "ContainerStatusUnknown", message="The container could not be located …"))
    assert only(look(lost)).reason == "ContainerStatusUnknown"
    assert look(lost, deletionTimestamp="2026-11-22T15:50:00Z") == []
    evicted = {"phase": "Failed", "reason": "Evicted", "message": "so"}
    assert only(look(lost, status=evicted)).details.aspect == Aspect.POD_ENDED


def test_init_containers_and_sidecars_are_told_likewise() -> None:
    setup = {**container(terminated(2)), "name": "setup"}
    proxy = {**container(terminated(0, "Completed")), "name": "proxy"}
    facts = look(container(waiting("PodInitializing")), inits=[setup, proxy])
    assert [(fact.container, fact.details.role, fact.level) for fact in facts] == [
        ("setup", "init", Level.ERROR),
        ("proxy", "sidecar", Level.WARN),
    ]
    assert only(look(container(RUNNING), inits=[proxy])).details.role == "sidecar"
    over = {"phase": "Succeeded"}
    assert look(inits=[{**proxy, "state": terminated(143)}], status=over) == []


NOT_FOUND = "rpc error: code = NotFound desc = failed to pull and unpack image: not found"


def test_a_failed_pull_and_the_pause_after_it_are_one_fact() -> None:
    tried = only(look(container(waiting("ErrImagePull", NOT_FOUND))))
    paused = look(container(waiting("ImagePullBackOff", f'Back-off pulling image "app:1": ErrImagePull: {NOT_FOUND}')))
    assert only(paused) == tried
    assert (tried.reason, tried.message, tried.level, tried.vague) == ("ErrImagePull", NOT_FOUND, Level.ERROR, False)


def test_another_cause_of_the_same_pull_is_another_fact_but_another_port_is_not() -> None:
    def known(message: str) -> str:
        return only(look(container(waiting("ErrImagePull", message)))).identity

    assert known("dial tcp 10.0.0.1:43212: i/o timeout") == known("dial tcp 10.0.0.1:51444: i/o timeout")
    assert known("dial tcp 10.0.0.1:43212: i/o timeout") != known("401 Unauthorized")


def test_a_pause_without_a_cause_is_vague() -> None:
    old = only(look(container(waiting("ImagePullBackOff", 'Back-off pulling image "app:1"'))))
    assert (old.vague, old.topic) == (True, only(look(container(waiting("ErrImagePull", NOT_FOUND)))).topic)


@pytest.mark.parametrize(
    "reason", ["InvalidImageName", "ErrImageNeverPull", "ImageInspectError", "RegistryUnavailable"]
)
def test_each_trouble_with_an_image(reason: str) -> None:
    assert only(look(container(waiting(reason, "because")))).details.aspect == Aspect.IMAGE


@pytest.mark.parametrize(
    "reason", ["CreateContainerConfigError", "CreateContainerError", "RunContainerError", "SomethingNew"]
)
def test_each_other_reason_to_wait(reason: str) -> None:
    fact = only(look(container(waiting(reason, 'configmap "absent" not found'))))
    assert (fact.details.aspect, fact.reason, fact.level) == (Aspect.WAITING, reason, Level.ERROR)


def test_what_failed_as_it_started_is_told_as_its_ending_only() -> None:
    message = "exec: no such file"
    facts = look(container(waiting("RunContainerError", message), terminated(128, "StartError", message=message)))
    assert only(facts).details.aspect == Aspect.ENDED


@pytest.mark.parametrize(("words", "pause_s"), [("10s", 10), ("2m40s", 160), ("5m0s", 300), ("soon", 0)])
def test_the_pause_before_a_restart_is_read(words: str, pause_s: int) -> None:
    fact = only(look(container(waiting("CrashLoopBackOff", f"back-off {words} restarting failed container=web"))))
    assert (fact.details.pause_s, fact.version) == (pause_s, max(1, pause_s))


@pytest.mark.parametrize(
    "reason",
    ["Evicted", "NodeLost", "Preempting", "Shutdown", "Terminated", "NodeAffinity", "UnexpectedAdmissionError",
     "DeadlineExceeded", "SomethingNew"],
)  # fmt: skip
def test_each_end_of_a_pod_comes_before_what_it_does_to_the_containers(reason: str) -> None:
    end, ended = look(container(terminated(137)), status={"phase": "Failed", "reason": reason, "message": "so"})
    assert (end.details.aspect, end.reason, end.message, end.level) == (Aspect.POD_ENDED, reason, "so", Level.ERROR)
    assert ended.level is Level.DEBUG


def condition(kind: str, status: str, reason: str | None = None, message: str | None = None, at: str = ENDED) -> Any:
    said = {"type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": at}
    return {"conditions": [said]}


def test_a_disruption_is_told_unless_the_pods_end_tells_it() -> None:
    reason, message = "EvictionByEvictionAPI", "Eviction API: evicting"
    fact = only(look(container(RUNNING), status=condition("DisruptionTarget", "True", reason, message)))
    assert (fact.details.aspect, fact.reason, fact.message) == (Aspect.DISRUPTED, reason, message)
    by_kubelet = {"reason": "Evicted", **condition("DisruptionTarget", "True", "TerminationByKubelet")}
    assert only(look(container(RUNNING), status=by_kubelet)).details.aspect == Aspect.POD_ENDED


def test_a_schedulers_message_is_news_only_if_it_condenses_to_other_words() -> None:
    def known(message: str) -> str:
        return only(look(status=condition("PodScheduled", "False", "Unschedulable", message))).identity

    few = "0/5 nodes are available: 2 node(s) had untolerated taint {a: b}, 3 Insufficient memory."
    assert known(few) == known(f"{few} preemption: 0/5 nodes are available: 5 Preemption is not helpful.")
    assert known(few) != known(few.replace("/5", "/6").replace("3 I", "4 I"))


def test_ready_is_told_only_as_a_loss() -> None:
    late, early = ENDED, STARTED
    for at, told in ((late, True), (early, False)):
        said = condition("Ready", "False", "ContainersNotReady", "containers with unready status: [web]", at)
        assert bool(look(container(RUNNING), status=said)) is told
    said = condition("Ready", "False", "ContainersNotReady")
    assert [fact.details.aspect for fact in look(container(terminated(1)), status=said)] == [Aspect.ENDED]
    assert look(container(RUNNING), status=said, deletionTimestamp=late) == []
    assert look(container(RUNNING), status={**condition("Ready", "False", "PodCompleted"), "phase": "Succeeded"}) == []


@pytest.mark.parametrize(
    ("reason", "told"), [(None, "NodeNotReady"), ("", "NodeNotReady"), ("ContainersNotReady", "ContainersNotReady")]
)
def test_a_loss_that_has_no_reason_has_that_of_the_node_controllers_event(reason: str | None, told: str) -> None:
    assert only(look(container(RUNNING), status=condition("Ready", "False", reason))).reason == told


def test_a_lost_sandbox_is_told_and_one_that_is_not_made_yet_is_not() -> None:
    said = condition("PodReadyToStartContainers", "False")
    assert only(look(container(RUNNING), status=said)).details.aspect == Aspect.SANDBOX
    assert look(container(waiting("ContainerCreating")), status={**said, "phase": "Pending"}) == []


@given(st.recursive(st.none() | st.integers() | st.text(), lambda inner: st.dictionaries(st.text(), inner)))
def test_no_status_that_fits_raises(anything: Any) -> None:
    try:
        pod = msgspec.convert({"metadata": {"uid": "u"}, "status": anything}, Pod)
    except msgspec.ValidationError:
        return
    facts_of(pod)


@pytest.mark.parametrize(
    ("quantity", "size_bytes"),
    [("512Mi", 512 * 1024**2), ("1.5G", 1_500_000_000), ("1e3", 1_000), (1024, 1024), ("128974848000m", 128_974_848),
     ("0.5Gi", 512 * 1024**2), (None, 0), ("lots", 0), ("1K", 0), ("", 0),
     ("99Ei", 2**63 - 1), ("1e99", 2**63 - 1)],
)  # fmt: skip
def test_a_quantity_is_read_as_kubernetes_writes_it(quantity: Any, size_bytes: int) -> None:
    assert quantity_bytes(quantity) == size_bytes
