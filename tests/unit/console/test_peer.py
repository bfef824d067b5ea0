"""What the Go peer would write, by its rules (FACTS 3), each rule a test, and the recordings as goldens."""

from collections.abc import Sequence
from typing import Any

from console.demo_story import stories
from console.doubles.kube_control import Delete, Put, Step
from console.peer import LeftOut, Outage, PeerLine, left_out, peer_logs

TOKEN, OTHER = "token-1", "token-2"
NO_MOUNT = (
    'MountVolume.SetUp failed for volume "kube-api-access-s6sj2" : failed to sync configmap cache: timed out waiting '
    "for the condition"
)
NO_NODE = (
    "0/1 nodes are available: 1 Insufficient cpu. no new claims to deallocate, preemption: 0/1 nodes are available: "
    "1 Preemption is not helpful for scheduling."
)


def pod(name: str = "dev", *, token: str = TOKEN, namespace: str = "ns", uid: str = "u") -> dict[str, Any]:
    container = {"name": "c", "env": [{"name": "CODER_AGENT_TOKEN", "value": token}]}
    return {"metadata": {"name": name, "namespace": namespace, "uid": uid}, "spec": {"containers": [container]}}


def replica_set(name: str = "dev-1") -> dict[str, Any]:
    return {**pod(name), "spec": {"template": pod()}}


def event(message: str, *, name: str = "e", kind: str = "Pod", about: str = "dev", count: int = 1) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "namespace": "ns", "uid": f"uid-{name}"},
        "involvedObject": {"kind": kind, "name": about}, "reason": "Because", "message": message, "count": count,
        "type": "Warning",
    }  # fmt: skip


def script(*writes: Put | Delete) -> list[Step]:
    return [Step(float(at_s), write) for at_s, write in enumerate(writes)]


def told(steps: Sequence[Step], token: str = TOKEN, outage: Outage | None = None) -> list[tuple[str, str]]:
    return [(line.level, line.text) for line in peer_logs(steps, outage).get(token, ())]


def test_births_are_debug_ends_are_errors_and_an_event_is_its_bare_message() -> None:
    steps = script(
        Put("replicasets", replica_set()), Put("pods", pod()), Put("events", event("it hurts")),
        Delete("pods", "dev", "ns"), Delete("replicasets", "dev-1", "ns"),
    )  # fmt: skip
    assert told(steps) == [
        ("debug", "🐳 Queued pod from ReplicaSet: dev-1"),
        ("debug", "🐳 Created pod: dev"),
        ("debug", "it hurts"),
        ("error", "🗑️ Deleted pod: dev"),
        ("error", "🗑️ Deleted ReplicaSet: dev-1"),
    ]
    assert [line.at_s for line in peer_logs(steps)[TOKEN]] == [0, 1, 2, 3, 4]


def test_an_event_that_repeats_is_told_once() -> None:
    steps = script(Put("pods", pod()), Put("events", event("again")), Put("events", event("again", count=9)))
    assert told(steps)[1:] == [("debug", "again")]
    assert left_out(steps) == LeftOut(repeats=1, endings=0, missed=0)


def test_an_event_before_its_pod_after_its_end_or_of_another_kind_is_not_told() -> None:
    steps = script(
        Put("events", event("early")), Put("pods", pod()), Put("events", event("scaled", name="s", kind="Deployment")),
        Delete("pods", "dev", "ns"), Put("events", event("late", name="l")),
    )  # fmt: skip
    assert [text for _, text in told(steps)] == ["🐳 Created pod: dev", "🗑️ Deleted pod: dev"]


def test_pods_of_one_name_in_two_namespaces_get_each_others_messages() -> None:
    steps = script(
        Put("pods", pod()), Put("pods", pod(token=OTHER, namespace="elsewhere", uid="v")), Put("events", event("mine"))
    )
    assert told(steps, OTHER)[-1] == ("debug", "mine")


