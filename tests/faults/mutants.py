"""`python -m tests.faults.mutants`: put each deliberate bug into a copy of the tree and see which test notices.

A bug that nothing notices is a promise that nobody checks. Prints a Markdown table; exit 1 if a bug got through.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

import click

from tests.faults.bug import Bug
from tests.faults.bugs import BUGS

ROOT: Final = Path(__file__).parents[2]
PACKAGES: Final = ("common", "watcher", "shipper", "console", "bench", "tests")
TESTS_WITHIN_S: Final = 180
SCHEDULES_WITHIN_S: Final = 300
_FAILED: Final = re.compile(r"^(?:FAILED|ERROR) (?:\S+::)?([\w./]+)", re.MULTILINE)
_SEED: Final = re.compile(r"^seed (\d+) failed:\n(.*)", re.MULTILINE)


@click.command()
@click.option("--only", default="", help="Only bugs with this in their name.")
@click.option("--seeds", default=20, show_default=True, help="Schedules of faults for each; 0 plays none.")
def main(only: str, seeds: int) -> None:
    """Prove that the tests notice bugs."""
    click.echo("| bug | noticed by test | noticed by schedule |\n|---|---|---|")
    missed = 0
    for bug in BUGS:
        if only in bug.name:
            test, schedule = _noticed(bug, seeds)
            missed += not (test or schedule)
            click.echo(f"| {bug.name} | {test or '–'} | {schedule or '–'} |")
    click.echo(f"\n{missed} not noticed")
    sys.exit(1 if missed else 0)


def _noticed(bug: Bug, seeds: int) -> tuple[str, str]:
    """The first test that fails and the first schedule that does, "" each if none does."""
    with tempfile.TemporaryDirectory(prefix="mutant-") as name:
        copy = Path(name)
        for package in PACKAGES:
            shutil.copytree(ROOT / package, copy / package, ignore=shutil.ignore_patterns("__pycache__"))
        for file in ("pyproject.toml", "Makefile", "README.md"):
            shutil.copy(ROOT / file, copy / file)
        source = copy / bug.file
        source.write_text(mutated(bug, source.read_text()))
        test = _first(_FAILED, ["pytest", "-x", "-q", "-p", "no:cacheprovider", *bug.tests], copy, TESTS_WITHIN_S)
        schedule = ""
        if seeds:
            words = ["tests.faults", "--seeds", str(seeds), "--no-shrink"]
            schedule = _first(_SEED, words, copy, SCHEDULES_WITHIN_S)
        return test, schedule


def mutated(bug: Bug, text: str) -> str:
    """`text` with the bug in it. Raises ValueError unless the text it replaces is there exactly once."""
    if text.count(bug.old) != 1:
        raise ValueError(f"{bug.file} holds the text of «{bug.name}» {text.count(bug.old)} times, not once")
    return text.replace(bug.old, bug.new)


def _first(pattern: re.Pattern[str], words: list[str], folder: Path, within_s: float) -> str:
    """The first failure that `python -m words` names; «hangs» if it does not end."""
    command = [sys.executable, "-m", *words]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=within_s, check=False)
    except subprocess.TimeoutExpired:
        return "hangs"
    found = pattern.search(done.stdout)
    if found is None:
        return "" if done.returncode == 0 else f"exit {done.returncode}"
    if pattern is _SEED:
        return f"seed {found[1]}: {found[2].partition(':')[0]}"
    return f"`{found[1]}`"


if __name__ == "__main__":
    main()
