"""Seeded schedules of faults, in every run of the tests: few on a laptop, more where `LOGSTREAM_FAULT_SEEDS` says so.

Always the first ones, so that two runs of one tree mean the same; `make faults` plays any others.
"""

import os
from typing import Final

import pytest

from tests.faults.campaign import played, told
from tests.faults.outcome import failures, table

SEEDS: Final = int(os.environ.get("LOGSTREAM_FAULT_SEEDS", "20"))


WITHIN_S: Final = 400.0 + 5 * SEEDS
"""On a busy machine, and if a failure is shrunk."""


@pytest.mark.timeout(WITHIN_S + 60)
def test_no_schedule_of_faults_breaks_a_promise(capsys: pytest.CaptureFixture[str]) -> None:
    outcomes = played(range(SEEDS), within_s=WITHIN_S)
    with capsys.disabled():
        print(f"\n{table(outcomes)}\n")  # noqa: T201 - the figures of this run
    stories = [told(each) for each in outcomes if each.failures]
    assert not failures(outcomes), "\n".join([*failures(outcomes), *stories])
    known = {each.seed for each in outcomes}
    assert known == set(range(SEEDS)), f"no outcome within {WITHIN_S:.0f} s of {set(range(SEEDS)) - known}"
