"""The watcher and the shipper as processes to supervise: command, environment, patience. Imports neither."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from common.settings.base import LogFormat
from common.settings.declare import ProgramSettings
from common.settings.environ import child_environ
from common.settings.shipper import ShipperSettings
from common.settings.values import UNIX
from common.settings.watcher import WatcherSettings
from console.supervise import Program

__all__ = [
    "SHIPPER_GRACE_S",
    "WATCHER_GRACE_S",
    "Surroundings",
    "module_command",
    "module_environ",
    "shipper_programs",
    "watcher_programs",
]

_ROOT: Final = Path(__file__).resolve().parent.parent
WATCHER_GRACE_S: Final = 10.0
SHIPPER_GRACE_S: Final = 15.0  # it promises to be done with what is in flight within 10 s


@dataclass(frozen=True)
class Surroundings:
    """What all children of a supervisor get from it."""

    environ: Mapping[str, str]
    """Their environment, but for their settings."""
    sockets: Path
    """A private folder with a short path, for the sockets on which they answer probes."""


def module_command(module: str) -> tuple[str, ...]:
    """Runs `module` with this interpreter. `-P`: a folder of that name where the user stands is not ours."""
    return (sys.executable, "-P", "-m", module)


def module_environ(base: Mapping[str, str]) -> dict[str, str]:
    """`base` with our own packages findable, also from a checkout that is not installed."""
    return {**base, "PYTHONPATH": os.pathsep.join(filter(None, (str(_ROOT), base.get("PYTHONPATH"))))}


def watcher_programs(settings: WatcherSettings, number: int, around: Surroundings) -> tuple[Program, ...]:
    """`number` watchers. Their telemetry is their supervisor's business."""
    return _programs("watcher", settings, number, around, WATCHER_GRACE_S, speaks=False)


def shipper_programs(settings: ShipperSettings, around: Surroundings) -> tuple[Program, ...]:
    """As many shippers as `settings` want, likewise. Each learns their number: they share Coder's rate limit."""
    return _programs("shipper", settings, settings.processes, around, SHIPPER_GRACE_S, speaks=settings.dry_run)


def _programs(
    role: str, settings: ProgramSettings, number: int, around: Surroundings, grace_s: float, *, speaks: bool
) -> tuple[Program, ...]:
    names = [f"{role}-{place}" for place in range(1, number + 1)] if number > 1 else [role]
    programs = []
    for name in names:
        probe = around.sockets / f"{name}.sock"
        ours = {"metrics_addr": "", "probe_addr": f"{UNIX}{probe}", "log_format": LogFormat.JSON}
        environ = module_environ(child_environ(settings.model_copy(update=ours), around.environ))
        programs.append(Program(name, role, module_command(role), environ, grace_s, probe, speaks))
    return tuple(programs)
