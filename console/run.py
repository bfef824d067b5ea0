"""`coder-logstream run`: everything on one machine. Starts Valkey (unless one is given), shippers and watchers."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Final

from rich.console import Console

from common.settings.base import LogFormat
from common.settings.run import RunSettings
from console.fleet import Fleet, log_output, run_fleet
from console.local import LocalStore, local_stages, open_local_store
from console.log_lines import RecentWarnings
from console.run_view import RunSnapshot, log_status, show_live
from console.totals import read_totals

__all__ = ["run"]

_WARNINGS_SHOWN: Final = 5


def run(settings: RunSettings) -> int:
    """Watch a cluster and write into Coder, all on this machine."""
    with open_local_store(settings) as store:
        return asyncio.run(_run(settings, store))


async def _run(settings: RunSettings, store: LocalStore) -> int:
    in_terminal = sys.stdout.isatty() and sys.stderr.isatty()
    live = settings.log_format is LogFormat.AUTO and in_terminal and not settings.dry_run
    warnings = RecentWarnings(_WARNINGS_SHOWN)
    headline = _headline(settings, store)

    async def view(fleet: Fleet) -> None:
        def snapshot() -> RunSnapshot:
            return RunSnapshot(headline, fleet.supervisor.view(), read_totals(fleet.registry), warnings.kept)

        if live:
            await show_live(Console(), snapshot)
        else:
            await log_status(snapshot)

    return await run_fleet(
        "coder-logstream",
        settings,
        lambda around: local_stages(settings, store, around),
        warnings if live else log_output(settings),
        environ=os.environ,
        view=view,
    )


def _headline(settings: RunSettings, store: LocalStore) -> str:
    where = f"namespaces {', '.join(settings.namespaces)}" if settings.namespaces else "all namespaces"
    if settings.namespace_selector:
        where = f"namespaces labelled {settings.namespace_selector}"
    data = f"data in {settings.data_dir}" if store.server is not None else "data in the Redis given"
    target = "stdout (a dry run)" if settings.dry_run else settings.coder_url
    return f"coder-logstream: {where} → {target}, {data}; Ctrl-C stops"
