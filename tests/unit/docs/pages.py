"""The hand-written pages, and what is in them: links, headings, fenced commands."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[3]
REFERENCE: Final = ROOT / "docs" / "reference"
PAGES: Final = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "SECURITY.md", *(ROOT / "docs").rglob("*.md")])

_FENCE: Final = re.compile(r"^ *```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
_LINK: Final = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_HEADING: Final = re.compile(r"^#+ (.+)$", re.MULTILINE)


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def prose_of(page: Path) -> str:
    """The text without fenced blocks."""
    return _FENCE.sub("", text_of(page))


def fences(page: Path, language: str) -> Iterator[str]:
    """The fenced blocks in `language`."""
    for found in _FENCE.finditer(text_of(page)):
        if found[1] == language:
            yield found[2]


def links(page: Path) -> list[str]:
    return _LINK.findall(prose_of(page))


def anchors(page: Path) -> set[str]:
    """The fragments that the page's headings can be linked by."""
    titles = (re.sub(r"[`*]|\[([^\]]*)\]\([^)]*\)", r"\1", title) for title in _HEADING.findall(prose_of(page)))
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def code_words(page: Path, pattern: str) -> set[str]:
    """What matches `pattern` anywhere on the page, fenced blocks included."""
    return set(re.findall(pattern, text_of(page)))


def table_rows(page: Path) -> list[list[str]]:
    """The cells of all rows of all tables, heads included, rules left out."""
    rows = (line.strip() for line in prose_of(page).splitlines() if line.lstrip().startswith("|"))
    cells = ([cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]] for row in rows)
    return [row for row in cells if not all(set(cell) <= {"-", ":"} for cell in row)]
