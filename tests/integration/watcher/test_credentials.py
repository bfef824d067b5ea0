"""Every way in that the `kubernetes` package offers us, against the Kubernetes double over TLS where it matters."""

from __future__ import annotations

import base64
import json
import ssl
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from console.doubles.kube import KubeDouble, kubeconfig
from tests.cluster.pki import Pki
from tests.integration.watcher.rig import Rig
from tests.unit.watcher.rig import TOKEN, ManualClock, pod
from watcher.kube import RELOAD_EVERY_S, KubeClient
from watcher.kube_errors import KubeError, NoCluster, Unauthorized, Unreachable

PLUGIN = """\
import datetime, json, pathlib, sys
count = pathlib.Path(sys.argv[1])
count.write_text(str(number := int(count.read_text()) + 1))
ends = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=int(sys.argv[number + 1]))
status = {"token": f"token-{number}", "expirationTimestamp": ends.strftime("%Y-%m-%dT%H:%M:%SZ")}
print(json.dumps({"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": status}))
"""
HOUR_S = "3600"
SOON_S = "240"
"""A credential is renewed five minutes before it ends, so this one at once."""


class Plugin:
    """An exec plug-in: its n-th run answers `token-n`, valid for the n-th of `seconds`."""

    def __init__(self, folder: Path, *seconds: str) -> None:
        self._count = folder / "count"
        self._count.write_text("0")
        script = folder / "plugin.py"
        script.write_text(PLUGIN)
        self.user = _exec(script, str(self._count), *seconds)

    @property
    def runs(self) -> int:
        return int(self._count.read_text())


def _exec(script: Path, *arguments: str) -> dict[str, Any]:
    version = "client.authentication.k8s.io/v1"
    return {"exec": {"apiVersion": version, "command": sys.executable, "args": [str(script), *arguments]}}


def _write(path: Path, server: str, user: dict[str, Any], ca: bytes = b"") -> Path:
    config = json.loads(kubeconfig(server))
    config["users"][0]["user"] = user
    if ca:
        config["clusters"][0]["cluster"]["certificate-authority-data"] = base64.b64encode(ca).decode()
    path.write_text(json.dumps(config))
    return path


def _by_certificate(certificate: bytes, key: bytes) -> dict[str, Any]:
    return {
        "client-certificate-data": base64.b64encode(certificate).decode(),
        "client-key-data": base64.b64encode(key).decode(),
    }


@asynccontextmanager
async def _client(kubeconfig: Path | str, clock: ManualClock, account: Path = Path()) -> AsyncIterator[KubeClient]:
    client = KubeClient(str(kubeconfig), clock=clock, request_timeout_s=30, service_account=account)
    try:
        await client.open()
        yield client
    finally:
        await client.close()


@pytest.fixture
def pki(tmp_path: Path) -> Pki:
    return Pki(tmp_path / "pki")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


