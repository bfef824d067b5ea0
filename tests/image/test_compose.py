"""`docker compose up` on a real Docker: the demo, a system between doubles that stand for real ones, and refusals."""

import re
import uuid
from pathlib import Path

import pytest
import yaml

from console.demo_story import stories
from console.doubles.kube import kubeconfig
from tests.image.compose import ROOT, UP_S, Project, project
from tests.image.dockerd import Docker
from tests.integration.console.commands import Cluster, coder_lines, double, until
from tests.servers import free_port

pytestmark = pytest.mark.timeout(900)

WATCHER, SHIPPER = "coder-logstream-watcher", "coder-logstream-shipper"
HOST = ROOT / "compose.host.yaml"
COUNT = "import redis; print(redis.Redis(password=open('/settings/redis/redis-password').read()).dbsize())"
READ = "print(open('/settings/{}').read())"


OF_REDIS = "/var/lib/coder-logstream/valkey/"
FILES = {
    "redis": {f"/settings/redis/{name}-password" for name in ("redis", "watcher", "shipper")},
    "watcher": {f"/settings/watcher/{name}" for name in ("kubeconfig", "token-key", "watcher.toml")},
    "shipper": {"/settings/shipper/shipper.toml", "/settings/shipper/token-key"},
}
"""What the container of each service has beside the image."""
LIST = """
import os
mounts = [line.split()[4] for line in open("/proc/self/mountinfo")]
ours = [m for m in mounts if m != "/" and not m.startswith(("/proc", "/sys", "/dev", "/etc/"))]
print(*sorted({os.path.join(where, file) for m in ours for where, _, files in os.walk(m) for file in files}), sep="\\n")
"""


def assert_each_sees_its_own_only(system: Project) -> None:
    """No container has another's credentials, nor what Redis keeps on disk."""
    seen = {service: set(system.python(service, LIST).split()) for service in FILES}
    kept = {path for path in seen["redis"] if path.startswith(OF_REDIS)}
    assert any(path.endswith(".aof") for path in kept)
    assert {**seen, "redis": seen["redis"] - kept} == FILES
    passwords = {
        name: system.python("redis", READ.format(f"redis/{name}-password")).strip() for name in ("watcher", "redis")
    }
    shippers = "".join(
        system.python("shipper", READ.format(path.removeprefix("/settings/"))) for path in FILES["shipper"]
    )
    assert [name for name, password in passwords.items() if password in shippers] == []


def delivers(cluster: Cluster, coder: str) -> None:
    """A workspace that starts now has its line in Coder."""
    until(lambda: cluster.watches() >= 3, "the watcher watches")
    token = str(uuid.uuid4())
    cluster.start_workspace("ws-1", token)
    until(lambda: any("🐳 Created pod: ws-1" in line for line in coder_lines(coder, token)), "the line is in Coder")


def test_the_demo_shows_all_its_stories_with_three_shippers(docker: Docker, image: str, prometheus: str) -> None:
    with project(docker, {}) as demo:
        demo("--profile", "demo", "up", "--detach", "--scale", "shipper=3", within_s=UP_S)
        assert demo("--profile", "demo", "wait", "demo", within_s=UP_S).strip().endswith("0")
        shown = demo.logs("--no-log-prefix", "demo")
        assert re.search(r"lost 0 · repeated 0\s*$", shown), shown[-300:]
        for story in stories(0):
            assert f"{story.workspace} {story.title}" in shown
        demo.until_scraped(WATCHER, SHIPPER, SHIPPER, SHIPPER)
        rules = yaml.safe_load((ROOT / "charts" / "coder-logstream" / "files" / "rules.yaml").read_text())
        assert [group["name"] for group in demo.ask("rules")["groups"]] == sorted(g["name"] for g in rules["groups"])


