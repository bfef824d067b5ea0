"""`python -m tests.faults.mutants`: put each deliberate bug into a copy of the tree and see which test notices.

A bug that nothing notices is a promise that nobody checks. Prints a Markdown table; exit 1 if a bug got through, or if
its tests prove nothing.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Final

import click

from tests.faults.bug import Bug
from tests.faults.bugs import BUGS
from tests.faults.proof import Unproved, copied, healthy, noticed_by, put_into, run_to_its_end

SCHEDULES_WITHIN_S: Final = 300
_SEED: Final = re.compile(r"^seed (\d+) failed:\n(.*)", re.MULTILINE)


@click.command()
@click.option("--only", default="", help="Only bugs with this in their name.")
@click.option("--seeds", default=20, show_default=True, help="Schedules of faults for each; 0 plays none.")
def main(only: str, seeds: int) -> None:
    """Prove that the tests notice bugs."""
    bugs = [bug for bug in BUGS if only in bug.name]
    if not bugs:
        raise click.UsageError(f"no bug has «{only}» in its name")
    unproved = _unhealthy(bugs)
    if seeds:
        _play_healthy(seeds)
    click.echo("| bug | noticed by |" + (" by schedule |" if seeds else ""))
    click.echo("|---|---|" + ("---|" if seeds else ""))
    missed = 0
    for bug in bugs:
        test, schedule = "", _failing_schedule(bug, seeds) if seeds else ""
        try:
            if bug.tests not in unproved:
                test = noticed_by(bug)
        except Unproved as why:
            unproved[bug.tests] = f"{bug.name}: {why}"
        missed += not (test or schedule)
        click.echo(f"| {bug.name} | {test or '–'} |" + (f" {schedule or '–'} |" if seeds else ""))
    click.echo("\n".join(["", f"{missed} not noticed", *unproved.values()]))
    sys.exit(1 if missed or unproved else 0)


def _unhealthy(bugs: list[Bug]) -> dict[tuple[str, ...], str]:
    """The tests of `bugs` that do not pass without one, and why."""
    wrong = {}
    for tests in dict.fromkeys(bug.tests for bug in bugs):
        try:
            healthy(tests)
        except Unproved as why:
            wrong[tests] = f"{' '.join(tests)}: {why}"
    return wrong


def _play_healthy(seeds: int) -> None:
    """Return if the schedules pass without a bug. Raises click.ClickException."""
    with copied() as copy:
        code, output = _play(copy, seeds)
    if code != 0:
        failing = _SEED.search(output)
        why = failing[0] if failing else f"they ended with {code}"
        raise click.ClickException(f"the schedules do not pass without a bug: {why}")


def _failing_schedule(bug: Bug, seeds: int) -> str:
    """The first schedule that fails with `bug` in the tree, and its first words; "" if none does."""
    with copied() as copy:
        put_into(bug, copy)
        _, output = _play(copy, seeds)
    found = _SEED.search(output)
    return f"seed {found[1]}: {found[2].partition(':')[0]}" if found else ""


def _play(folder: Path, seeds: int) -> tuple[int | None, str]:
    return run_to_its_end(["tests.faults", "--seeds", str(seeds), "--no-shrink"], folder, SCHEDULES_WITHIN_S)


if __name__ == "__main__":
    main()
