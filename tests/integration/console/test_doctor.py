"""`coder-logstream doctor` with real doubles and a real Valkey: what it says, and how it ends."""

import asyncio
import base64
import json
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from console.doubles.coder_control import Inject, SetRateLimit
from console.doubles.faults import Answer, Injection
from console.doubles.kube_control import Forbid, Put
from tests.integration.console.commands import Cluster, Coder, clean_environ, command, double, until
from tests.relays import Clinging, Collecting, CollectingBodies, Cutting, Ending, Relay, Swallowing
from tests.servers import free_port

pytestmark = pytest.mark.timeout(120)


class Site:
    """A cluster, a Coder and a Redis, and `doctor` before them."""

    def __init__(self, coder_url: str, kube_url: str, settings: dict[str, str]) -> None:
        self.coder = Coder(coder_url)
        self.cluster = Cluster(kube_url)
        self.settings = settings

    def doctor(self, *flags: str, **changes: str) -> "Told":
        done = subprocess.run(
            command("doctor", "--output", "json", *flags), env=clean_environ({**self.settings, **changes}),
            stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
        )  # fmt: skip
        return Told(done)

    def text(self, *flags: str, **changes: str) -> str:
        return subprocess.run(
            command("doctor", *flags), env=clean_environ({**self.settings, **changes}), stdin=subprocess.DEVNULL,
            capture_output=True, text=True, check=False,
        ).stdout  # fmt: skip


class Told:
    def __init__(self, done: "subprocess.CompletedProcess[str]") -> None:
        self.code = done.returncode
        self.output = done.stdout + done.stderr
        self.report: dict[str, Any] = json.loads(done.stdout)

    @property
    def findings(self) -> list[dict[str, str]]:
        return list(self.report["findings"])

    def of(self, area: str, about: str) -> list[tuple[str, str]]:
        """Mark and text of all lines about that."""
        return [
            (each["mark"], f"{each['said']} → {each['remedy']}")
            for each in self.findings
            if each["area"] == area and each["about"] == about
        ]

    def marked(self, mark: str) -> list[str]:
        return [f"{each['area']}: {each['about']}: {each['said']}" for each in self.findings if each["mark"] == mark]


@pytest.fixture
def site(redis_url: str, prefix: str, token_key: str, tmp_path: Path) -> Iterator[Site]:
    kubeconfig = tmp_path / "kubeconfig"
    with double("coder") as coder, double("kube", "--write-kubeconfig", str(kubeconfig)) as kube:
        until(kubeconfig.exists, "the double has written its kubeconfig")
        settings = {
            "CODER_URL": coder, "CODER_LOGSTREAM_REDIS_URL": redis_url, "CODER_LOGSTREAM_REDIS_PREFIX": prefix,
            "CODER_LOGSTREAM_TOKEN_KEY": token_key, "KUBECONFIG": str(kubeconfig),
        }  # fmt: skip
        yield Site(coder, kube, settings)


def test_where_all_is_well_every_line_is_a_tick_and_the_exit_code_is_0(site: Site) -> None:
    site.cluster.start_workspace("web", str(uuid.uuid4()))
    told = site.doctor("--namespaces", "coder")
    assert told.marked("failure") == []
    # This Valkey keeps nothing on disk.
    assert told.marked("warning") == [
        "Redis: persistence: the append-only file is off: a restart of Redis loses what waits in it"
    ]
    assert told.code == 0
    assert told.of("Kubernetes", "workspaces") == [("ok", "1 of 1 pods have an agent token → ")]
    assert {(each["area"], each["about"]) for each in told.findings} >= {
        ("Kubernetes", "cluster"), ("Kubernetes", "selectors"), ("Kubernetes", "permissions in namespace coder"),
        ("Kubernetes", "watch"),
        ("Coder", "address"), ("Coder", "TLS"), ("Coder", "log API (POST log-source)"),
        ("Coder", "log API (PATCH logs)"),
        ("Coder", "clock"), ("Coder", "rate limit"), ("Redis", "address"), ("Redis", "version"), ("Redis", "eviction"),
        ("Redis", "memory"), ("Redis", "rights"), ("Redis", "scripts"), ("Redis", "schema"), ("Redis", "queue"),
        ("token key", "token key"),
    }  # fmt: skip


def test_a_right_that_is_lacking_in_one_namespace_is_named_with_what_to_grant(site: Site) -> None:
    site.cluster.apply(
        Put("namespaces", {"metadata": {"name": "a"}}),
        Put("namespaces", {"metadata": {"name": "b"}}),
        Forbid(verb="watch", resource="events", namespace="b"),
        Forbid(verb="get", resource="secrets", namespace="b"),
    )
    told = site.doctor("--namespaces", "a,b")
    assert told.code == 1
    assert [mark for mark, _ in told.of("Kubernetes", "permissions in namespace a")] == ["ok"]
    events, secrets = told.of("Kubernetes", "permissions in namespace b")[1:]
    assert events == (
        "failure",
        "may not watch events: no Event is seen → grant watch on events in a Role in namespace b or in a ClusterRole",
    )
    assert secrets[0] == "warning"
    assert secrets[1].startswith("may not get secrets: agents whose token lies in one are not found, unless")


