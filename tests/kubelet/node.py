"""A real node on this machine: containerd and a kubelet, which join a control plane of ours.

Both run in mount, process and network namespaces of their own: what they mount and whom they start goes with the first
process of those, which goes with the tests, even if they are killed. What is left then, control groups, is removed.
Files lie in one folder; where the programs insist on places of the system (/run, /var/lib, /var/log) they see empty
ones, in memory: images too, which are quickly there and gone. Needs root on Linux.
"""

import json
import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import Final, Self

from tests.cluster.control_plane import ControlPlane, NotReady
from tests.cluster.pki import NODE
from tests.kubelet.network import Network
from tests.kubelet.traces import make_control_group, remove_control_group

READY_S: Final = 90.0
NETWORK_PLUGINS: Final = Path("/usr/lib/cni")
REGISTRY: Final = "registry.example.com"
"""The name under which the node knows the registry that it is given."""
SANDBOX_IMAGE: Final = f"{REGISTRY}/library/sandbox:1.0"
"""Of the sandbox of each pod: it is on the node as soon as there was one."""
DNS: Final = "10.96.0.10"
"""Whom pods ask, and the domain below which Services have their names. `tests/kubelet/services.py` makes them true."""
DOMAIN: Final = "cluster.local"
SOCKET: Final = "/run/containerd/containerd.sock"
"""Also the name of it that the kubelet looks for. Nobody else sees it: /run is the node's own."""

FIRST_PROCESS: Final = """
for place in /run /var/lib /var/log; do mount -t tmpfs tmpfs $place || exit 1; done
containerd --config containerd.toml >containerd.log 2>&1 &
until [ -S /run/containerd/containerd.sock ]; do kill -0 $! || exit 1; sleep 0.05; done
"$@" >kubelet.log 2>&1 &
wait
"""
"""A shell, which also takes in whoever has lost its parent."""


def group_name() -> str:
    """Of the control group of a node that this process runs."""
    return f"logstream-test-{os.getpid()}"


class Node:
    """`with Node(binary, control_plane, network, registry_url, folder):` is a Ready node until the block ends."""

    def __init__(
        self, binary: Path, control_plane: ControlPlane, network: Network, registry: str, folder: Path
    ) -> None:
        """`registry`: the URL of what answers for `REGISTRY`."""
        self._binary = binary
        self._control_plane = control_plane
        self._network = network
        self._registry = registry
        self._folder = folder
        self._group = group_name()

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True)
        make_control_group(self._group)
        self._write_containerd_files()
        self._write_kubelet_file()
        kubelet = [
            str(self._binary), "kubelet", "--config=kubelet.json", f"--hostname-override={NODE}",
            f"--kubeconfig={self._control_plane.pki.kubeconfig(f'system:node:{NODE}', self._control_plane.server)}",
            f"--node-ip={self._network.node}", f"--root-dir={self._folder / 'kubelet'}",
            f"--cert-dir={self._folder / 'kubelet' / 'pki'}",
        ]  # fmt: skip
        self._process = subprocess.Popen(
            # If the tests are killed their child dies, and with it its own.
            ["setpriv", "--pdeathsig", "KILL", *self._network.inside(), "unshare", "--mount", "--pid", "--fork",
             "--mount-proc", "--kill-child", "sh", "-c", FIRST_PROCESS, "node", *kubelet],
            stdin=subprocess.DEVNULL, cwd=self._folder,
        )  # fmt: skip
        try:
            self._wait()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._process.kill()
        self._process.wait()
        remove_control_group(self._group)
        shutil.rmtree(self._folder / "kubelet", ignore_errors=True)

    def load(self, archive: Path) -> None:
        """Put the images of an archive, as `docker save` writes it, on the node."""
        ctr = ["ctr", "--address", SOCKET, "--namespace", "k8s.io"]
        subprocess.run([*self.inside(), *ctr, "images", "import", str(archive)], stdin=subprocess.DEVNULL, check=True)

    def inside(self) -> list[str]:
        """Put before a command's words: it runs on the node, and ends with it."""
        place = f"/proc/{self._process.pid}/ns"
        return ["nsenter", f"--mount={place}/mnt", f"--pid={place}/pid_for_children", f"--net={place}/net"]

    def _wait(self) -> None:
        deadline_s = time.monotonic() + READY_S
        while time.monotonic() < deadline_s and self._process.poll() is None:
            try:
                node = json.loads(self._control_plane.get(f"/api/v1/nodes/{NODE}"))
            except OSError:
                node = {}  # not registered yet
            conditions = node.get("status", {}).get("conditions", ())
            if any(each["type"] == "Ready" and each["status"] == "True" for each in conditions):
                return
            time.sleep(0.1)
        logs = (f"{log}: {log.read_text(errors='replace')[-3000:]}" for log in self._folder.glob("*.log"))
        raise NotReady("\n".join(logs))

    def _write_containerd_files(self) -> None:
        mirror, network = self._folder / "registries" / REGISTRY, self._folder / "network"
        mirror.mkdir(parents=True)
        (mirror / "hosts.toml").write_text(f'server = "{self._registry}"\n[host."{self._registry}"]\n')
        network.mkdir()
        addresses = {"ranges": [[{"subnet": self._network.pods}]], "routes": [{"dst": "0.0.0.0/0"}]}
        plugin = {"type": "ptp", "ipam": {"type": "host-local", **addresses}}
        plugins = {"cniVersion": "0.4.0", "name": self._group, "plugins": [plugin]}
        (network / "pods.conflist").write_text(json.dumps(plugins))
        (self._folder / "containerd.toml").write_text(f"""\
version = 2
root = "/var/lib/containerd"
state = "/run/containerd"
[grpc]
  address = "{SOCKET}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{SANDBOX_IMAGE}"
  stream_server_address = "127.0.0.1"
  disable_apparmor = true
  restrict_oom_score_adj = true  # not every root may lower it
  cni = {{ bin_dir = "{NETWORK_PLUGINS}", conf_dir = "{network}" }}
  registry = {{ config_path = "{self._folder}/registries" }}
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    options = {{ SystemdCgroup = false }}
""")

    def _write_kubelet_file(self) -> None:
        settings = {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "address": self._network.node,
            "port": 10250,
            "healthzPort": 0,
            "containerRuntimeEndpoint": f"unix://{SOCKET}",
            "podLogsDir": str(self._folder / "kubelet" / "logs"),
            "cgroupDriver": "cgroupfs",
            "cgroupRoot": f"/{self._group}",
            "failCgroupV1": False,
            "failSwapOn": False,
            "makeIPTablesUtilChains": False,
            "resolvConf": "",
            "clusterDNS": [DNS],
            "clusterDomain": DOMAIN,
            "authentication": {
                "anonymous": {"enabled": False},
                "webhook": {"enabled": True},
                "x509": {"clientCAFile": str(self._control_plane.pki.ca_file)},
            },
            "authorization": {"mode": "Webhook"},
            # No pod waits for another's pull, and nothing is evicted because this machine is busy.
            "serializeImagePulls": False,
            "evictionHard": {"memory.available": "50Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
            "volumeStatsAggPeriod": "1s",  # how soon a volume that is too large is seen
            "imageGCHighThresholdPercent": 100,
            "imagePullCredentialsVerificationPolicy": "NeverVerify",
            "kubeAPIQPS": 50,
            "kubeAPIBurst": 100,
            "eventRecordQPS": 50,
        }
        (self._folder / "kubelet.json").write_text(json.dumps(settings))
