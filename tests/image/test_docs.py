"""What the pages say of Docker is done, on a real one."""

from pathlib import Path

import pytest
import yaml

from console.doubles.kube import kubeconfig
from tests.docs.blocks import Stage, all_blocks, pages_on
from tests.docs.reader import Reader, checkout
from tests.image.compose import UP_S
from tests.image.dockerd import Docker
from tests.servers import free_port
from tests.unit.docs.pages import name_of

pytestmark = pytest.mark.timeout(900)

PROJECTS = (["--profile", "demo"], ["-p", "logstream-demo", "--env-file", "compose/demo.env", "--profile", "demo"])


@pytest.mark.parametrize("page", pages_on(Stage.DOCKER), ids=name_of)
def test_what_a_page_says_can_be_done(page: Path, docker: Docker, image: str, prometheus: str, tmp_path: Path) -> None:
    folder = checkout(tmp_path / "reader")
    built = docker("image", "inspect", "--format", "{{.Id}}", image).strip()
    stand_for_coder_and_a_cluster(folder, image)
    environ = {
        **docker.environ,
        "ARGS": "--network host --quiet",  # the daemon's own network leads nowhere
        "LOGSTREAM_PROMETHEUS_PORT": str(free_port()),
    }
    stand_ins = {
        r"(?<=LOGSTREAM_PROMETHEUS_PORT=)9091": lambda: str(free_port()),
        r"https://coder\.example\.com": lambda: "http://real-coder:8080",
    }
    try:
        with Reader(folder, stand_ins, environ) as reader:
            for block in all_blocks([page]):
                if block.stage is Stage.DOCKER:
                    reader.end("docker")
                    reader.do(block)
    finally:
        for project in PROJECTS:
            docker("compose", *project, "down", "--volumes", "--timeout", "20", cwd=folder, within_s=UP_S)
        docker("tag", built, image)  # a page may have built another of that name


def stand_for_coder_and_a_cluster(folder: Path, image: str) -> None:
    """What `.env` will name: a Coder and a cluster, beside the services of compose.yaml."""
    confined = {"image": image, "read_only": True, "stop_signal": "SIGINT"}
    modules = {"real-coder": "console.doubles.coder", "real-cluster": "console.doubles.kube"}
    services = {
        name: {**confined, "entrypoint": ["python", "-m", module, "--listen", "0.0.0.0:8080"]}
        for name, module in modules.items()
    }
    (folder / "compose.override.yaml").write_text(yaml.safe_dump({"services": services}))
    (folder / "kubeconfig").write_text(kubeconfig("http://real-cluster:8080"))
