"""What the image promises, seen on a real Docker: size, rights, what is not in it, process 1, and that it works."""

import json
import math
import subprocess
import uuid
import zlib
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.image.dockerd import Docker
from tests.integration.console.commands import Cluster, coder_lines, double, until

pytestmark = pytest.mark.timeout(600)

SIZE_MAX_BYTES = 120_000_000
STARTS_WITHIN_S = 1.5
STARTS_TRIED = 8
USER = 65532


def inspected(docker: Docker, *what: str) -> dict[str, Any]:
    (found,) = json.loads(docker("inspect", *what))
    return dict(found)


def in_image(docker: Docker, image: str, script: str) -> str:
    """What `script`, a shell's, prints in a container with nothing but the image."""
    return docker("run", "--rm", "--network", "none", "--entrypoint", "sh", image, "-c", script)


def test_it_is_small_enough_to_pull(docker: Docker, image: str) -> None:
    # Level 1 packs worse than a registry's client does.
    packer, packed_bytes = zlib.compressobj(1), 0
    with subprocess.Popen(["docker", "save", image], env=dict(docker.environ), stdout=subprocess.PIPE) as saving:
        assert saving.stdout is not None
        while piece := saving.stdout.read(1 << 20):
            packed_bytes += len(packer.compress(piece))
    assert 30_000_000 < packed_bytes <= SIZE_MAX_BYTES


def test_it_says_what_it_is_and_runs_as_a_numeric_user(docker: Docker, image: str) -> None:
    config = inspected(docker, image)["Config"]
    assert config["User"] == f"{USER}:{USER}"  # runAsNonRoot cannot judge a name
    labels = {name.removeprefix("org.opencontainers.image."): text for name, text in config["Labels"].items()}
    assert labels["title"] == "coder-logstream"
    assert labels["licenses"] == "Apache-2.0"
    assert f"coder-logstream:{labels['version']}" == image
    assert labels["source"] == "https://example.com/coder-logstream"
    assert labels["revision"] not in ("", "unknown")


def test_nothing_in_it_installs_or_compiles(docker: Docker, image: str) -> None:
    tools = "pip pip3 gcc cc c++ clang tcc ld as make cargo go"
    assert in_image(docker, image, f"command -v {tools} || true") == ""
    modules = "import importlib.util as u; print([n for n in ('pip', 'ensurepip', 'hatchling') if u.find_spec(n)])"
    for python in ("python", "/usr/bin/python3"):
        assert in_image(docker, image, f'{python} -c "{modules}"') == "[]\n"
    assert in_image(docker, image, "find / -xdev -name '*.whl' 2>/dev/null || true") == ""


def test_its_user_can_change_nothing_but_data(docker: Docker, image: str) -> None:
    writable = in_image(docker, image, "find / -xdev ! -type l -writable 2>/dev/null | sort")
    kept = ("/tmp", "/var/tmp", "/run/lock", "/var/lib/coder-logstream", "/dev", "/proc")
    assert [path for path in writable.splitlines() if not path.startswith(kept)] == []
    assert in_image(docker, image, "find / -xdev -perm /6000 -type f 2>/dev/null || true") == ""


def test_everything_is_compiled_as_a_read_only_root_needs_it(docker: Docker, image: str) -> None:
    # Python tells by -v of each module whose code object it made anew instead of taking it from a file.
    compiled = "python -v -m shipper --help 2>&1 | grep '# code object from /' || true"
    assert in_image(docker, image, compiled) == ""


@pytest.mark.parametrize("confined", [["--read-only"], ["--read-only", "--user", "1000620000:0"]], ids=["own", "any"])
def test_every_program_starts_without_rights_on_a_read_only_root(
    docker: Docker, image: str, confined: list[str]
) -> None:
    bare = ["run", "--rm", "--network", "none", "--cap-drop", "ALL", "--security-opt", "no-new-privileges", *confined]
    assert docker(*bare, image, "version").startswith("coder-logstream ")
    for program in ("run", "watcher", "shipper"):
        assert "--log-level" in docker(*bare, image, program, "--help")


