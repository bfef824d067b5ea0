"""What an operator's file makes of a recorded start, as a whole: `reworded/wording.yaml` over the table that ships.

The `.lines` file was read and found right. Beside the one of the recording (`watcher/recordings`) only words,
pictographs and levels of what the file names differ.
"""

from pathlib import Path

import pytest

from common.record import Level
from common.wording.read import read_wording, shipped_wording
from common.wording.table import Subject, subject_of
from tests.unit.test_recorded_lines import played, read_by_the_owner, recorded
from tests.unit.watcher.test_recordings import SCENARIOS
from watcher.conditions import condition_fact
from watcher.facts import Look
from watcher.pod_status import Condition, ContainerState, ContainerStatus, PodStatus, Running

HERE = Path(__file__).parent / "reworded"
SHIPPED = shipped_wording()


async def test_an_operators_file_changes_words_pictograph_and_level_of_what_a_status_says() -> None:
    lines = read_by_the_owner(await played(recorded("oomkilled")), read_wording(HERE / "wording.yaml"))
    assert lines == (HERE / "oomkilled.lines").read_text().splitlines()


@pytest.mark.parametrize("scenario", SCENARIOS)
async def test_the_table_that_ships_has_the_levels_by_which_redis_ranks(scenario: str) -> None:
    """The watcher gives each record a level, as Redis knows no table: the two must not part."""
    records = [record for record in await played(recorded(scenario)) if not record.type]
    assert [SHIPPED.of(subject_of(record)).level for record in records] == [record.level for record in records]


@pytest.mark.parametrize(("kind", "value"), [("DisruptionTarget", "True"), ("PodReadyToStartContainers", "False")])
def test_so_it_has_of_what_no_recording_holds(kind: str, value: str) -> None:
    running = ContainerStatus("web", ContainerState(running=Running("2026-11-23T12:00:00Z")))
    condition = Condition(kind, value, "Odd", "m", "2026-11-23T12:01:00Z")
    look = Look(uid="u", namespace="dev", order=1, going=False)
    fact = condition_fact(look, PodStatus("Running", container_statuses=[running]), condition)
    assert fact is not None
    assert SHIPPED.of(Subject(fact.reason, fact.message, Level.TRACE, aspect=fact.details.aspect)).level is fact.level
