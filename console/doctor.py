"""`coder-logstream doctor`: what is missing before, or while, programs with these settings run.

Kubernetes is looked at as the watcher would, Coder as the shipper would (each in a process of its own), Redis here.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence

import click
import msgspec

from common.checkup import Area, Finding, Mark, bad, decode_findings, doubt, worst
from common.settings.declare import ProgramSettings
from common.settings.environ import derive
from common.settings.flags import EXIT_FAILURE
from common.settings.inspect import InspectSettings
from common.settings.shipper import CoderSettings
from common.settings.watcher import KubernetesSettings
from common.store.checkup import examine_store
from console.examiners import ExaminerFailed, ask_examiner
from console.findings_text import SIGNS, Output, finding_line, in_json
from console.reach import NothingKept, reach

__all__ = ["as_text", "doctor"]


class _Report(msgspec.Struct, frozen=True):
    worst: Mark
    findings: Sequence[Finding]


def doctor(settings: InspectSettings, output: Output) -> int:
    """Print what there is to say; the exit code."""
    findings = asyncio.run(examine(settings))
    report = _Report(worst(findings), findings)
    click.echo(in_json(report) if output is Output.JSON else as_text(findings))
    return EXIT_FAILURE if worst(findings) is Mark.BAD else 0


async def examine(settings: InspectSettings) -> list[Finding]:
    """All findings: Kubernetes, Coder, Redis, token key."""
    parts = await asyncio.gather(
        _by_examiner(Area.KUBERNETES, "watcher.checkup", derive(KubernetesSettings, settings)),
        _coder(settings),
        _store(settings),
    )
    return [finding for part in parts for finding in part]


def as_text(findings: Sequence[Finding]) -> str:
    """A line each, and a last one with the sum."""
    counts = Counter(finding.mark for finding in findings)
    sum_of_all = " · ".join(f"{counts[mark]} {SIGNS[mark]}" for mark in Mark)
    return "\n".join([*map(finding_line, findings), sum_of_all])


async def _coder(settings: InspectSettings) -> list[Finding]:
    if settings.coder_url is None:
        said = "not looked at: its address is not given"
        return [doubt(Area.CODER, "address", said, "give --coder-url or CODER_URL, as the shipper has it")]
    return await _by_examiner(Area.CODER, "shipper.checkup", derive(CoderSettings, settings))


async def _store(settings: InspectSettings) -> list[Finding]:
    try:
        where = reach(settings)
    except NothingKept as error:
        said, _, remedy = str(error).partition(": ")
        return [doubt(Area.REDIS, "address", said, remedy)]
    except ValueError as error:
        return [bad(Area.TOKEN_KEY, "token key", f"that of {settings.data_dir} {error}", "put the right one back")]
    return await examine_store(where.url, where.queue_url, where.keys, where.token_keys)


async def _by_examiner(area: Area, module: str, settings: ProgramSettings) -> list[Finding]:
    try:
        return decode_findings(await ask_examiner(module, settings))
    except (ExaminerFailed, msgspec.DecodeError) as error:
        return [bad(area, "examination", str(error), "mend what it says, and run doctor again")]
