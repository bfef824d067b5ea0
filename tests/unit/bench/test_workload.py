"""The bench's load: what is written, when, and how its lines are known again."""

from bench import workload
from bench.tally import tally
from common.record import Level
from common.wording.read import shipped_wording
from common.wording.table import Subject
from console.doubles.kube_control import Put, Step, Write


def writes_of(steps: list[Step]) -> list[Write]:
    """The records that the API double keeps of these steps."""
    known: set[tuple[str, str]] = set()
    writes = []
    for step in sorted(steps, key=lambda step: step.at_s):
        assert isinstance(step.write, Put)
        name = step.write.object["metadata"]["name"]
        kind = "MODIFIED" if (step.write.resource, name) in known else "ADDED"
        known.add((step.write.resource, name))
        writes.append(Write(round(step.at_s * 1e9), kind, step.write.resource, workload.NAMESPACE, name, "", 1))
    return writes


def test_a_workspace_is_a_pod_and_six_events_five_milliseconds_apart() -> None:
    steps = workload.arrivals(workload.workspaces(2), every_s=0.2, start_unix_s=0)
    assert [round(step.at_s, 3) for step in steps[:7]] == [0, 0.005, 0.010, 0.015, 0.020, 0.025, 0.030]
    assert [step.write.resource for step in steps[:7]] == ["pods"] + ["events"] * 6
    assert steps[7].at_s == 0.2


def test_every_workspace_has_a_token_and_a_uid_of_its_own() -> None:
    many = workload.workspaces(500)
    assert len({each.token for each in many}) == len({each.uid for each in many}) == 500
    assert many == workload.workspaces(500)


def test_a_pod_carries_its_workspace_s_token_and_leaves_the_recording_as_it_is() -> None:
    (one, two) = workload.workspaces(2)
    pods = [workload.pod(each) for each in (one, two)]
    assert [pod["spec"]["containers"][0]["env"][0]["value"] for pod in pods] == [one.token, two.token]
    assert pods[0]["metadata"]["uid"] == one.uid


def test_an_event_is_about_its_workspace_s_pod() -> None:
    (one,) = workload.workspaces(1)
    assert workload.event(one, 3, 0, 0.0)["involvedObject"]["uid"] == one.uid


def test_repeats_are_numbered_as_the_tally_counts_writes() -> None:
    known = workload.workspaces(2)
    steps = workload.arrivals(known, every_s=0, start_unix_s=0, events=1)
    repeats = workload.repeats(known, updates=5, per_s=1, start_unix_s=0)
    steps += [Step(step.at_s + 1, step.write) for step in repeats]
    messages = [step.write.object["message"] for step in steps if step.write.resource == "events"]  # type: ignore[union-attr]
    marks = {message.partition("[")[2].rstrip("]") for message in messages}
    names = {each.name for each in known}
    assert len(marks) == 7
    assert tally(writes_of(steps), [], names).events == 7
    assert marks >= {f"{known[0].name}.e0#{number}" for number in range(4)}
    assert [step.write.object["count"] for step in repeats] == [2, 2, 3, 3, 4]  # type: ignore[union-attr]


def test_each_event_is_one_that_has_a_line() -> None:
    """Otherwise the tally would call it lost."""
    (one,) = workload.workspaces(1)
    wording = shipped_wording()
    for place in range(6):
        event = workload.event(one, place, 0, 0.0)
        component = event["source"]["component"]
        assert wording.of(Subject(event["reason"], event["message"], Level.DEBUG, "Pod", component)).shown
