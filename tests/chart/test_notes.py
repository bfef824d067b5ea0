"""NOTES.txt says which pods leave the restricted Pod Security Standard, and where."""

from pathlib import Path

import pytest

from tests.chart.helm import Helm
from tests.chart.standard import CASES, said_chart, said_of


@pytest.fixture(scope="module")
def chart(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return said_chart(tmp_path_factory.mktemp("standard"))


@pytest.mark.parametrize("name", CASES)
def test_notes_say_which_pods_leave_the_standard_and_where(name: str, helm: Helm, chart: Path) -> None:
    case = CASES[name]
    assert said_of(helm, chart, case) == case.said
