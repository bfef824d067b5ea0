"""The page of doctor and status says what they print."""

import re

import msgspec
import pytest

from common.bell import Worker
from common.checkup import Area, Finding, Mark
from console.overview import AgentRow, Overview, WatcherRow
from console.status import Told
from console.story import Story
from shipper.dry_run import ShownLine
from tests.unit.docs.pages import REFERENCE, table_rows, text_of

PAGE = REFERENCE / "commands.md"


def rows_under(head: str) -> list[list[str]]:
    """The rows of the table whose first cell of the head is `head`."""
    rows, found = table_rows(PAGE), []
    start = next(number for number, row in enumerate(rows) if row[0] == head) + 1
    for row in rows[start:]:
        if not row[0].startswith("`"):
            break
        found.append(row)
    return found


def fields_under(head: str) -> list[str]:
    return [name for row in rows_under(head) for name in re.findall(r"`(\w+)`", row[0])]


@pytest.mark.parametrize(
    ("head", "shape"),
    [
        ("field", Finding),
        ("field of the overview", Overview),
        ("field of an agent in it", AgentRow),
        ("field of a story", Story),
        ("field of a line", ShownLine),
    ],
)
def test_every_field_has_its_row_in_its_order(head: str, shape: type[msgspec.Struct]) -> None:
    assert fields_under(head) == list(shape.__struct_fields__)


@pytest.mark.parametrize("shape", [WatcherRow, Worker, Told])
def test_fields_of_lists_are_named(shape: type[msgspec.Struct]) -> None:
    assert [name for name in shape.__struct_fields__ if f"`{name}`" not in text_of(PAGE)] == []


def test_every_word_for_an_area_and_a_mark_is_there() -> None:
    assert [word for word in (*Area, *Mark) if f"`{word}`" not in text_of(PAGE)] == []
