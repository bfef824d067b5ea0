"""The command `coder-logstream`. Bare flags mean `run`, as the Go peer's do.

What a command needs is imported when it runs: `watcher` and `shipper` only read settings and become another program,
and a wrong flag should be told at once.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Final, NoReturn

import click

from common.settings import flags
from common.settings.base import StoreSettings
from common.settings.declare import ProgramSettings
from common.settings.environ import child_environ
from common.settings.in_cluster import KeySettings, ValkeySettings
from common.settings.inspect import InspectSettings
from common.settings.run import RunSettings
from common.settings.shipper import ShipperSettings
from common.settings.watcher import WatcherSettings
from common.version import release
from console.programs import module_command, module_environ

__all__ = ["cli", "main"]

_NAME: Final = "coder-logstream"


def main() -> None:
    """The console script."""
    sys.exit(flags.main(cli, with_command(sys.argv[1:]), _NAME))


def with_command(arguments: Sequence[str]) -> list[str]:
    """`arguments` with `run` before them, if they begin with no command and ask for no help of the group."""
    if arguments and (
        arguments[0] in cli.commands or arguments[0] in (*flags.HELP_NAMES["help_option_names"], "--version")
    ):
        return list(arguments)
    if arguments and not arguments[0].startswith("-"):
        return list(arguments)  # a misspelt command: click says which are meant
    return ["run", *arguments]


def _run(settings: RunSettings) -> int:
    """Watch a cluster and write into Coder, all on this machine."""
    from console.run import run

    return run(settings)


def _watcher(settings: WatcherSettings) -> NoReturn:
    """Watch the cluster and append what it says to Redis."""
    _become("watcher", settings)


def _shipper(settings: ShipperSettings) -> int:
    """Deliver what waits in Redis to Coder."""
    if settings.processes == 1:
        return _become("shipper", settings)
    from console.shippers import run_shippers

    return run_shippers(settings)


def _forget_lost_key(settings: StoreSettings) -> int:
    """Give up the data in Redis whose token key is lost: their waiting lines, nothing else."""
    from console.forget import forget_lost_key

    return forget_lost_key(settings)


def _valkey(settings: ValkeySettings) -> NoReturn:
    """Serve the Redis database of an installation in Kubernetes, with a user for each program."""
    from console.valkey_server import become_valkey

    become_valkey(settings)


def _make_keys(settings: KeySettings) -> int:
    """Make the keys of an installation in Kubernetes, keeping those that are there."""
    from console.make_keys import make_keys

    return make_keys(settings)


def _doctor(settings: InspectSettings, output: str) -> int:
    """Look whether Kubernetes, Coder and Redis are as programs with these settings need them. Changes nothing.

    Takes the flags of `run`, `watcher` and `shipper`. Exit code 0 if nothing is wrong (✓, ⚠), 1 if something is (✗).
    """
    from console.doctor import doctor
    from console.findings_text import Output

    return doctor(settings, Output(output))


def _status(settings: InspectSettings, name: str, output: str, watch: bool) -> int:
    """Show watchers, shippers, what waits and why; or the story of what is called NAME.

    NAME is that of a pod, a Deployment, a workspace, an owner, OWNER/WORKSPACE, NAMESPACE/POD, or an agent's as logs
    have it. Takes the flags of `run`, `watcher` and `shipper`. Only reads. Exit code 1 if there is nothing to show.
    """
    from console.findings_text import Output
    from console.status import status

    return status(settings, name, Output(output), watch=watch)


def _become(role: str, settings: ProgramSettings) -> NoReturn:
    """Go on as the program itself, so that signals and the exit code are its own. Settings go by environment."""
    command = module_command(role)
    os.execve(command[0], command, module_environ(child_environ(settings, os.environ)))  # noqa: S606 - no shell is wanted


@click.group(name=_NAME, context_settings=flags.HELP_NAMES)
@click.version_option(release(), prog_name=_NAME)
def cli() -> None:
    """Show what Kubernetes does with a Coder workspace in the workspace's own start-up logs.

    Without a command, flags are those of `run`.
    """


@cli.command("version", context_settings=flags.HELP_NAMES)
def _show_version() -> None:
    """Print the version."""
    click.echo(f"{_NAME} {release()}")


@cli.command("demo", context_settings=flags.HELP_NAMES)
@click.option("--kill", is_flag=True, help="Kill the shipper and the watcher (kill -9) in the middle of a crash loop.")
def _demo(kill: bool) -> int:
    """Play seven workspace starts and show what appears in their logs; needs neither cluster nor Coder."""
    from console.demo import demo

    return demo(kill=kill)


@cli.group("part", context_settings=flags.HELP_NAMES)
def _part() -> None:
    """Start one of the two programs that `run` starts, with flags of `run`: each takes its own and ignores the rest."""


_part.add_command(flags.command("watcher", WatcherSettings, _watcher, passed_over=RunSettings))
_part.add_command(flags.command("shipper", ShipperSettings, _shipper, passed_over=RunSettings))
cli.add_command(flags.command("run", RunSettings, _run))
cli.add_command(flags.command("watcher", WatcherSettings, _watcher))
cli.add_command(flags.command("shipper", ShipperSettings, _shipper))
cli.add_command(flags.command("forget-lost-key", StoreSettings, _forget_lost_key))
cli.add_command(flags.command("valkey", ValkeySettings, _valkey))
cli.add_command(flags.command("make-keys", KeySettings, _make_keys))

_OUTPUT: Final = click.Option(
    ["--output"],
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="For people, or programs.",
)
_STATUS: Final = (
    click.Argument(["name"], required=False, default=""),
    click.Option(["--watch"], is_flag=True, help="Show it again every two seconds, until Ctrl-C."),
    _OUTPUT,
)
cli.add_command(flags.command("doctor", InspectSettings, _doctor, [_OUTPUT]))
cli.add_command(flags.command("status", InspectSettings, _status, _STATUS))

if __name__ == "__main__":
    main()