def _tls(pki: Pki, *, clients: bool = False) -> ssl.SSLContext:
    """What the double shows; `clients`: it wants to see a certificate too."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pki.server_file, pki.server_key_file)
    if clients:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(pki.ca_file)
    return context


async def _gets(client: KubeClient) -> bool:
    return b"PodList" in await client.get("/api/v1/pods")


async def test_an_exec_credential_is_renewed_before_it_expires(tmp_path: Path, clock: ManualClock) -> None:
    plugin = Plugin(tmp_path, SOON_S, HOUR_S)
    async with (
        KubeDouble(tokens={"token-2": "admin"}) as kube,
        _client(_write(tmp_path / "config", kube.url, plugin.user), clock) as client,
    ):
        # Just read, so a 401 would not make it read again: the first token must not be shown at all.
        assert await _gets(client)
        assert await _gets(client)
    assert plugin.runs == 2


async def test_an_exec_credential_that_is_refused_is_asked_for_again(tmp_path: Path, clock: ManualClock) -> None:
    plugin = Plugin(tmp_path, HOUR_S, HOUR_S)
    async with (
        KubeDouble(tokens={"token-2": "admin"}) as kube,
        _client(_write(tmp_path / "config", kube.url, plugin.user), clock) as client,
    ):
        with pytest.raises(Unauthorized):
            await client.get("/api/v1/pods")
        clock.now_s += RELOAD_EVERY_S
        assert await _gets(client)


async def test_a_watcher_lives_on_exec_credentials(rig: Rig, tmp_path: Path) -> None:
    plugin = Plugin(tmp_path, SOON_S, HOUR_S)
    async with KubeDouble(tokens={"token-2": "admin"}) as kube:
        rig.kube = kube
        config = _write(tmp_path / "exec", kube.url, plugin.user)
        async with rig.watcher(KUBECONFIG=str(config)) as watcher:
            await rig.watching()
            rig.put("pods", pod())
            await rig.until_said(TOKEN, "Pod Created")
            await watcher.stop()
    assert plugin.runs == 2  # not once for each of the requests that began together
    assert "token-" not in watcher.log()


async def test_a_plug_in_that_fails_is_said_with_its_reason(rig: Rig, tmp_path: Path) -> None:
    script = tmp_path / "plugin.py"
    script.write_text("import sys; sys.exit('log in first')")
    async with KubeDouble(tokens={"some": "admin"}) as kube:
        config = _write(tmp_path / "exec", kube.url, _exec(script))
        async with rig.watcher(KUBECONFIG=str(config)) as watcher:
            await watcher.said("exec: process returned 1", "log in first")
            await watcher.said("cannot read from the Kubernetes API", "Unauthorized")


async def test_a_client_certificate_is_shown(tmp_path: Path, pki: Pki, clock: ManualClock) -> None:
    async with KubeDouble(tls=_tls(pki, clients=True)) as kube:
        ca = pki.ca_file.read_bytes()
        nobody = _write(tmp_path / "nobody", kube.url, {}, ca)
        async with _client(nobody, clock) as client:
            with pytest.raises(KubeError):
                await client.get("/api/v1/pods")
        user = _write(tmp_path / "user", kube.url, _by_certificate(*pki.client("watcher")), ca)
        async with _client(user, clock) as client:
            assert await _gets(client)


async def test_a_client_certificate_of_a_plug_in_is_shown(tmp_path: Path, pki: Pki, clock: ManualClock) -> None:
    certificate, key = pki.client("watcher")
    status = {"clientCertificateData": certificate.decode(), "clientKeyData": key.decode()}
    answer = {"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": status}
    script = tmp_path / "plugin.py"
    script.write_text(f"print({json.dumps(answer)!r})")
    async with KubeDouble(tls=_tls(pki, clients=True)) as kube:
        config = _write(tmp_path / "config", kube.url, _exec(script), pki.ca_file.read_bytes())
        async with _client(config, clock) as client:
            assert await _gets(client)


async def test_another_authority_is_refused_until_the_kubeconfig_names_it(
    tmp_path: Path, pki: Pki, clock: ManualClock
) -> None:
    async with KubeDouble(tls=_tls(pki)) as kube:
        config = _write(tmp_path / "config", kube.url, {}, Pki(tmp_path / "old").ca_file.read_bytes())
        async with _client(config, clock) as client:
            with pytest.raises(Unreachable, match="TLS"):
                await client.get("/api/v1/pods")
            clock.now_s += RELOAD_EVERY_S
            _write(config, kube.url, {}, pki.ca_file.read_bytes())
            assert await _gets(client)


@pytest.fixture
def account(tmp_path: Path, pki: Pki, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that a pod finds at `SERVICE_ACCOUNT_DIR`, with the token `first`."""
    folder = tmp_path / "serviceaccount"
    folder.mkdir()
    (folder / "token").write_text("first")
    (folder / "ca.crt").write_bytes(pki.ca_file.read_bytes())
    monkeypatch.delenv("KUBECONFIG", raising=False)
    return folder


def _in_cluster(monkeypatch: pytest.MonkeyPatch, kube: KubeDouble) -> None:
    host, _, port = kube.url.removeprefix("https://").partition(":")
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", host)
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", port)


async def test_in_a_pod_the_service_account_is_used(
    account: Path, pki: Pki, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with KubeDouble(tokens={"first": "system:serviceaccount:ns:logstream"}, tls=_tls(pki)) as kube:
        _in_cluster(monkeypatch, kube)
        async with _client("", clock, account) as client:
            assert await _gets(client)
            assert client.host == kube.url


async def test_a_rotated_service_account_token_is_read_anew(
    account: Path, pki: Pki, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with KubeDouble(tokens={"second": "system:serviceaccount:ns:logstream"}, tls=_tls(pki)) as kube:
        _in_cluster(monkeypatch, kube)
        async with _client("", clock, account) as client:
            (account / "token").write_text("second")
            with pytest.raises(Unauthorized):
                await client.get("/api/v1/pods")
            clock.now_s += RELOAD_EVERY_S
            assert await _gets(client)


async def test_a_service_account_without_its_files_is_one_line(
    account: Path, pki: Pki, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    (account / "token").unlink()
    async with KubeDouble(tls=_tls(pki)) as kube:
        _in_cluster(monkeypatch, kube)
        with pytest.raises(NoCluster, match=r"service account cannot be used: .*token"):
            async with _client("", clock, account):
                raise AssertionError("it opened")
