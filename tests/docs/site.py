"""What the pages presume of a reader: a cluster with a workspace, a Coder, Redis servers of each kind, a token key."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import redis
import redis.asyncio

from common.crypto import TokenVault, new_token_key
from common.store.keys import Keys
from console.doubles.coder_control import AddAgent
from console.doubles.kube_control import Put
from tests.certificates import LOOPBACK, Authority
from tests.docs.reader import Reader, StandIns
from tests.integration.console.commands import Cluster, Coder, coder_lines, double, until
from tests.redis_builds import NEWEST, SYSTEM
from tests.sentinels import SERVICE, running_sentinels
from tests.servers import free_port, running_redis

__all__ = ["NAMESPACE", "Site", "some_site"]

NAMESPACE: Final = "coder-workspaces"
_PASSWORD: Final = "PASSWORD"
"""As the pages have it, and the other names too."""
_USERS: Final = ("logstream-watcher", "logstream-shipper")


class Site:
    """The doubles run; a Redis is started when a page names it."""

    def __init__(self, folder: Path, coder: str, cluster: Cluster, stack: contextlib.ExitStack) -> None:
        self._folder = folder
        self.coder = coder
        self._cluster = cluster
        self._stack = stack
        self._token = self._new_agent()
        self._started: dict[str, str] = {}
        self._put_workspace()

    @property
    def stand_ins(self) -> StandIns:
        return {
            r"https://coder\.example\.com": lambda: self.coder,
            r"(?<=CODER_TOKEN=)TOKEN": self._new_agent,
            r"(?<=--metrics-addr ):9100": _free_address,
            r"(?<=--probe-addr )127\.0\.0\.1:9101": _free_address,
            r"redis\.example\.com:6379": lambda: self._once("plain", self._plain),
            r"redis\.example\.com:6380/0\?ssl_ca_certs=/etc/redis-tls/ca\.pem": lambda: self._once("tls", self._tls),
            r"USER:PASSWORD@sentinel-1\S+/mymaster": lambda: self._once("guarded", self._guarded),
            r"redis://redis:6379": lambda: self._once("lost", self._with_a_lost_key),
        }

    def until_told(self, reader: Reader) -> None:
        """Something happens to the workspace; until it is in Coder, or in what a dry run writes."""
        text = f"happened {uuid.uuid4().hex[:8]}"
        self._cluster.say("web", self._uid, "Noted", text, NAMESPACE)

        def heard() -> bool:
            return text in "\n".join([*coder_lines(self.coder, self._token), *reader.written()])

        until(heard, f"{text!r} is told")

    def _new_agent(self) -> str:
        token = str(uuid.uuid4())
        Coder(self.coder).apply(AddAgent(token))
        return token

    def _put_workspace(self) -> None:
        self._uid = str(uuid.uuid4())
        labels = {"com.coder.workspace.name": "web", "com.coder.user.username": "alice"}
        env = [{"name": "CODER_AGENT_TOKEN", "value": self._token}]
        metadata = {"name": "web", "namespace": NAMESPACE, "uid": self._uid, "labels": labels}
        pod = {"metadata": metadata, "spec": {"containers": [{"name": "dev", "env": env}]}}
        self._cluster.apply(Put("pods", {**pod, "status": {"phase": "Pending"}}))

    def _once(self, name: str, start: Callable[[Path], str]) -> str:
        if name not in self._started:
            self._started[name] = start(self._folder / name)
        return self._started[name]

    def _plain(self, folder: Path) -> str:
        """Its users have passwords, and no rights: a page has to give them."""
        port = self._stack.enter_context(running_redis(NEWEST.binary(), folder, {"appendonly": "yes"})).port
        with redis.Redis(port=port) as client:
            for user in _USERS:
                client.acl_setuser(user, enabled=True, passwords=[f"+{_PASSWORD}"])
            client.config_set("requirepass", _PASSWORD)
        return f"127.0.0.1:{port}"

    def _tls(self, folder: Path) -> str:
        folder.mkdir()
        authority = Authority()
        certificate, key = authority.issue("redis", [LOOPBACK])
        files = {"ca": authority.certificate_pem, "certificate": certificate, "key": key}
        for name, pem in files.items():
            (folder / f"{name}.pem").write_bytes(pem)
        port = free_port()
        options = {
            "tls-port": str(port), "tls-auth-clients": "no", "tls-ca-cert-file": str(folder / "ca.pem"),
            "tls-cert-file": str(folder / "certificate.pem"), "tls-key-file": str(folder / "key.pem"),
        }  # fmt: skip
        plain = self._stack.enter_context(running_redis(SYSTEM.binary(), folder, options)).port
        with redis.Redis(port=plain) as client:
            client.acl_setuser(
                _USERS[1], enabled=True, passwords=[f"+{_PASSWORD}"], keys="*", channels="*", commands=["+@all"]
            )
        return f"{LOOPBACK}:{port}/0?ssl_ca_certs={folder / 'ca.pem'}"

    def _guarded(self, folder: Path) -> str:
        """Its servers ask for no password, and take any."""
        guarded = self._stack.enter_context(running_sentinels(NEWEST, folder))
        hosts = ",".join(f"127.0.0.1:{port}" for port in guarded.sentinels)
        return f"default:{_PASSWORD}@{hosts}/{SERVICE}"

    def _with_a_lost_key(self, folder: Path) -> str:
        url = self._stack.enter_context(running_redis(NEWEST.binary(), folder)).url.removesuffix("/0")
        asyncio.run(_seal(url))
        return url


async def _seal(url: str) -> None:
    """Data under a key that nobody keeps."""
    async with redis.asyncio.Redis.from_url(url) as client:
        await TokenVault.open(client, Keys(), [new_token_key()])


def _free_address() -> str:
    return f"127.0.0.1:{free_port()}"


@contextlib.contextmanager
def some_site(folder: Path) -> Iterator[tuple[Site, Path]]:
    """A site and a kubeconfig for its cluster."""
    kubeconfig = folder / "kubeconfig-of-the-site"
    with (
        contextlib.ExitStack() as stack,
        double("coder") as coder,
        double("kube", "--write-kubeconfig", str(kubeconfig)) as kube,
    ):
        until(kubeconfig.exists, "the double has written its kubeconfig")
        yield Site(folder, coder, Cluster(kube), stack), kubeconfig
