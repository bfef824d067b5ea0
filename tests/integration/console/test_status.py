"""`coder-logstream status` beside a real `run`: the overview, one workspace's story, and why there is none."""

import base64
import json
import os
import signal
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from common.ids import AgentId
from common.store.keys import Keys
from console.doubles.coder_control import AddAgent
from console.doubles.kube_control import Forbid, Put
from console.valkey import find_socket
from tests.integration.console.commands import (
    Cluster,
    Coder,
    clean_environ,
    coder_lines,
    command,
    double,
    running,
    until,
)

pytestmark = pytest.mark.timeout(180)
NAMES = {"com.coder.workspace.name": "web", "com.coder.user.username": "alice"}


class Site:
    """A cluster, a Coder and a `run` between them; `status` looks at its embedded Valkey."""

    def __init__(self, coder_url: str, kube_url: str, settings: dict[str, str]) -> None:
        self.coder_url = coder_url
        self.coder = Coder(coder_url)
        self.cluster = Cluster(kube_url)
        self.settings = settings
        self.shown: list[str] = []

    def status(self, *words: str, code: int = 0, **changes: str) -> str:
        done = subprocess.run(
            command("status", *words), env=clean_environ({**self.settings, **changes}), stdin=subprocess.DEVNULL,
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        self.shown.append(done.stdout + done.stderr)
        assert done.returncode == code, self.shown[-1]
        return self.shown[-1]

    def json(self, *words: str, **changes: str) -> dict[str, Any]:
        return dict(json.loads(self.status("--output", "json", *words, code=0, **changes)))

    def delivered(self, token: str) -> bool:
        return len(coder_lines(self.coder_url, token)) >= 2

    def workspace(self, name: str, token: str, names: dict[str, str] = NAMES) -> str:
        """One that Coder knows, told of."""
        self.coder.apply(AddAgent(token))
        uid = self.cluster.start_workspace(name, token, names)
        until(lambda: self.delivered(token), f"lines of {name} are in Coder")
        return uid

    def says(self, text: str, *words: str) -> None:
        """Until `status` with `words` says `text`."""
        until(lambda: text in self.status(*words), f"status {words} says {text!r}: {self.shown[-1:]}")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    kubeconfig = folder / "kubeconfig"
    with double("coder") as coder, double("kube", "--write-kubeconfig", str(kubeconfig)) as kube:
        until(kubeconfig.exists, "the double has written its kubeconfig")
        settings = {
            "CODER_URL": coder, "KUBECONFIG": str(kubeconfig), "CODER_LOGSTREAM_DATA_DIR": str(folder / "data"),
            "CODER_NAMESPACES": "coder", "CODER_LABEL_SELECTOR": "kind!=other",
        }  # fmt: skip
        site = Site(coder, kube, settings)
        site.cluster.apply(Put("namespaces", {"metadata": {"name": "coder"}}))
        with running(folder / "log", "run", environ=settings):
            until(lambda: site.cluster.watches() >= 3, "the watcher watches")
            yield site


def test_a_workspace_is_in_the_overview_and_has_its_story(site: Site) -> None:
    token = str(uuid.uuid4())
    uid = site.workspace("web-1", token)
    view = site.json()
    assert [each["units"] for each in view["watchers"]] == [["coder"]]
    assert len(view["shippers"]) == 1
    assert ("alice", "web", 2) in [(each["owner"], each["workspace"], each["lines"]) for each in view["noisy"]]
    assert view["notes"] == []
    shown = site.status()
    assert " reads namespaces coder" in shown
    assert "noisy      alice/web (coder/web-1): 2 lines, " in shown

    (story,) = site.json(uid)["stories"]  # that Kubernetes alone knows
    agent = story["agent"]
    assert [each["agent"] for each in site.json(agent)["stories"]] == [agent]  # that Redis alone knows
    text = site.status("alice/web")
    assert text.startswith(f"alice/web (coder/web-1) — agent {agent}, idle\n")
    whence = "has its agent token from the value of CODER_AGENT_TOKEN (container dev)"
    assert f"  ✓ Kubernetes: Pod coder/web-1: {whence}" in text
    assert "  ✓ Kubernetes: namespace coder: read by watcher " in text
    assert "  ✓ Redis: records: none waits\n" in text
    assert "  ✓ Coder: delivered: 2 lines, " in text
    assert token not in "".join(site.shown)


def test_an_agent_that_coder_does_not_know_is_held_and_its_other_coder_is_named(site: Site) -> None:
    token = str(uuid.uuid4())
    pod = {
        "metadata": {"name": "web-2", "namespace": "coder", "annotations": NAMES},
        "spec": {
            "containers": [
                {
                    "name": "dev",
                    "env": [{"name": "CODER_AGENT_TOKEN", "value": token}],
                    "command": [
                        "sh",
                        "-c",
                        'set -e\nexport CODER_AGENT_URL="https://other.example.com/"\nexec ./coder',
                    ],
                }
            ]
        },
    }
    site.cluster.apply(Put("pods", pod))
    site.says(": Coder does not know this agent (401); its container reports to https://other.example.com, ", "web-2")
    text = site.status("web-2")
    assert "⚠ Coder: held: for " in text
    assert "wait: so it is until the workspace's build has ended" in text
    view = site.json()
    assert view["held"] == {"unauthorized": 1}
    assert ("web-2", "unauthorized") in [(each["name"], each["held_why"]) for each in view["waiting"]]
    assert token not in "".join(site.shown)


def test_an_end_that_only_a_newer_release_knows_is_unknown_and_hides_nothing_else(site: Site) -> None:
    token = str(uuid.uuid4())
    site.workspace("web-3", token)
    agent = site.json("web-3")["stories"][0]["agent"]
    socket = find_socket(Path(site.settings["CODER_LOGSTREAM_DATA_DIR"]))
    assert socket is not None
    with redis.Redis.from_url(socket) as client:
        client.hset(Keys().facts(AgentId(agent)), "ended", "weather")
    assert "✗ Coder: ended: takes no more lines: unknown, of another release (weather)" in site.status("web-3")
    assert "noisy " in site.status()


def test_what_is_not_followed_says_why_not(site: Site) -> None:
    token = str(uuid.uuid4())
    env = [{"name": "CODER_AGENT_TOKEN", "valueFrom": {"secretKeyRef": {"name": "s", "key": "t"}}}]
    secret = {"metadata": {"name": "s", "namespace": "coder"}, "data": {"t": base64.b64encode(token.encode()).decode()}}
    pod = {"metadata": {"name": "hidden", "namespace": "coder"}, "spec": {"containers": [{"name": "dev", "env": env}]}}
    site.cluster.apply(Forbid(verb="get", resource="secrets"), Put("secrets", secret), Put("pods", pod))
    assert (
        "✗ Kubernetes: Pod coder/hidden: no token for container dev from Secret s, key t: the Secret may not be read → "
        "grant get on secrets in a Role in namespace coder or in a ClusterRole"
    ) in site.status("hidden")
    assert "nothing is called nobody: no agent in Redis, no pod or ReplicaSet → is it spelt right" in site.status(
        "nobody", code=1
    )
    assert token not in "".join(site.shown)


def test_without_the_cluster_what_redis_knows_is_told(site: Site, tmp_path: Path) -> None:
    site.workspace("lonely", str(uuid.uuid4()), {})
    text = site.status("lonely", KUBECONFIG=str(tmp_path / "none"))
    assert "✓ Coder: delivered: 2 lines" in text
    assert "note: Kubernetes could not be looked into: " in text


def test_watch_shows_it_again_until_it_is_ended(site: Site) -> None:
    with subprocess.Popen(
        command("status", "--watch", "--output", "json"), env=clean_environ(site.settings), stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        first, second = (json.loads(process.stdout.readline()) for _ in range(2))
        os.kill(process.pid, signal.SIGINT)
        assert process.wait(30) == 0
    assert first["at"] < second["at"]


def test_where_no_run_is_at_work_it_says_so(tmp_path: Path) -> None:
    done = subprocess.run(
        command("status", "--data-dir", str(tmp_path / "none")), env=clean_environ(), capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr == (
        f"coder-logstream status: no run is at work on {tmp_path / 'none'}: coder-logstream run starts its own Valkey; "
        "name another Redis with --redis-url\n"
    )