def test_no_status_is_read() -> None:
    ended = {"name": "c", "restartCount": 0, "state": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}}
    steps = script(Put("pods", pod()), *[Put("pods", {**pod(), "status": {"containerStatuses": [ended]}})] * 2)
    assert len(told(steps)) == 1
    assert left_out(steps) == LeftOut(repeats=0, endings=1, missed=0)


def test_a_token_that_is_no_value_of_a_container_is_not_found() -> None:
    referred = pod()
    referred["spec"] = {"containers": [{"env": [{"name": "CODER_AGENT_TOKEN", "valueFrom": {}}]}, {"name": "bare"}]}
    assert peer_logs(script(Put("pods", referred), Put("events", event("unheard")))) == {}


def test_after_an_outage_pods_are_known_again_replica_sets_are_not_and_what_was_said_meanwhile_is_lost() -> None:
    steps = script(
        Put("replicasets", replica_set()), Put("pods", pod()),
        Put("events", event("meanwhile", name="m")), Put("pods", pod("born", uid="b")),
        Put("events", event("meanwhile", name="m", count=2)), Put("events", event("after", name="a")),
        Put("events", event("of it", name="r", kind="ReplicaSet", about="dev-1")),
        Put("events", event("of the born", name="b", about="born")), Delete("pods", "dev", "ns"),
    )  # fmt: skip
    assert [text for _, text in told(steps, outage=Outage(2.0, 4.0))] == [
        "🐳 Queued pod from ReplicaSet: dev-1", "🐳 Created pod: dev", "after", "of the born", "🗑️ Deleted pod: dev",
    ]  # fmt: skip


def test_a_pod_that_goes_during_an_outage_is_not_known_after_it() -> None:
    steps = script(Put("pods", pod()), Delete("pods", "dev", "ns"), Put("events", event("late")))
    assert told(steps, outage=Outage(1.0, 2.0)) == [("debug", "🐳 Created pod: dev")]


def test_what_is_left_out_is_said_in_words() -> None:
    assert str(LeftOut(0, 0, 0)) == ""
    assert str(LeftOut(1, 4, 2)) == (
        "how a container ended (4 times), a repeat of an event, a line for what happened while it was killed (2 times)"
    )


def log_of(workspace: str) -> Sequence[PeerLine]:
    (story,) = (story for story in stories(1_800_000_000.0) if story.workspace == workspace)
    return peer_logs(story.steps)[story.token]


def test_of_a_recorded_kill_for_memory_it_shows_neither_the_kill_nor_its_cause() -> None:
    *lines, back_off = [line.text for line in log_of("frank/train")]
    assert lines == [
        "🐳 Queued pod from ReplicaSet: train-86954fd6d5",
        "🐳 Created pod: train-86954fd6d5-rv9qs",
        "Created pod: train-86954fd6d5-rv9qs",
        "Successfully assigned coder-frank/train-86954fd6d5-rv9qs to node1",
        NO_MOUNT,
        'Container image "busybox:1.35" already present on machine and can be accessed by the pod',
        "Container created",
        "Container started",
    ]
    assert back_off.startswith("Back-off restarting failed container c in pod train-86954fd6d5-rv9qs_coder-frank(")
    assert {line.level for line in log_of("frank/train")} == {"debug"}


def test_of_a_recorded_eviction_it_shows_the_events_message() -> None:
    assert 'Usage of EmptyDir volume "v" exceeds the limit "5Mi". ' in [line.text for line in log_of("grace/etl")]


def test_of_a_recorded_pod_without_a_node_it_shows_the_first_refusal_whole() -> None:
    assert [line.text for line in log_of("erin/sim")] == [
        "🐳 Queued pod from ReplicaSet: sim-b6c47dbfc",
        "🐳 Created pod: sim-b6c47dbfc-rvp6c",
        "Created pod: sim-b6c47dbfc-rvp6c",
        NO_NODE,
    ]
