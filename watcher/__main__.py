"""`python -m watcher`: one watcher process."""

import sys

from common.settings.flags import run_program
from common.settings.watcher import WatcherSettings
from watcher.program import run_watcher

if __name__ == "__main__":
    sys.exit(run_program("watcher", WatcherSettings, run_watcher))
