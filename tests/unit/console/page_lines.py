"""Read the page of scenarios, and compare logs of two performances."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from console.demo_page import timeless

Row = tuple[str, str]
"""Level and text."""

_BLOCK = re.compile(r"```text\n(.*?)```", re.DOTALL)
_REPEATED = re.compile(r" ×\d+( over \w+)?$")
_PHASES = re.compile(r"(?<=^⏱️ )(.*?) — .*")
_DURATION = re.compile(r"\bless than a second\b|\b\d+ ?(?:ms|s|m|h)\b")


@dataclass(frozen=True)
class Section:
    """What stands under one heading."""

    text: str
    ours: list[Row]
    theirs: list[Row]


def sections(page: str) -> dict[str, Section]:
    """By heading, those with logs in them, in order."""
    found = {}
    for part in page.split("\n## ")[1:]:
        heading, _, text = part.partition("\n")
        blocks = [[(line[:5].strip(), line[6:]) for line in block.splitlines()] for block in _BLOCK.findall(text)]
        if blocks:
            ours, theirs = blocks
            found[heading] = Section(text, ours, theirs)
    return found


def comparable(rows: Iterable[Row]) -> set[Row]:
    """`rows` without what a busier machine makes different: order, later counts, durations, phases of no second."""
    texts = ((level, _PHASES.sub(r"\1", timeless(text))) for level, text in rows)
    return {(level, _DURATION.sub("T", text)) for level, text in texts if not _REPEATED.search(text)}
