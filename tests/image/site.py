"""A cluster in which the image can be installed as users install it: control plane, node, Services, a disk, and Coder's
double where pods reach it.
"""

from __future__ import annotations

import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec

from tests.built import built
from tests.cluster.control_plane import ControlPlane
from tests.cluster.pki import NODE
from tests.kubelet.image import busybox_image
from tests.kubelet.machine import busybox
from tests.kubelet.network import Network
from tests.kubelet.node import Node
from tests.kubelet.registry import Registry
from tests.kubelet.services import Services

__all__ = ["Site", "dns_binary", "running_site"]

DNS_BUILD: Final = Path(__file__).parents[1] / "kubelet" / "dns" / "build"
DISK: Final = "disk"


class Site(msgspec.Struct, frozen=True):
    admin: Path
    """A kubeconfig with all rights."""
    address: str
    """This machine's, for what pods are to reach. Nobody but they and this machine can."""


def dns_binary() -> Path:
    """CoreDNS, from the cache or built now (two minutes, once)."""
    return built(DNS_BUILD, "a cluster's DNS")


@contextmanager
def running_site(binary: Path, dns: Path, archive: Path, folder: Path) -> Iterator[Site]:
    """There until the block ends. `binary` is the control plane's; the images in `archive` are on the node."""
    workspaces = busybox_image(busybox(), platform.machine())
    with (
        Network() as network,
        Registry(workspaces, network.machine) as registry,
        ControlPlane(binary, folder / "control-plane", network.machine) as control_plane,
        Node(binary, control_plane, network, registry.url, folder / "node") as node,
        Services(binary, dns, control_plane, node, network, folder / "services"),
    ):
        node.load(archive)
        _add_disk(control_plane, folder / DISK)
        yield Site(control_plane.admin, network.machine)


def _add_disk(control_plane: ControlPlane, folder: Path) -> None:
    """What an administrator does where nothing makes volumes: offers a folder of the node. It is root's."""
    folder.mkdir()
    on_the_node = {"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": [NODE]}]}
    spec = {
        "capacity": {"storage": "2Gi"},
        "accessModes": ["ReadWriteOnce"],
        "local": {"path": str(folder)},
        "nodeAffinity": {"required": {"nodeSelectorTerms": [on_the_node]}},
    }
    control_plane.post("/api/v1/persistentvolumes", {"metadata": {"name": DISK}, "spec": spec})
