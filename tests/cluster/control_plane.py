"""A real Kubernetes control plane: etcd, API server, controller manager, scheduler.

All its state is in one folder; it needs 3 to 5 seconds to start and about 700 MB. Pods stay Pending: there is no node
(`tests/kubelet/node.py` adds a real one).
"""

import json
import ssl
import subprocess
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Self

from tests.certificates import LOOPBACK
from tests.cluster.pki import Pki
from tests.servers import free_port

READY_S: Final = 90.0
DIRECTLY: Final = urllib.request.ProxyHandler({})
"""This machine may have a proxy, which knows no network of ours."""
CLIENT_RATE: Final = ["--kube-api-qps=100", "--kube-api-burst=200"]


class NotReady(Exception):
    """A part of the control plane ended or never became ready; the message holds the end of its log."""


class ControlPlane:
    """`with ControlPlane(binary, folder) as cluster:` runs it; `cluster.admin` is then a kubeconfig with all rights."""

    def __init__(self, binary: Path, folder: Path, address: str = LOOPBACK) -> None:
        """`address`: the API server's. On loopback no pod could reach it."""
        self._binary = binary
        self._folder = folder
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._etcd = f"http://127.0.0.1:{free_port()}"
        self._api_port = free_port()
        self._address = address
        self.server = f"https://{address}:{self._api_port}"
        self.pki = Pki(folder / "pki", address)
        self.admin = self.pki.kubeconfig("admin", self.server)

    def __enter__(self) -> Self:
        try:
            self._start_etcd()
            self.start_api_server()
            self._start_controllers()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exc_info: object) -> None:
        for process in self._running.values():
            process.kill()  # nothing of it is kept
        for process in self._running.values():
            process.wait()
        self._running.clear()

    def start_api_server(self) -> None:
        """Start the API server and wait until it serves. Its port stays the same."""
        pki = self.pki
        # Who is behind the Service `kubernetes`; the API refuses to call that loopback.
        behind = "none" if self._address == LOOPBACK else "lease"
        self._spawn(
            "kube-apiserver",
            f"--bind-address={self._address}", f"--advertise-address={self._address}",
            f"--endpoint-reconciler-type={behind}",
            f"--secure-port={self._api_port}", f"--etcd-servers={self._etcd}", f"--cert-dir={pki.folder}",
            f"--tls-cert-file={pki.server_file}", f"--tls-private-key-file={pki.server_key_file}",
            f"--token-auth-file={pki.tokens_file}", f"--client-ca-file={pki.ca_file}", "--authorization-mode=Node,RBAC",
            f"--kubelet-client-certificate={pki.kubelet_client_file}",
            f"--kubelet-client-key={pki.kubelet_client_key_file}", "--kubelet-preferred-address-types=InternalIP",
            "--service-account-issuer=https://kubernetes.default.svc", "--service-cluster-ip-range=10.96.0.0/16",
            f"--service-account-key-file={pki.accounts_key_file}",
            f"--service-account-signing-key-file={pki.accounts_key_file}", "--profiling=false",
        )  # fmt: skip
        self._wait("kube-apiserver", lambda: self.get("/readyz") == b"ok")

    def kill_api_server(self) -> None:
        """End the API server without a word, as a lost node does. Open watches break."""
        process = self._running.pop("kube-apiserver")
        process.kill()
        process.wait()

    def compact(self) -> None:
        """Make etcd forget all history, as it does by itself every five minutes: older resource versions are gone."""
        revision = self._ask_etcd("/v3/maintenance/status", {})["header"]["revision"]
        self._ask_etcd("/v3/kv/compaction", {"revision": revision, "physical": True})

    def get(self, path: str) -> bytes:
        """What the API server answers the administrator. Raises OSError if it refuses or does not answer."""
        return self._ask(path, None)

    def post(self, path: str, made: dict[str, Any]) -> None:
        """Make an object as the administrator. Raises OSError if the API server refuses or does not answer."""
        self._ask(path, json.dumps(made).encode())

    def _ask(self, path: str, body: bytes | None) -> bytes:
        headers = {"Authorization": f"Bearer {self.pki.tokens['admin']}", "Content-Type": "application/json"}
        request = urllib.request.Request(self.server + path, data=body, headers=headers)  # noqa: S310 — our own server
        trust = urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=str(self.pki.ca_file)))
        with urllib.request.build_opener(DIRECTLY, trust).open(request, timeout=5) as answer:
            return bytes(answer.read())

    def _start_etcd(self) -> None:
        peers = f"http://127.0.0.1:{free_port()}"
        self._spawn(
            "etcd", "--name=test", f"--data-dir={self._folder / 'etcd'}", "--unsafe-no-fsync", "--log-level=warn",
            f"--listen-client-urls={self._etcd}", f"--advertise-client-urls={self._etcd}",
            f"--listen-peer-urls={peers}", f"--initial-advertise-peer-urls={peers}", f"--initial-cluster=test={peers}",
        )  # fmt: skip
        self._wait("etcd", lambda: bool(self._ask_etcd("/v3/maintenance/status", {})))

    def _start_controllers(self) -> None:
        pki = self.pki
        self._spawn(
            "kube-controller-manager", "--leader-elect=false", "--bind-address=127.0.0.1",
            f"--kubeconfig={pki.kubeconfig('system:kube-controller-manager', self.server)}",
            f"--secure-port={free_port()}", f"--cert-dir={pki.folder}", "--use-service-account-credentials=true",
            f"--service-account-private-key-file={pki.accounts_key_file}", f"--root-ca-file={pki.ca_file}",
            *CLIENT_RATE, "--profiling=false",
        )  # fmt: skip
        self._spawn(
            "kube-scheduler", "--leader-elect=false", "--bind-address=127.0.0.1",
            f"--kubeconfig={pki.kubeconfig('system:kube-scheduler', self.server)}",
            f"--secure-port={free_port()}", f"--cert-dir={pki.folder}", *CLIENT_RATE,
        )  # fmt: skip
        # Without it no pod is admitted; the controller manager makes it.
        account = "/api/v1/namespaces/default/serviceaccounts/default"
        self._wait("kube-controller-manager", lambda: bool(self.get(account)))

    def _spawn(self, program: str, *flags: str) -> None:
        with self._log(program).open("ab") as log:
            self._running[program] = subprocess.Popen(
                [self._binary, program, *flags], stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self._folder
            )

    def _wait(self, program: str, ready: Callable[[], bool]) -> None:
        deadline_s = time.monotonic() + READY_S
        while time.monotonic() < deadline_s and self._running[program].poll() is None:
            try:
                if ready():
                    return
            except OSError:
                pass  # not yet: the deadline and the process's end bound the waiting
            time.sleep(0.05)
        raise NotReady(f"{program}: {self._log(program).read_text(errors='replace')[-3000:]}")

    def _log(self, program: str) -> Path:
        return self._folder / f"{program}.log"

    def _ask_etcd(self, path: str, question: dict[str, Any]) -> dict[str, Any]:
        request = urllib.request.Request(self._etcd + path, data=json.dumps(question).encode())  # noqa: S310
        with urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310
            return dict(json.load(answer))
