"""A whole installation between the doubles, and the real Prometheus that scrapes it with the rules that ship."""

import contextlib
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec
import redis
from cryptography.fernet import Fernet

from console.demo_story import Story, stories
from console.doubles import coder_control
from console.doubles.faults import Answer, Injection
from console.doubles.kube_control import CutWatches, Forbid, Play, Put, SendLine
from tests.integration.console.commands import Cluster, Coder, Running, double, running, until
from tests.metrics.prometheus import Prometheus, running_prometheus
from tests.metrics.shipped import RULES
from tests.redis_builds import NEWEST
from tests.servers import RedisServer, free_port, running_redis

LABELS: Final = {"namespace": "logstream"}
"""As Kubernetes would name where the programs run."""
PLAYED: Final = ("alice/web", "frank/train")
"""A start as it should be, and one that is killed for its memory."""


class Stack(msgspec.Struct, frozen=True):
    """What runs."""

    kube: Cluster
    coder: Coder
    server: RedisServer
    watcher: Running
    shippers: Running
    prometheus: Prometheus
    pages: dict[str, str]
    """Where each job's metrics are."""

    def play(self) -> None:
        """Two recorded workspaces begin to start; what the crashed one wrote may not be read."""
        self.kube.apply(Forbid(resource="pods/log"))
        plots: list[Story] = [story for story in stories(time.time()) if story.workspace in PLAYED]
        self.coder.apply(*(coder_control.AddAgent(story.token) for story in plots))
        self.kube.apply(*(Play(list(story.steps)) for story in plots))

    def hold_an_agent(self) -> None:
        """A build that does not end."""
        token = str(uuid.uuid4())
        self.coder.apply(coder_control.AddAgent(token, ready=False))
        self.kube.start_workspace("building", token)

    def refuse_lines(self) -> None:
        """Coder cannot store what one workspace says."""
        token = str(uuid.uuid4())
        refusal = Answer(400, '{"message":"Invalid log level provided."}', {"Content-Type": "application/json"})
        self.coder.apply(
            coder_control.AddAgent(token),
            coder_control.Inject(Injection(refusal, 100, {"endpoint": "logs", "token": token})),
        )
        self.kube.start_workspace("refused", token)

    def limit_requests(self) -> None:
        """Others have used up what Coder grants our address."""
        token = str(uuid.uuid4())
        refusal = Answer(429, '{"message":"You\'ve been rate limited"}', {"Retry-After": "60"})
        where = {"endpoint": "log_source", "token": token}
        self.coder.apply(coder_control.AddAgent(token), coder_control.Inject(Injection(refusal, 1, where)))
        self.kube.start_workspace("limited", token)

    def hide_a_token(self) -> None:
        """A workspace's token lies in a Secret that may not be read."""
        source = {"secretKeyRef": {"name": "agent", "key": "token"}}
        pod = {
            "metadata": {"name": "hidden", "namespace": "coder", "uid": str(uuid.uuid4())},
            "spec": {"containers": [{"name": "dev", "env": [{"name": "CODER_AGENT_TOKEN", "valueFrom": source}]}]},
        }
        self.kube.apply(Forbid(resource="secrets"), Put("pods", pod))

    def garble(self) -> None:
        """The API server says what nobody understands."""
        self.kube.apply(SendLine('{"type":"ADDED","object":{"metadata":7}}\n', "pods"))

    def forbid(self) -> None:
        """A right is taken away."""
        self.kube.apply(Forbid(resource="replicasets"), CutWatches("replicasets"))

    def fill_redis(self) -> None:
        """The memory of Redis is used up, and something happens."""
        with redis.Redis(port=self.server.port) as client:
            client.config_set("maxmemory", "1")
        self.kube.start_workspace("late", str(uuid.uuid4()))


@contextlib.contextmanager
def running_stack(folder: Path) -> Iterator[Stack]:
    """Valkey, the doubles, one watcher, two shippers under one address, Prometheus."""
    kubeconfig = folder / "kubeconfig"
    pages = {job: f"127.0.0.1:{free_port()}" for job in ("watcher", "shipper")}
    with (
        double("coder", "--rate-limit", "512") as coder,
        double("kube", "--write-kubeconfig", str(kubeconfig)) as kube,
        running_redis(NEWEST.binary(), folder / "valkey") as server,
    ):
        until(kubeconfig.exists, "the double has written its kubeconfig")
        environ = {
            "CODER_LOGSTREAM_REDIS_URL": server.url,
            "CODER_LOGSTREAM_TOKEN_KEY": Fernet.generate_key().decode(),
            "KUBECONFIG": str(kubeconfig),
            "CODER_URL": coder,
        }
        watch = ("watcher", "--metrics-addr", pages["watcher"], "--crash-log-lines", "5")
        ship = ("shipper", "--metrics-addr", pages["shipper"], "--processes", "2")
        with (
            running(folder / "watcher.log", *watch, environ=environ) as watcher,
            running(folder / "shipper.log", *ship, environ=environ) as shippers,
            running_prometheus(folder / "prometheus", pages, [RULES], LABELS) as prometheus,
        ):
            cluster = Cluster(kube)
            until(lambda: cluster.watches() >= 3, "the watcher watches")
            yield Stack(cluster, Coder(coder), server, watcher, shippers, prometheus, pages)
