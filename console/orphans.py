"""Leave no orphans: a child gets SIGTERM when the process that started it dies, however it dies.

Linux only (prctl); elsewhere a killed supervisor leaves its children running, which costs work but no correctness,
and the next start ends a left-over Valkey.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Callable
from typing import Final

__all__ = ["die_with"]

_PR_SET_PDEATHSIG: Final = 1


def die_with(parent_pid: int) -> Callable[[], None] | None:
    """A `preexec_fn` that ties the new process to `parent_pid`; None where the system cannot."""
    if sys.platform != "linux":
        return None
    # Loaded before the fork: between fork and exec nothing may take a lock that another thread holds.
    prctl = ctypes.CDLL(None, use_errno=True).prctl

    def tie() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        if os.getppid() != parent_pid:  # it died before the tie was made
            os._exit(1)

    return tie
