"""What a machine must have for a real node, and which of it this one lacks."""

import os
import platform
import shutil
from pathlib import Path
from typing import Final

from tests.kubelet.node import NETWORK_PLUGINS
from tests.required import missing

PART: Final = "a real kubelet"
PROGRAMS: Final = {
    "containerd": "containerd",
    "containerd-shim-runc-v2": "containerd",
    "ctr": "containerd",
    "runc": "runc",
    "ip": "iproute2",
    "mount": "mount",
    "nsenter": "util-linux",
    "setpriv": "util-linux",
    "unshare": "util-linux",
}
"""And the Debian package of each."""
BUSYBOX: Final = "busybox-static"
LOADERS: Final = (b"/ld-linux", b"/ld-musl")
"""One of them is named in a program that needs libraries."""


def busybox() -> Path:
    """A busybox that needs no libraries. Ends the test if there is none, or something else that a node needs."""
    if platform.system() != "Linux" or os.geteuid() != 0:
        missing(PART, "it runs as root on Linux")
    packages = {package for program, package in PROGRAMS.items() if shutil.which(program) is None}
    if not (NETWORK_PLUGINS / "ptp").exists():
        packages.add("containernetworking-plugins")
    found = shutil.which("busybox")
    if found is None or _is_dynamic(Path(found)):
        packages.add(BUSYBOX)
    if packages or found is None:
        missing(PART, f"apt-get install {' '.join(sorted(packages))}")
    return Path(found)


def _is_dynamic(program: Path) -> bool:
    code = program.read_bytes()
    return any(loader in code for loader in LOADERS)
