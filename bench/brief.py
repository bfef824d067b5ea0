"""`python -m bench.brief PROGRAM SECONDS`: watcher or shipper, which keeps for SECONDS what it would for 25 hours.

Everything else is as ever; what is remembered of a workspace that is gone only goes sooner, in proportion. So a run of
minutes shows whether it goes.
"""

import sys

from common.settings.flags import run_program
from common.settings.shipper import ShipperSettings
from common.settings.watcher import WatcherSettings
from common.store.model import RETENTION, Retention
from shipper.program import run_shipper
from watcher.directory import TOMBSTONE_S
from watcher.program import run_watcher


def shortened(keep_s: int) -> Retention:
    """The same proportions, for `keep_s` seconds (>= 3)."""
    return Retention(half_s=max(1, keep_s * RETENTION.half_s // RETENTION.keep_s), keep_s=keep_s)


def main(program: str, keep_s: int) -> int:
    retention = shortened(keep_s)
    if program == "shipper":
        return run_program("shipper", ShipperSettings, lambda settings: run_shipper(settings, retention))
    tombstone_s = min(TOMBSTONE_S, float(keep_s))
    return run_program("watcher", WatcherSettings, lambda settings: run_watcher(settings, retention, tombstone_s))


if __name__ == "__main__":
    sys.exit(main(sys.argv.pop(1), int(sys.argv.pop(1))))
