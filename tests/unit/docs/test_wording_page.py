"""The page on wording files says what such a file can say, and its example is one."""

import re
from pathlib import Path

import msgspec
import pytest

from common.wording.effect import KINDS
from common.wording.read import WordingError, read_sheet
from common.wording.table import ASPECTS, Entry
from tests.unit.docs.pages import ROOT, code_words, fences, table_rows, text_of

PAGE = ROOT / "docs/how-to/tune-wording.md"


def first_cells() -> set[str]:
    return {word for row in table_rows(PAGE) for word in re.findall(r"`(\w+)`", row[0])}


def test_the_example_is_taken_as_a_file(tmp_path: Path) -> None:
    (example,) = (block for block in fences(PAGE, "yaml") if "entries:" in block)
    file = tmp_path / "wording.yaml"
    file.write_text(example)
    assert len(read_sheet(file).entries) == 6


def test_all_keys_kinds_and_aspects_are_explained() -> None:
    keys = {field.name for field in msgspec.structs.fields(Entry)}
    assert first_cells() >= keys | set(ASPECTS)
    assert set(KINDS) <= code_words(PAGE, r"(?<=`)\w+(?=`)")


def test_the_refusal_that_the_page_shows_is_what_is_said(tmp_path: Path) -> None:
    file = tmp_path / "wording.yaml"
    others = "".join(f"{{reason: R{number}, show: false}}, " for number in range(3))
    file.write_text(f"entries: [{others}{{reason: FailedMount, emoji: 🔥}}]")
    with pytest.raises(WordingError) as refused:
        read_sheet(file)
    assert f'--wording-file: "wording.yaml" {refused.value}\n' in text_of(PAGE)
