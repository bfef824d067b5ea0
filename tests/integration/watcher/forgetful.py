"""`python -m tests.integration.watcher.forgetful`: a watcher that keeps nothing of what it wrote."""

import sys

from common.settings.flags import run_program
from common.settings.watcher import WatcherSettings
from watcher import batches
from watcher.program import run_watcher

if __name__ == "__main__":
    batches.RECENT_MAX_BYTES = -1  # type: ignore[misc]
    sys.exit(run_program("watcher", WatcherSettings, run_watcher))
