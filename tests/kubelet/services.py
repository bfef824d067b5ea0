"""What makes Services of a cluster with one node: the proxy that leads their addresses to pods, and the DNS of their
names. Both are the real programs, and run on the node, outside of pods.
"""

import subprocess
import time
import urllib.request
from pathlib import Path
from typing import Final, Self

from tests.cluster.control_plane import DIRECTLY, ControlPlane, NotReady
from tests.cluster.pki import NODE
from tests.kubelet.network import Network
from tests.kubelet.node import DNS, DOMAIN, Node

READY_S: Final = 60.0
PROXY_PORT: Final = 10256
DNS_READY_PORT: Final = 8181
NAMESPACE: Final = "kube-system"
SERVICE: Final = "kube-dns"
PORTS: Final = [
    {"name": "dns", "port": 53, "protocol": "UDP"},
    {"name": "dns-tcp", "port": 53, "protocol": "TCP"},
]


class Services:
    """`with Services(binary, dns, control_plane, node, network, folder):` Services work until the block ends.

    `binary` is the control plane's, `dns` that of CoreDNS.
    """

    def __init__(
        self, binary: Path, dns: Path, control_plane: ControlPlane, node: Node, network: Network, folder: Path
    ) -> None:
        self._binary = binary
        self._dns = dns
        self._control_plane = control_plane
        self._node = node
        self._network = network
        self._folder = folder
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True)
        try:
            self._start_dns()
            self._start_proxy()
            self._publish_dns()
            self._wait("kube-proxy", f"http://{self._network.node}:{PROXY_PORT}/healthz")
            self._wait("dns", f"http://{self._network.node}:{DNS_READY_PORT}/ready")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exc_info: object) -> None:
        for process in self._running.values():
            process.kill()
        for process in self._running.values():
            process.wait()

    def _start_dns(self) -> None:
        corefile = self._folder / "Corefile"
        # With all rights: it only looks. No name is asked for elsewhere: there is nobody to ask.
        corefile.write_text(f"""\
. {{
  errors
  ready {self._network.node}:{DNS_READY_PORT}
  kubernetes {DOMAIN} {{
    kubeconfig {self._control_plane.admin}
  }}
}}
""")
        self._spawn("dns", str(self._dns), "-conf", str(corefile))

    def _start_proxy(self) -> None:
        user = self._control_plane.pki.kubeconfig("system:kube-proxy", self._control_plane.server)
        self._spawn(
            "kube-proxy", str(self._binary), "kube-proxy", f"--kubeconfig={user}", f"--hostname-override={NODE}",
            "--proxy-mode=iptables", f"--cluster-cidr={self._network.pods}",
            f"--healthz-bind-address={self._network.node}:{PROXY_PORT}",
            f"--metrics-bind-address={self._network.node}:10249",
            # These are the machine's, and not to be set in a network of one's own.
            "--conntrack-max-per-core=0", "--conntrack-tcp-timeout-established=0",
            "--conntrack-tcp-timeout-close-wait=0",
        )  # fmt: skip

    def _publish_dns(self) -> None:
        """The Service by which pods find the DNS: its address is in what the kubelet tells them."""
        service = {"metadata": {"name": SERVICE}, "spec": {"clusterIP": DNS, "ports": PORTS}}
        self._control_plane.post(f"/api/v1/namespaces/{NAMESPACE}/services", service)
        behind = {
            "metadata": {"name": SERVICE, "labels": {"kubernetes.io/service-name": SERVICE}},
            "addressType": "IPv4",
            "ports": PORTS,
            "endpoints": [{"addresses": [self._network.node], "conditions": {"ready": True}}],
        }
        self._control_plane.post(f"/apis/discovery.k8s.io/v1/namespaces/{NAMESPACE}/endpointslices", behind)

    def _spawn(self, name: str, *words: str) -> None:
        with self._log(name).open("wb") as log:
            self._running[name] = subprocess.Popen(
                [*self._node.inside(), *words], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    def _wait(self, name: str, url: str) -> None:
        deadline_s = time.monotonic() + READY_S
        opener = urllib.request.build_opener(DIRECTLY)
        while time.monotonic() < deadline_s and self._running[name].poll() is None:
            try:
                with opener.open(url, timeout=5):
                    return
            except OSError:
                time.sleep(0.05)  # not yet: the deadline and the process's end bound the waiting
        raise NotReady(f"{name}: {self._log(name).read_text(errors='replace')[-3000:]}")

    def _log(self, name: str) -> Path:
        return self._folder / f"{name}.log"
