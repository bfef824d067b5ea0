"""What a node leaves on a machine though all its processes are gone, and its removal: control groups."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

GONE_S: Final = 30.0


def control_groups(name: str) -> list[Path]:
    """Where the group `name` is, or would be: one path in each hierarchy."""
    mounts = (line.split() for line in Path("/proc/self/mounts").read_text().splitlines())
    return [Path(place) / name for _, place, kind, *_ in mounts if kind in ("cgroup", "cgroup2")]


def make_control_group(name: str) -> None:
    """Make the group in which a kubelet puts its pods, in every hierarchy."""
    for group in control_groups(name):
        group.mkdir(exist_ok=True)


def remove_control_group(name: str) -> None:
    """Remove it and all below, as soon as the processes in it are gone. Raises OSError if they don't go."""
    deadline_s = time.monotonic() + GONE_S
    for top in control_groups(name):
        for group in _deepest_first(top):
            while True:
                try:
                    group.rmdir()
                    break
                except FileNotFoundError:
                    break
                except OSError:  # its processes are on their way out
                    if time.monotonic() > deadline_s:
                        raise
                    time.sleep(0.05)


def _deepest_first(group: Path) -> Iterator[Path]:
    for below in sorted(group.iterdir()):
        if below.is_dir():
            yield from _deepest_first(below)
    yield group
