"""What is imported is declared: a package that only comes with another one may stay away tomorrow."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
OURS = {"common", "watcher", "shipper", "console"}


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def declared() -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return {normal(re.split(r"[<>=!~;\[ ]", line, maxsplit=1)[0]) for line in project["dependencies"]}


def imported(source: str) -> Iterator[str]:
    """The top names of all absolute imports, those inside functions too."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module.partition(".")[0]


@pytest.mark.parametrize("package", sorted(OURS))
def test_every_import_is_a_declared_dependency(package: str) -> None:
    provided, known = packages_distributions(), declared()
    undeclared = {
        f"{file.relative_to(ROOT)}: {name}"
        for file in (ROOT / package).rglob("*.py")
        for name in imported(file.read_text())
        if name not in OURS | sys.stdlib_module_names
        and known.isdisjoint(normal(distribution) for distribution in provided.get(name, []))
    }
    assert undeclared == set()


def test_every_declared_dependency_is_in_the_table_of_its_reasons() -> None:
    table = (ROOT / "docs" / "adr" / "0014-dependencies.md").read_text()
    first_cells = " ".join(re.findall(r"^\| ([^|]+) \|", table, re.MULTILINE))
    assert [name for name in declared() if name not in re.split(r"[, ]+", first_cells)] == []
