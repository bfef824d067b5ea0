"""What a node leaves on a machine though all its processes are gone, and its removal: an address, control groups."""

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

NODES_MAX: Final = 16
GONE_S: Final = 30.0
FORWARDING: Final = Path("/proc/sys/net/ipv4/ip_forward")
"""What the network plugin turns on."""


class Network(msgspec.Struct, frozen=True):
    """Addresses from the range for benchmarks (RFC 2544), which nobody routes: a kubelet refuses 127.0.0.1."""

    node: str
    """On the loopback device."""
    pods: str
    """Their range."""
    forwarding: str

    def give_back(self) -> None:
        subprocess.run(["ip", "address", "delete", f"{self.node}/32", "dev", "lo"], check=True)
        FORWARDING.write_text(self.forwarding)


def taken_network() -> Network:
    """The first that no other node on this machine has: an address can be added once."""
    for number in range(NODES_MAX):
        network = Network(node=f"198.18.{number}.1", pods=f"198.19.{number}.0/24", forwarding=FORWARDING.read_text())
        added = subprocess.run(
            ["ip", "address", "add", f"{network.node}/32", "dev", "lo"], capture_output=True, text=True, check=False
        )
        if added.returncode == 0:
            return network
        if "File exists" not in added.stderr:
            raise OSError(f"no address for the node: {added.stderr.strip()}")
    raise OSError(f"198.18.0.1 to 198.18.{NODES_MAX - 1}.1 are taken: remove those that are left over from lo")


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
