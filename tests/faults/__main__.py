"""`python -m tests.faults --seeds N`: play schedules, print the table, exit 1 if a promise was broken."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import click

from tests.faults.campaign import AT_ONCE, PROCESSES, kept, played, told
from tests.faults.outcome import failures, table


@click.command()
@click.option("--seeds", default=20, show_default=True, help="How many schedules.")
@click.option("--from", "first", default=0, show_default=True, help="The first seed.")
@click.option("--resume", type=click.Path(dir_okay=False, path_type=Path), help="Keep outcomes here; skip those done.")
@click.option("--processes", default=PROCESSES, show_default=True, help="Processes that share the seeds.")
@click.option("--at-once", default=AT_ONCE, show_default=True, help="Worlds at once in each, at most.")
@click.option("--shrink/--no-shrink", default=True, show_default=True, help="Look for the shortest failing schedule.")
def main(seeds: int, first: int, resume: Path | None, processes: int, at_once: int, shrink: bool) -> None:
    """Play seeded schedules of faults against the real watcher and shipper and a real Valkey."""
    outcomes = kept(resume)
    wanted = [seed for seed in range(first, first + seeds) if seed not in outcomes]
    began_s = time.monotonic()
    fresh = played(wanted, processes=processes, at_once=at_once, shrink=shrink, keep=resume)
    outcomes |= {each.seed: each for each in fresh}
    chosen = [outcomes[seed] for seed in range(first, first + seeds) if seed in outcomes]
    for each in chosen:
        if each.failures:
            click.echo(told(each))
    click.echo(table(chosen))
    click.echo(f"\n{len(wanted)} schedules played in {time.monotonic() - began_s:.0f} s")
    broken = failures(chosen)
    if len(chosen) < seeds:
        broken.append(f"{seeds - len(chosen)} schedules have no outcome")
    click.echo("\n".join(broken))
    sys.exit(1 if broken else 0)


if __name__ == "__main__":
    main()
