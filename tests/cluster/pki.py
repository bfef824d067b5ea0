"""The certificates and tokens of a test control plane: one CA, one server certificate, one token a user."""

import base64
import secrets
from pathlib import Path
from typing import Final

from tests.certificates import LOOPBACK, Authority, key_pem, new_key

SERVICE: Final = ("10.96.0.1", "kubernetes.default.svc")
"""What pods call the API server."""
NODE: Final = "node1"
USERS: Final = {
    "admin": "system:masters",
    "system:kube-controller-manager": "",
    "system:kube-scheduler": "",
    "system:kube-proxy": "",
    f"system:node:{NODE}": "system:nodes",
}


class Pki:
    """Keys, certificates and tokens in `folder`, readable by this user only."""

    def __init__(self, folder: Path, address: str = LOOPBACK) -> None:
        """`address`: the API server's."""
        folder.mkdir(mode=0o700, parents=True)
        self.folder = folder
        self._authority = Authority()
        server, server_key = self._authority.issue("kube-apiserver", [address, "localhost", *SERVICE])
        self.ca_file = _save(folder / "ca.crt", self._authority.certificate_pem)
        self.ca_key_file = _save(folder / "ca.key", self._authority.key_pem)
        self.server_file = _save(folder / "server.crt", server)
        self.server_key_file = _save(folder / "server.key", server_key)
        client, client_key = self.client("kube-apiserver", "system:masters")
        self.kubelet_client_file = _save(folder / "kubelet-client.crt", client)
        self.kubelet_client_key_file = _save(folder / "kubelet-client.key", client_key)
        self.accounts_key_file = _save(folder / "accounts.key", key_pem(new_key()))
        self.tokens = {user: secrets.token_hex(24) for user in USERS}
        rows = (f'{token},{user},{user},"{USERS[user]}"\n' for user, token in self.tokens.items())
        self.tokens_file = _save(folder / "tokens.csv", "".join(rows).encode())

    def client(self, user: str, group: str = "") -> tuple[bytes, bytes]:
        """A certificate and its key (PEM) by which the API server knows `user`."""
        return self._authority.issue_client(user, group)

    def kubeconfig(self, user: str, server: str) -> Path:
        """Write (again) the kubeconfig of `user` for the API server at `server`."""
        return write_kubeconfig(
            self.folder / f"{user.rpartition(':')[2]}.kubeconfig", server, self.ca_file.read_bytes(), self.tokens[user]
        )


def write_kubeconfig(path: Path, server: str, ca: bytes, token: str) -> Path:
    """A kubeconfig with one user, who shows a token."""
    return _write_kubeconfig(path, server, ca, f'token: "{token}"')


def write_certificate_kubeconfig(path: Path, server: str, ca: bytes, certificate: bytes, key: bytes) -> Path:
    """A kubeconfig with one user, who shows a client certificate."""
    shown = {"client-certificate-data": certificate, "client-key-data": key}
    return _write_kubeconfig(
        path, server, ca, ", ".join(f"{name}: {base64.b64encode(data).decode()}" for name, data in shown.items())
    )


def _write_kubeconfig(path: Path, server: str, ca: bytes, credential: str) -> Path:
    text = f"""\
apiVersion: v1
kind: Config
current-context: test
clusters: [{{name: test, cluster: {{server: "{server}", certificate-authority-data: {base64.b64encode(ca).decode()}}}}}]
users: [{{name: test, user: {{{credential}}}}}]
contexts: [{{name: test, context: {{cluster: test, user: test}}}}]
"""
    return _save(path, text.encode())


def _save(path: Path, data: bytes) -> Path:
    path.touch(mode=0o600)
    path.write_bytes(data)
    return path
