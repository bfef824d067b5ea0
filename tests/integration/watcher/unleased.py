"""`python -m tests.integration.watcher.unleased`: a watcher that takes itself for the only one, whatever Redis says."""

import sys
from collections.abc import Sequence

from common.ids import Epoch, Unit, WatcherId
from common.settings.flags import run_program
from common.settings.watcher import WatcherSettings
from common.store.model import Holdings
from common.store.tenures import Tenures
from watcher.program import run_watcher


async def hold_everything(_self: Tenures, watcher: WatcherId, wanted: Sequence[Unit]) -> Holdings:
    return Holdings((watcher,), dict.fromkeys(wanted, Epoch(1)))


if __name__ == "__main__":
    Tenures.hold = hold_everything  # type: ignore[assignment, method-assign]
    sys.exit(run_program("watcher", WatcherSettings, run_watcher))
