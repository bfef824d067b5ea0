"""`coder-logstream demo`: the real watcher, shipper and Valkey between doubles of Kubernetes and Coder.

The Kubernetes double replays what a real cluster said; the Coder double keeps what arrives, and what is shown is read
from it, as a person would read it in Coder. Nothing is kept: the data lie in a temporary folder.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import tempfile
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

import click
from rich.console import Console

from common.settings.base import LogLevel
from common.settings.run import RunSettings
from common.store.connect import connect
from common.store.dispatcher import Dispatcher
from common.store.errors import StoreError
from common.store.keys import Keys
from console.demo_kill import AskBacklog, Killed, Killer, NoMoment
from console.demo_stage import DemoFailed, Show, Stage
from console.demo_tally import Tally
from console.demo_view import show_finished, show_growing
from console.doubles.remote import CoderRemote, KubeRemote
from console.fleet import run_fleet
from console.local import local_stages, open_local_store
from console.log_lines import Lines, RecentWarnings, in_short
from console.orphans import die_with
from console.programs import module_command, module_environ

__all__ = ["Performance", "demo", "loopback_environ", "perform", "tell_result"]

_DOUBLE_STARTS_WITHIN_S: Final = 60.0
_CODER_ANSWERS_AFTER_S: Final = "0.02"
_EXIT_INTERRUPTED: Final = 130  # as a shell says it


def demo(*, kill: bool) -> int:
    """Play it, with `kill` shooting a shipper and a watcher; answers the exit code."""
    console = Console()
    show = show_growing if console.is_terminal else show_finished
    warnings = RecentWarnings(most=10)
    try:
        played = asyncio.run(perform(lambda snapshots: show(console, snapshots), warnings, kill=kill))
    except (DemoFailed, NoMoment, StoreError) as error:
        click.echo(f"coder-logstream demo: {error}", err=True)
        played = Performance(1, None, ())
    for killed in played.killed:
        click.echo(_obituary(killed))
    if played.result is not None:
        tell_result(played.result)
    if played.exit_code == 1:
        for line in warnings.kept:
            click.echo(in_short(line), err=True)
    return played.exit_code


def tell_result(result: Tally) -> None:
    """Print the sum, and what is wrong with it."""
    click.echo(str(result))
    for complaint in result.complaints:
        click.echo(complaint, err=True)


def _obituary(killed: Killed) -> str:
    at = datetime.fromtimestamp(killed.at_unix_s).astimezone()
    records = f"{killed.waiting_records} records" if killed.waiting_records != 1 else "1 record"
    return f"{at:%H:%M:%S} kill -9 {killed.pid}: the {killed.role}, with {records} waiting; it was started again"


@dataclass(frozen=True)
class Performance:
    """What came of it."""

    fleet_code: int
    result: Tally | None
    """None: a signal or a failure ended it early."""
    killed: Sequence[Killed]

    @property
    def exit_code(self) -> int:
        if self.result is None:
            return self.fleet_code or _EXIT_INTERRUPTED
        return self.fleet_code or int(not self.result.kept)


async def perform(show: Show, warnings: Lines, *, kill: bool) -> Performance:
    """Play all of it; `warnings` gets what the programs complain of. Raises DemoFailed, NoMoment, StoreError."""
    with tempfile.TemporaryDirectory(prefix="coder-logstream-demo-") as name:
        folder = Path(name)
        kubeconfig = folder / "kubeconfig"
        async with (
            _double("console.doubles.coder", folder, "--latency", _CODER_ANSWERS_AFTER_S) as coder_says,
            _double("console.doubles.kube", folder, "--write-kubeconfig", str(kubeconfig)) as kube_says,
        ):
            coder_url, kube_url = await asyncio.gather(coder_says(), kube_says())
            settings = RunSettings(
                coder_url=coder_url,
                kubeconfig=kubeconfig,
                data_dir=folder / "data",
                log_level=LogLevel.WARNING,
                probe_addr="",
            )
            async with CoderRemote(coder_url) as coder, KubeRemote(kube_url) as kube:

                def staged(backlog: AskBacklog) -> Stage:
                    return Stage(coder, kube, backlog, show, Killer(backlog) if kill else None)

                return await _perform_on(settings, staged, warnings)


async def _perform_on(settings: RunSettings, staged: Callable[[AskBacklog], Stage], warnings: Lines) -> Performance:
    with open_local_store(settings) as store:
        async with connect(store.url) as client:
            stage = staged(Dispatcher(client, Keys(settings.redis_prefix)).backlog)
            code = await run_fleet(
                "coder-logstream",
                settings,
                lambda around: local_stages(settings, store, around),
                warnings,
                environ=loopback_environ(os.environ),
                view=lambda fleet: stage.play(fleet.supervisor.view),
            )
        return Performance(code, stage.result, stage.killed)


def loopback_environ(base: Mapping[str, str]) -> dict[str, str]:
    """`base` for processes that reach nothing but this machine: a proxy, which cannot lead there, is not asked."""
    direct = {name: value for name, value in base.items() if not name.lower().endswith("_proxy")}
    return {**direct, "no_proxy": "*"}  # where there are no variables, macOS has proxies in its settings


@contextlib.asynccontextmanager
async def _double(module: str, folder: Path, *options: str) -> AsyncIterator[Callable[[], Awaitable[str]]]:
    """Run a double in a process of its own; gives what waits for its URL, and raises DemoFailed if none comes."""
    with (folder / f"{module}.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *module_command(module),
            *options,
            env=module_environ(loopback_environ(os.environ)),
            stdin=DEVNULL,
            stdout=PIPE,
            stderr=log,
            start_new_session=True,
            preexec_fn=die_with(os.getpid()),
        )
        try:
            yield lambda: _first_line(process, module)
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            await process.wait()


async def _first_line(process: asyncio.subprocess.Process, module: str) -> str:
    if process.stdout is None:
        raise RuntimeError("the process was started without a pipe")
    try:
        line = await asyncio.wait_for(process.stdout.readline(), _DOUBLE_STARTS_WITHIN_S)
    except TimeoutError:
        line = b""
    if not line:
        raise DemoFailed(f"{module} did not start")
    return line.decode().strip()
