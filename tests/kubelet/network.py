"""A network of a node's own: what runs in it shares nothing with this machine's network but one link.

The links of its pods, its packet filters (those of the Services, too) and its forwarding are in there and go with it;
here there are the near end of the link and a route to the pods, which go with it as well, even if the tests are killed.
"""

import os
import subprocess
import time
from pathlib import Path
from typing import Final, Self

NETWORKS_MAX: Final = 16
MADE_S: Final = 10.0
UPLINK: Final = "uplink"
"""The link's far end."""


class Network:
    """`with Network() as network:` is there until the block ends.

    Addresses are from the range for benchmarks (RFC 2544), which nobody routes: a kubelet refuses 127.0.0.1.
    """

    node: str
    """The node's address."""
    machine: str
    """This machine's. What listens on it is reached from this machine, the node and its pods, and from nowhere else;
    loopback would not do, as every pod has one of its own."""
    pods: str
    """Their range."""

    def __enter__(self) -> Self:
        # It does nothing but keep the network. If the tests are killed it dies, and with it the network.
        self._keeper = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "unshare", "--net", "sleep", "infinity"], stdin=subprocess.DEVNULL
        )
        try:
            self._wait()
            self._connect(self._linked())
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._keeper.kill()
        self._keeper.wait()

    def inside(self) -> list[str]:
        """Put before a command's words: it runs in this network."""
        return ["nsenter", f"--net={self._place}"]

    @property
    def _place(self) -> Path:
        return Path(f"/proc/{self._keeper.pid}/ns/net")

    def _wait(self) -> None:
        deadline_s = time.monotonic() + MADE_S
        while os.readlink(self._place) == os.readlink("/proc/self/ns/net"):  # noqa: PTH115 — no path, but a name
            if self._keeper.poll() is not None or time.monotonic() > deadline_s:
                raise OSError("no network of its own for the node: unshare --net fails")
            time.sleep(0.01)

    def _linked(self) -> int:
        """The number of the first link that no other network on this machine has."""
        for number in range(NETWORKS_MAX):
            ends = [_near(number), "type", "veth", "peer", UPLINK, "netns", str(self._keeper.pid)]
            added = subprocess.run(["ip", "link", "add", *ends], capture_output=True, text=True, check=False)
            if added.returncode == 0:
                return number
            if "File exists" not in added.stderr:
                raise OSError(f"no link to the node: {added.stderr.strip()}")
        raise OSError(f"the links {_near(0)} to {_near(NETWORKS_MAX - 1)} are taken")

    def _connect(self, number: int) -> None:
        self.node, self.machine = f"198.18.{number}.1", f"198.18.{number}.2"
        self.pods = f"198.19.{number}.0/24"
        near, here, there = _near(number), ["ip"], [*self.inside(), "ip"]
        for ip, words in (
            (there, "link set lo up"),
            (there, f"address add {self.node}/30 dev {UPLINK}"),
            (there, f"link set {UPLINK} up"),
            (here, f"address add {self.machine}/30 dev {near}"),
            (here, f"link set {near} up"),
            (here, f"route add {self.pods} via {self.node}"),
        ):
            subprocess.run([*ip, *words.split()], check=True)


def _near(number: int) -> str:
    """The name of the link's near end; a kernel allows 15 characters."""
    return f"logstream{number}"