def test_a_secret_that_is_forbidden_is_counted_and_no_token_is_shown(site: Site) -> None:
    token = str(uuid.uuid4())
    secret = {"metadata": {"name": "s", "namespace": "coder"}, "data": {"t": base64.b64encode(token.encode()).decode()}}
    env = [{"name": "CODER_AGENT_TOKEN", "valueFrom": {"secretKeyRef": {"name": "s", "key": "t"}}}]
    pod = {"metadata": {"name": "web", "namespace": "coder"}, "spec": {"containers": [{"name": "dev", "env": env}]}}
    site.cluster.apply(Put("secrets", secret), Put("pods", pod))
    told = site.doctor("--namespaces", "coder")
    assert told.of("Kubernetes", "workspaces") == [("ok", "1 of 1 pods have an agent token → ")]
    assert token not in told.output
    site.cluster.apply(Forbid(verb="get", resource="secrets"))
    ((mark, said),) = site.doctor("--namespaces", "coder").of("Kubernetes", "workspaces")
    assert mark == "warning"
    assert said.startswith("0 of 1 pods have an agent token; of others it cannot be read: 1 secret_forbidden")


@pytest.mark.parametrize(
    ("between", "mark", "said"),
    [
        (Relay, "ok", "one of pods in namespace coder was answered after "),
        (Collecting, "failure", "one of pods in namespace coder is answered only with its end, after 2."),
        (
            CollectingBodies,
            "failure",
            "one of pods in namespace coder is answered at once, but tells only with its end",
        ),
        (Cutting, "failure", "one of pods in namespace coder broke off after 0."),
        (Ending, "failure", "one of pods in namespace coder ended after 0."),
        (Clinging, "failure", "one of pods in namespace coder was to end after 2 s, and its end did not come within"),
        (Swallowing, "failure", "one of pods in namespace coder had no answer within 10 s, though lists are answered"),
    ],
)
async def test_what_something_in_between_does_to_watches_is_said(
    site: Site, tmp_path: Path, between: type[Relay], mark: str, said: str
) -> None:
    site.cluster.start_workspace("web", str(uuid.uuid4()))
    async with between(Path(site.settings["KUBECONFIG"])) as relay:
        kubeconfig = str(relay.write_kubeconfig(tmp_path / "relayed"))
        told = await asyncio.to_thread(site.doctor, "--namespaces", "coder", KUBECONFIG=kubeconfig)
    ((is_marked, is_said),) = told.of("Kubernetes", "watch")
    assert (is_marked, is_said[: len(said)]) == (mark, said)
    others = [each for each in told.findings if each["area"] == "Kubernetes" and each["about"] != "watch"]
    assert {each["mark"] for each in others} == {"ok"}  # lists pass
    assert told.code == (mark == "failure")


async def test_a_collecting_proxy_is_noticed_where_no_pod_is_and_the_remedy_is_named(
    site: Site, tmp_path: Path
) -> None:
    async with Collecting(Path(site.settings["KUBECONFIG"])) as relay:
        shown = await asyncio.to_thread(site.text, KUBECONFIG=str(relay.write_kubeconfig(tmp_path / "relayed")))
    (line,) = [line for line in shown.splitlines() if "Kubernetes: watch" in line]
    assert line.startswith("✗ Kubernetes: watch: one of pods in the cluster is answered only with its end")
    assert "(nginx: proxy_buffering off)" in line
    assert line.endswith("longer than --watch-timeout-s, 300 s (nginx: proxy_read_timeout)")


def test_what_coder_is_not_and_what_it_limits_is_said(site: Site) -> None:
    site.coder.apply(SetRateLimit(10))
    site.coder.apply(Inject(Injection(Answer(403, "<html>who are you?"), 1, {"endpoint": "logs"})))
    told = site.doctor()
    assert told.code == 1
    ((mark, said),) = told.of("Coder", "log API (PATCH logs)")
    assert (mark, said.partition(" → ")[0]) == ("failure", "answers 403, which Coder does not say")
    ((mark, said),) = told.of("Coder", "rate limit")
    assert (mark, said.partition(" → ")[0]) == ("ok", "10 requests a minute for this address and path, 9 left")


def test_without_coders_address_the_rest_is_looked_at(site: Site) -> None:
    told = site.doctor(CODER_URL="")
    assert told.of("Coder", "address")[0][0] == "warning"
    assert told.code == 0


def test_nothing_that_answers_is_three_crosses_in_the_order_of_the_way(site: Site, tmp_path: Path) -> None:
    nobody = free_port()
    shown = site.text(
        CODER_URL=f"http://127.0.0.1:{nobody}", CODER_LOGSTREAM_REDIS_URL=f"redis://:s3cret@127.0.0.1:{nobody}/0",
        KUBECONFIG=str(tmp_path / "none"),
    )  # fmt: skip
    lines = shown.splitlines()
    assert [line.split(":")[0] for line in lines[:-1]] == ["✗ Kubernetes", "✗ Coder", "✗ Redis"]
    assert lines[-1] == "0 ✓ · 0 ⚠ · 3 ✗"
    assert "s3cret" not in shown
