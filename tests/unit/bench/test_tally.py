"""The bench counts from the doubles' records: what came, what was lost, what came twice."""

import math

import pytest

from bench import workload
from bench.tally import Tally, marks_in, median, newest_marks, percentile, tally
from console.doubles.coder_control import AgentView
from console.doubles.coder_state import StoredLog
from console.doubles.kube_control import Write

MS = 1_000_000
ONE, TWO = workload.workspaces(2)


def write(resource: str, name: str, at_ms: int, kind: str = "ADDED") -> Write:
    return Write(at_ms * MS, kind, resource, workload.NAMESPACE, name, f"uid-{name}", 1)


def agent(*lines: tuple[str, int]) -> AgentView:
    logs = [StoredLog(place, "", "debug", output, "", ms * MS) for place, (output, ms) in enumerate(lines)]
    return AgentView("", ONE.token, True, 0, False, 0, [], logs)


def counted(writes: list[Write], *agents: AgentView) -> Tally:
    return tally(writes, agents, {ONE.name})


def test_latency_is_from_the_write_to_the_receipt() -> None:
    writes = [write("pods", ONE.name, 0), write("events", f"{ONE.name}.e0", 5)]
    result = counted(writes, agent((f"🐳 Created pod: {ONE.name}", 9), (f"started [{ONE.name}.e0#0]", 17)))
    assert result.latencies_ms == [12.0]
    assert (result.lost, result.repeated) == (0, 0)
    assert result.span_s == pytest.approx(0.017)
    assert result.writing_s == pytest.approx(0.005)


def test_a_write_without_a_line_is_lost() -> None:
    writes = [write("pods", ONE.name, 0), write("events", f"{ONE.name}.e0", 5)]
    assert counted(writes, agent((f"🐳 Created pod: {ONE.name}", 9))).lost == 1
    assert counted(writes, agent((f"[{ONE.name}.e0#0]", 9))).lost == 1


def test_a_line_that_comes_again_is_repeated_and_its_first_coming_counts() -> None:
    line = f"[{ONE.name}.e0#0]"
    result = counted([write("events", f"{ONE.name}.e0", 5)], agent((line, 10), (line, 90)))
    assert (result.repeated, result.latencies_ms) == (1, [5.0])


def repeats(*at_ms: int) -> list[Write]:
    return [write("events", f"{ONE.name}.e0", at, "MODIFIED" if at else "ADDED") for at in at_ms]


def test_each_repeat_of_an_event_is_a_write_of_its_own() -> None:
    result = counted(repeats(0, 10), agent((f"[{ONE.name}.e0#0]", 3), (f"[{ONE.name}.e0#1] ×2", 14)))
    assert (result.events, result.folded, result.lost, result.latencies_ms) == (2, 0, 0, [3.0, 4.0])


def test_a_count_that_a_later_one_covers_is_folded_and_waited_until_then() -> None:
    result = counted(repeats(0, 10, 20), agent((f"[{ONE.name}.e0#0]", 3), (f"[{ONE.name}.e0#2] ×3", 25)))
    assert (result.events, result.folded, result.lost) == (3, 1, 0)
    assert (result.latencies_ms, result.waits_ms) == ([3.0, 5.0], [3.0, 5.0, 15.0])


def test_a_newest_count_that_never_came_is_lost() -> None:
    result = counted(repeats(0, 10), agent((f"[{ONE.name}.e0#0]", 3)))
    assert (result.folded, result.lost) == (0, 1)


def test_a_count_that_was_overtaken_waited_only_for_the_first_line_that_covers_it() -> None:
    late_and_repeated = ((f"[{ONE.name}.e0#1] ×2", 14), (f"[{ONE.name}.e0#0]", 90))
    assert counted(repeats(0, 10), agent(*late_and_repeated)).waits_ms == [4.0, 14.0]


def test_of_each_event_only_the_last_write_is_the_newest() -> None:
    writes = [write("pods", ONE.name, 0), *repeats(0, 10, 20), write("events", f"{ONE.name}.e1", 30)]
    assert newest_marks(writes, {ONE.name}) == {ONE.name, f"{ONE.name}.e0#2", f"{ONE.name}.e1#0"}
    assert newest_marks(writes, {TWO.name}) == set()
    assert marks_in(f"Pulled [{ONE.name}.e0#2] ×3") == [f"{ONE.name}.e0#2"]


def test_other_workspaces_do_not_count() -> None:
    result = counted([write("events", f"{TWO.name}.e0", 5)], agent((f"[{TWO.name}.e0#0]", 9)))
    assert (result.events, result.repeated) == (0, 0)


def test_nothing_received_is_never_finished() -> None:
    assert counted([write("pods", ONE.name, 0)]).span_s == math.inf


@pytest.mark.parametrize(("share", "value"), [(0.5, 50), (0.99, 99), (1.0, 100), (0.0, 1)])
def test_a_percentile_is_a_value_that_was_measured(share: float, value: float) -> None:
    assert percentile([float(number) for number in range(1, 101)], share) == value


def test_no_values_have_no_percentile_and_no_median() -> None:
    assert math.isnan(percentile([], 0.5))
    assert math.isnan(median([]))


def test_the_median_of_an_even_number_is_between_the_middle_two() -> None:
    assert median([4.0, 1.0, 3.0, 100.0]) == 3.5
