"""`python -m bench [SCENARIO …]`: run scenarios, print one table."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from bench.bed import Contender
from bench.figures import Figure, merged
from bench.micro import micro_figures
from bench.processes import ChildFailed
from bench.report import Report, as_json, as_text, machine
from bench.scenario import Scenario, figures
from bench.scenarios import SCENARIOS

_MICRO = "micro"
_NAMES = [*(scenario.name for scenario in SCENARIOS), _MICRO]


@click.command()
@click.argument("names", metavar="[SCENARIO]...", nargs=-1, type=click.Choice(_NAMES))
@click.option("--seconds", type=click.FloatRange(min=1), help="Length of each scenario instead of its own.")
@click.option("--runs", default=1, show_default=True, type=click.IntRange(min=1), help="Runs, of which the median.")
@click.option("--json", "json_path", type=click.Path(dir_okay=False, path_type=Path), help="Write the table there too.")
@click.option("--alone", is_flag=True, help="Without the bare forwarder to compare with.")
def main(names: Sequence[str], seconds: float | None, runs: int, json_path: Path | None, alone: bool) -> None:
    """Measure speed and size of watcher and shipper between doubles of Kubernetes and Coder; all scenarios by default.

    \b
    burst       1,000 new workspaces at once
    steady      5 new workspaces a second
    isolation   the same, beside a workspace whose requests take 30 s
    rate-limit  1,000 workspaces with 20 lines each, 512 requests a minute
    memory      5,000 idle workspaces
    churn       500 repeat updates a second, of 100 events
    churn-wide  the same, of 1,000 events
    micro       what single decisions bring
    """
    here = machine()
    wanted = [scenario for scenario in SCENARIOS if not names or scenario.name in names]
    try:
        readings = [asyncio.run(_run(wanted, seconds, alone)) for _ in range(runs)]
        if not names or _MICRO in names:
            readings.append(asyncio.run(micro_figures()))
    except ChildFailed as error:
        raise click.ClickException(str(error)) from error
    report = Report(here, runs, merged(readings))
    print(as_text(report))
    if json_path is not None:
        json_path.write_bytes(as_json(report))


async def _run(wanted: Sequence[Scenario], seconds: float | None, alone: bool) -> list[Figure]:
    rows: list[Figure] = []
    for scenario in wanted:
        length_s = seconds or scenario.seconds
        print(f"{scenario.name} …", file=sys.stderr)
        ours = await scenario.run(Contender.OURS, length_s)
        compare = scenario.compared and not alone
        rows += figures(scenario, ours, await scenario.run(Contender.FORWARDER, length_s) if compare else ())
    return rows


if __name__ == "__main__":
    main()
