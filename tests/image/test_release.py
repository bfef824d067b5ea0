"""What a release does, with the real tools: a checker of workflows, the chart as it is published, wheels for arm64."""

import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
import yaml

from tests.chart.helm import helm_binary
from tests.required import missing

ROOT = Path(__file__).resolve().parents[2]
ACTIONLINT = "github.com/rhysd/actionlint/cmd/actionlint@v1.7.12"

pytestmark = pytest.mark.timeout(600)


def test_the_workflows_are_ones_that_github_understands() -> None:
    if shutil.which("go") is None:
        missing("actionlint", "install Go 1.25 or newer")
    checked = subprocess.run(
        ["go", "run", ACTIONLINT, "-color=false"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


def package(folder: Path, repo: str, version: str) -> "subprocess.CompletedProcess[str]":
    helm = folder / "bin" / "helm"
    helm.parent.mkdir()
    helm.symlink_to(helm_binary())
    return subprocess.run(
        [ROOT / "charts" / "package", repo, version, folder / "dist"], text=True, capture_output=True, check=False,
        env={**os.environ, "PATH": f"{helm.parent}:{os.environ['PATH']}", "HOME": str(folder)},
    )  # fmt: skip


def test_the_published_chart_names_the_published_image(tmp_path: Path) -> None:
    done = package(tmp_path, "ghcr.io/some-org/fork", "1.2.3")
    assert done.returncode == 0, done.stderr
    with tarfile.open(tmp_path / "dist" / "coder-logstream-1.2.3.tgz") as chart:
        chart.extractall(tmp_path, filter="data")
    metadata = yaml.safe_load((tmp_path / "coder-logstream" / "Chart.yaml").read_text())
    assert (metadata["version"], metadata["appVersion"]) == ("1.2.3", "1.2.3")
    rendered = subprocess.run(
        [tmp_path / "bin" / "helm", "template", "x", tmp_path / "coder-logstream", "--set", "url=https://c.example.com"],
        check=True, capture_output=True, text=True, env={**os.environ, "HOME": str(tmp_path)},
    ).stdout  # fmt: skip
    images = {line.split("image:")[1].strip().strip('"') for line in rendered.splitlines() if " image:" in line}
    assert images == {"ghcr.io/some-org/fork:1.2.3"}


def test_everything_locked_has_a_wheel_for_arm64(tmp_path: Path) -> None:
    """What the image installs there: nothing is compiled."""
    tags = [f"--platform=manylinux_2_{minor}_aarch64" for minor in (17, 28, 34)]
    subprocess.run(
        [
            sys.executable, "-m", "pip", "install", "--dry-run", "--quiet", "--disable-pip-version-check",
            "--ignore-installed", "--target", tmp_path, "--only-binary=:all:", "--python-version=3.13", *tags,
            "--platform=manylinux2014_aarch64", "--require-hashes", "--requirement", ROOT / "requirements.lock",
        ],
        check=True,
    )  # fmt: skip