class Contained:
    """A container in the background, on the machine's network."""

    def __init__(self, docker: Docker, name: str) -> None:
        self._docker = docker
        self.name = name

    def shell(self, script: str) -> str:
        return self._docker("exec", self.name, "sh", "-c", script)

    def logs(self) -> str:
        done = self._docker.attempt("logs", self.name)
        return done.stdout + done.stderr

    def started_unix_s(self) -> float:
        at: str = inspected(self._docker, self.name)["State"]["StartedAt"]
        return datetime.fromisoformat(at[:26].rstrip("Z") + "+00:00").timestamp()

    def logged_unix_s(self, event: str) -> float:
        """When it logged `event` first; waits for it."""
        until(lambda: f'"{event}"' in self.logs(), event)
        lines = (json.loads(line) for line in self.logs().splitlines() if line.startswith("{"))
        at: str = next(line["timestamp"] for line in lines if line["event"] == event)
        return datetime.fromisoformat(at.replace("Z", "+00:00")).timestamp()

    def stop(self) -> int:
        """Ask once, as Kubernetes and Docker do; the exit code."""
        self._docker("stop", "--time", "60", self.name, within_s=90)
        code: int = inspected(self._docker, self.name)["State"]["ExitCode"]
        return code


@pytest.fixture
def kubeconfig(tmp_path: Path) -> Path:
    return tmp_path / "kubeconfig"


@pytest.fixture
def cluster(kubeconfig: Path) -> Iterator[Cluster]:
    with double("kube", "--write-kubeconfig", str(kubeconfig)) as url:
        until(kubeconfig.exists, "the double has written its kubeconfig")
        yield Cluster(url)


@pytest.fixture(scope="module")
def coder() -> Iterator[str]:
    with double("coder", "--auto-agents") as url:
        yield url


@pytest.fixture
def contained(docker: Docker, image: str, coder: str, cluster: Cluster, kubeconfig: Path) -> Iterator[Contained]:
    """Started as a manifest of coder-logstream-kube starts its program, the root read-only, no volume mounted."""
    name = f"peer-{uuid.uuid4().hex[:8]}"
    # Copied in, as a pod has its service account: the container's user is not this machine's.
    kubeconfig.chmod(0o644)
    docker(
        "run", "--detach", "--name", name, "--network", "host", "--read-only", "--cap-drop", "ALL",
        "--env", f"CODER_URL={coder}", "--env", "KUBECONFIG=/kubeconfig", "--volume", f"{kubeconfig}:/kubeconfig:ro",
        "--entrypoint", "/coder-logstream-kube", image,
    )  # fmt: skip
    try:
        yield Contained(docker, name)
    finally:
        print(docker.attempt("logs", name).stderr)  # noqa: T201 — pytest shows it if the test failed
        docker("rm", "--force", "--volumes", name)


def test_the_peers_manifest_with_another_image_carries_events_to_coder(
    contained: Contained, cluster: Cluster, coder: str
) -> None:
    until(lambda: cluster.watches() >= 3, "the watcher watches")
    token = str(uuid.uuid4())
    cluster.start_workspace("ws-1", token)
    until(lambda: any("🐳 Created pod: ws-1" in line for line in coder_lines(coder, token)), "the line is in Coder")
    assert contained.stop() == 0
    assert token not in contained.logs()


def test_process_1_buries_what_is_orphaned_to_it(contained: Contained, cluster: Cluster) -> None:
    until(lambda: cluster.watches() >= 3, "the watcher watches")
    contained.shell("for each in 1 2 3; do (sleep 0.1 &) ; done")

    def states() -> list[str]:
        """State and parent of each process in the container."""
        return contained.shell("for each in /proc/[0-9]*/stat; do cut -d' ' -f2-4 $each 2>/dev/null; done").splitlines()

    until(lambda: not any("(sleep)" in state for state in states()), "the orphans are gone")
    assert [state for state in states() if ") Z " in state] == []
    assert contained.shell("cat /proc/1/cmdline | tr '\\0' ' '").strip().endswith("/coder-logstream-kube")


def test_it_starts_quickly(docker: Docker, image: str) -> None:
    """From the container's start to the first probe that its program would answer, waits included. A machine that is
    busy makes a start late but none early, so one in time is enough.
    """
    tries_s: list[float] = []
    while len(tries_s) < STARTS_TRIED and min(tries_s, default=math.inf) >= STARTS_WITHIN_S:
        tries_s.append(started_within_s(docker, image))
    assert 0 < min(tries_s) < STARTS_WITHIN_S, tries_s


def started_within_s(docker: Docker, image: str) -> float:
    name = f"quick-{uuid.uuid4().hex[:8]}"
    docker(
        "run", "--detach", "--name", name, "--network", "none", "--read-only",
        "--env", "CODER_LOGSTREAM_INSECURE_PLAINTEXT_TOKENS=true", image,
        "shipper", "--coder-url", "http://127.0.0.1:1", "--redis-url", "redis://127.0.0.1:1/0",
    )  # fmt: skip
    try:
        shipper = Contained(docker, name)
        return shipper.logged_unix_s("probes are served") - shipper.started_unix_s()
    finally:
        docker("rm", "--force", "--volumes", name)
