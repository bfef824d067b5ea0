"""The workflows, as far as they can be judged without the service that runs them."""

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
RELEASE = ROOT / ".github" / "workflows" / "release.yml"


def jobs(workflow: Path) -> dict[str, dict[str, Any]]:
    return dict(yaml.safe_load(workflow.read_text())["jobs"])


def steps(workflow: Path) -> Iterator[dict[str, Any]]:
    for job in jobs(workflow).values():
        yield from job.get("steps", ())


def script_of(name: str) -> str:
    (step,) = (step for step in steps(RELEASE) if step.get("name") == name)
    return str(step["run"])


def names(repository: str, tag: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    """What the release calls itself in `repository`: its first step, run here."""
    github = {"GITHUB_ENV": str(folder / "env"), "GITHUB_REPOSITORY": repository, "GITHUB_REF_NAME": tag}
    return subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script_of("Names")], cwd=ROOT, text=True,
        env={"PATH": os.environ["PATH"], "REGISTRY": "ghcr.io", **github}, capture_output=True, check=False,
    )  # fmt: skip


def version() -> str:
    (found,) = re.findall(r'^version = "(.*)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    return str(found)


def test_image_and_chart_are_named_after_the_repository_that_releases(tmp_path: Path) -> None:
    assert names("Some-Org/Their-Fork", f"v{version()}", tmp_path).returncode == 0
    assert (tmp_path / "env").read_text().splitlines() == [
        f"VERSION={version()}",
        "IMAGE=ghcr.io/some-org/their-fork",
        "CHARTS=ghcr.io/some-org/their-fork/charts",
    ]


def test_a_tag_that_is_not_the_version_releases_nothing(tmp_path: Path) -> None:
    refused = names("some-org/fork", "v999.0.0", tmp_path)
    assert refused.returncode == 1
    assert f"the tag is v999.0.0, but pyproject.toml says {version()}" in refused.stdout


def test_nothing_is_named_before_it_ran_and_was_signed() -> None:
    order = [step.get("name", "") for step in steps(RELEASE)]
    built, ran, signed = map(order.index, ("Image", "The image starts, on both architectures", _SIGN))
    assert built < ran < signed
    sign, name = script_of(_SIGN).index("cosign sign"), script_of(_SIGN).index("imagetools create --tag")
    assert sign < name
    assert "--platform linux/amd64,linux/arm64" in script_of("Image")
    assert "push-by-digest=true" in script_of("Image")


_SIGN = "Sign the image, then give it its name"


def test_known_holes_are_looked_for_with_each_change_before_each_release_and_each_week() -> None:
    folder = RELEASE.parent
    audit = yaml.safe_load((folder / "audit.yml").read_text())
    assert "make audit" in [step.get("run") for step in steps(folder / "audit.yml")]
    (each,) = audit[True]["schedule"]  # YAML takes the key `on` for a yes
    assert re.fullmatch(r"\d+ \d+ \* \* \d", each["cron"])
    assert "./.github/workflows/audit.yml" in [job.get("uses") for job in jobs(folder / "ci.yml").values()]
    assert jobs(RELEASE)["publish"]["needs"] == "checks"
    assert jobs(RELEASE)["checks"]["uses"] == "./.github/workflows/ci.yml"


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_code_of_others_is_pinned_by_commit(workflow: Path) -> None:
    used = [str(step["uses"]) for step in steps(workflow) if "uses" in step]
    assert [name for name in used if not re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", name)] == []


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_no_job_may_write_that_need_not(workflow: Path) -> None:
    writers = {
        name: {right for right, level in job.get("permissions", {}).items() if level == "write"}
        for name, job in jobs(workflow).items()
    }
    wanted = {"publish": {"contents", "packages", "id-token"}} if workflow == RELEASE else {}
    assert {name: rights for name, rights in writers.items() if rights} == wanted
    assert yaml.safe_load(workflow.read_text())["permissions"] in ({}, {"contents": "read"})


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_no_script_holds_what_others_write(workflow: Path) -> None:
    """A branch's or a tag's name in a script would be run as part of it; in a variable it is text."""
    assert [step["run"] for step in steps(workflow) if "${{" in str(step.get("run", ""))] == []
