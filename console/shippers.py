"""`coder-logstream shipper --processes N`: N shippers under one /metrics."""

from __future__ import annotations

import asyncio
import os

from common.settings.shipper import ShipperSettings
from console.fleet import log_output, run_fleet
from console.programs import shipper_programs
from console.supervise import Stage

__all__ = ["run_shippers"]


def run_shippers(settings: ShipperSettings) -> int:
    """Run `settings.processes` shippers until a signal comes."""
    return asyncio.run(
        run_fleet(
            "shipper",
            settings,
            lambda around: [Stage(shipper_programs(settings, around))],
            log_output(settings),
            environ=os.environ,
        )
    )
