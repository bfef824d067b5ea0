"""A watcher's name, and which other names are those of processes that died here.

A watcher that comes back after a crash need not wait for the lease of its predecessor. Its predecessor is known by the
host's name and the process id: one that we have ourselves now, or that nobody has. Where that is wrong (hosts of one
name, or one host's processes hidden from each other) a living watcher loses its units for a moment, which costs work.
"""

from __future__ import annotations

import os
import socket
import uuid
from collections.abc import Callable, Iterable

from common.ids import WatcherId

__all__ = ["died_here", "lives", "new_name"]


def new_name() -> WatcherId:
    """The name of this process, never used before."""
    return WatcherId(f"{socket.gethostname()}/{os.getpid()}/{uuid.uuid4().hex[:8]}")


def died_here(me: WatcherId, others: Iterable[WatcherId], lives: Callable[[int], bool]) -> list[WatcherId]:
    """Those of `others` that were processes of our host and are no more. `lives` tells of a process id."""
    host, own_pid, _ = me.rsplit("/", 2)
    dead = []
    for name in others:
        parts = name.rsplit("/", 2)
        if name == me or len(parts) != 3 or parts[0] != host or not parts[1].isdecimal():
            continue
        if parts[1] == own_pid or not lives(int(parts[1])):
            dead.append(name)
    return dead


def lives(pid: int) -> bool:
    """Whether a process of this host has the id `pid`, as far as can be seen from here."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True