@pytest.fixture
def real_ones(image: str, tmp_path: Path) -> tuple[Path, str, str]:
    """A Compose file with a Coder and a cluster that are not the demo's, and their URLs on this machine."""
    coder_port, kube_port = free_port(), free_port()
    confined = {"image": image, "read_only": True, "stop_signal": "SIGINT"}
    listen = ["--listen", "0.0.0.0:8080"]
    services = {
        "real-coder": {
            **confined,
            "entrypoint": ["python", "-m", "console.doubles.coder", "--auto-agents", *listen],
            "ports": [f"127.0.0.1:{coder_port}:8080"],
        },
        "real-cluster": {
            **confined,
            "entrypoint": ["python", "-m", "console.doubles.kube", *listen],
            "ports": [f"127.0.0.1:{kube_port}:8080"],
        },
    }
    file = tmp_path / "real.yaml"
    file.write_text(yaml.safe_dump({"services": services}))
    return file, f"http://127.0.0.1:{coder_port}", f"http://127.0.0.1:{kube_port}"


def test_two_settings_are_enough_and_what_waits_outlives_a_crash_of_redis(
    docker: Docker, prometheus: str, real_ones: tuple[Path, str, str], tmp_path: Path
) -> None:
    more, coder, cluster_url = real_ones
    mine = tmp_path / "kubeconfig"
    mine.write_text(kubeconfig("http://real-cluster:8080"))
    mine.chmod(0o600)  # as kubectl leaves it: the programs' user may not read it
    settings = {"CODER_URL": "http://real-coder:8080", "LOGSTREAM_KUBECONFIG": str(mine)}
    with project(docker, settings, more) as system:
        system("up", "--detach", "--scale", "shipper=3", "--wait", within_s=UP_S)
        assert system.services() == {
            "prepare", "redis", "watcher", "shipper", "prometheus", "real-coder", "real-cluster",
        }  # fmt: skip
        cluster = Cluster(cluster_url)
        delivers(cluster, coder)
        assert_each_sees_its_own_only(system)
        key = system.python("watcher", READ.format("watcher/token-key"))
        before = int(system.python("redis", COUNT))
        system("kill", "redis")
        system("up", "--detach", "--scale", "shipper=3", "--wait", within_s=UP_S)
        assert 0 < before <= int(system.python("redis", COUNT))
        assert system.python("watcher", READ.format("watcher/token-key")) == key
        delivers(cluster, coder)


def test_a_coder_and_a_cluster_on_this_machines_loopback_work_with_the_setting_that_is_named(
    docker: Docker, image: str, prometheus: str, tmp_path: Path
) -> None:
    mine = tmp_path / "kubeconfig"
    with (
        double("coder", "--auto-agents") as coder,
        double("kube", "--write-kubeconfig", str(mine)) as cluster_url,
    ):
        until(mine.exists, "the double has written its kubeconfig")
        settings = {"CODER_URL": coder, "LOGSTREAM_KUBECONFIG": str(mine), "LOGSTREAM_REDIS_PORT": str(free_port())}
        with project(docker, settings) as apart:
            said = apart.refusal()
            assert said.startswith("prepare: CODER_URL: http://127.0.0.1:")
            assert f"COMPOSE_FILE=compose.yaml:{HOST.name}" in said
        with project(docker, settings, HOST) as beside:
            beside("up", "--detach", "--wait", within_s=UP_S)
            delivers(Cluster(cluster_url), coder)
            beside.until_scraped(WATCHER, SHIPPER)


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({}, "prepare: CODER_URL is not set; "),
        ({"CODER_URL": "https://coder.example.com"}, "prepare: LOGSTREAM_KUBECONFIG is not set; "),
    ],
)
def test_a_setting_that_is_missing_is_named(docker: Docker, image: str, settings: dict[str, str], why: str) -> None:
    with project(docker, settings) as system:
        assert system.refusal().startswith(why)


def test_a_kubeconfig_that_is_not_there_is_named(docker: Docker, image: str, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    settings = {"CODER_URL": "https://coder.example.com", "LOGSTREAM_KUBECONFIG": str(gone)}
    with project(docker, settings) as system, pytest.raises(Exception, match=str(gone)):
        system("up", "--detach", "prepare", within_s=UP_S)
    assert not gone.exists()
