"""One daemon and one image for all tests of this folder; without a dockerd none of them runs."""

import re
import shutil
import subprocess
import tempfile
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.image.dockerd import Docker, parts, running_docker

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def docker() -> Iterator[Docker]:
    made = parts()
    with (
        tempfile.TemporaryDirectory(prefix="logstream-docker-") as folder,
        running_docker(Path(folder), made) as docker,
    ):
        yield docker


@pytest.fixture(scope="session")
def image(docker: Docker) -> str:
    """The image, as `make image` builds it. On the machine's network: the daemon's own leads nowhere."""
    subprocess.run(
        ["make", "image", "ARGS=--network host --quiet", "SOURCE=https://example.com/coder-logstream"], cwd=ROOT,
        env=dict(docker.environ), stdin=subprocess.DEVNULL, check=True,
    )  # fmt: skip
    return f"coder-logstream:{tomllib.loads((ROOT / 'pyproject.toml').read_text())['project']['version']}"


@pytest.fixture(scope="session")
def archive(docker: Docker, image: str) -> Path:
    """The image as a file, as a node takes it in."""
    file = docker.folder / "image.tar"
    docker("save", "--output", str(file), image, within_s=120)
    return file


@pytest.fixture(scope="session")
def prometheus(docker: Docker) -> str:
    """A real Prometheus under the name that compose.yaml asks the registry for."""
    (name,) = re.findall(r"image: (prom/prometheus):\$\{\w+:-(.*)\}", (ROOT / "compose.yaml").read_text())
    folder = docker.folder / "prometheus"
    folder.mkdir()
    shutil.copy(parts() / "prometheus", folder)
    (folder / "Dockerfile").write_text(
        "FROM python:3.13-slim\n"
        "COPY prometheus /bin/prometheus\n"
        "RUN install -d -o 65534 -g 65534 /prometheus\n"
        "USER 65534:65534\n"
        'ENTRYPOINT ["/bin/prometheus"]\n'
    )
    docker("build", "--quiet", "--network", "host", "--tag", ":".join(name), str(folder), within_s=300)
    return ":".join(name)
