"""The demo, played to programs and doubles that compose.yaml started: `python -m console.demo_apart`."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import click
from rich.console import Console

from common.settings.load import load
from common.settings.shipper import ShipperSettings
from common.store.connect import connect
from common.store.dispatcher import Dispatcher
from common.store.errors import StoreError
from common.store.keys import Keys
from console.demo import tell_result
from console.demo_stage import DemoFailed, Stage
from console.demo_tally import Tally
from console.demo_view import show_finished
from console.doubles.remote import CoderRemote, KubeRemote

__all__ = ["main"]


async def _perform(settings: ShipperSettings, kube_url: str) -> Tally | None:
    """Raises DemoFailed, StoreError."""
    console = Console()
    async with (
        CoderRemote(settings.coder_url) as coder,
        KubeRemote(kube_url) as kube,
        connect(settings.redis_url) as client,
    ):
        backlog = Dispatcher(client, Keys(settings.redis_prefix)).backlog
        stage = Stage(coder, kube, backlog, lambda snapshots: show_finished(console, snapshots), killer=None)
        await stage.play(lambda: ())
    return stage.result


@click.command()
@click.option("--config", type=click.Path(path_type=Path), required=True, help="The shippers' settings.")
@click.option("--kube-url", required=True, help="Where the Kubernetes double is.")
def main(config: Path, kube_url: str) -> None:
    """Play it once; exit code 1 if a line was lost or repeated."""
    try:
        result = asyncio.run(_perform(load(ShipperSettings, flags={}, environ={}, config_file=config), kube_url))
    except (DemoFailed, StoreError) as error:
        raise click.ClickException(str(error)) from error
    if result is not None:
        tell_result(result)
    sys.exit(0 if result is not None and result.kept else 1)


if __name__ == "__main__":
    main()
