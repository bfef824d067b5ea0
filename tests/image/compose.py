"""compose.yaml as a user starts it, under a project name of its own."""

import contextlib
import json
import urllib.request
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from tests.image.dockerd import Docker, DockerFailed
from tests.integration.console.commands import until
from tests.servers import free_port

ROOT: Final = Path(__file__).resolve().parents[2]
NO_SETTINGS: Final = ROOT / "compose" / "demo.env"
UP_S: Final = 240.0


class Project:
    """One `docker compose` project. `settings` are what a user has in .env, which the tests do not read."""

    def __init__(self, docker: Docker, settings: Mapping[str, str], files: Sequence[Path]) -> None:
        self._docker = docker
        self._files = [word for file in files for word in ("--file", str(file))]
        self.prometheus_port = free_port()
        self._environ = {**settings, "LOGSTREAM_PROMETHEUS_PORT": str(self.prometheus_port)}
        self.name = f"test-{uuid.uuid4().hex[:8]}"

    def __call__(self, *arguments: str, within_s: float = 60.0) -> str:
        """`docker compose ARGUMENTS`; its stdout. Raises DockerFailed."""
        fixed = [
            "compose",
            "--ansi",
            "never",
            "--project-name",
            self.name,
            "--env-file",
            str(NO_SETTINGS),
            *self._files,
        ]
        return self._docker(*fixed, *arguments, cwd=ROOT, environ=self._environ, within_s=within_s)

    def refusal(self) -> str:
        """What it says instead of starting."""
        with contextlib.suppress(DockerFailed):
            self("up", "--detach", "prepare", within_s=UP_S)
            self("wait", "prepare")
        return self.logs("--no-log-prefix", "prepare")

    def logs(self, *arguments: str) -> str:
        shown = self("--profile", "demo", "logs", "--no-color", *arguments)
        return shown.replace("\x1b[2K", "")  # it clears lines, wherever it writes to

    def containers(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self("ps", "--all", "--format", "json").splitlines()]

    def services(self) -> set[str]:
        return {container["Service"] for container in self.containers()}

    def python(self, service: str, source: str) -> str:
        """What `source` prints in the container of `service`."""
        return self("exec", "--no-TTY", service, "python", "-c", source)

    def targets(self) -> list[str]:
        """The jobs of the targets that Prometheus finds up, sorted."""
        found = self.ask("targets?state=active")["activeTargets"]
        return sorted(target["labels"]["job"] for target in found if target["health"] == "up")

    def ask(self, path: str) -> dict[str, Any]:
        """Prometheus' answer."""
        url = f"http://127.0.0.1:{self.prometheus_port}/api/v1/{path}"
        with urllib.request.urlopen(url, timeout=10) as answer:
            return dict(json.load(answer)["data"])

    def until_scraped(self, *jobs: str) -> None:
        until(lambda: self._targets_or_none() == sorted(jobs), f"Prometheus scrapes {jobs}")

    def _targets_or_none(self) -> list[str] | None:
        try:
            return self.targets()
        except OSError:  # it does not answer yet
            return None


@contextlib.contextmanager
def project(docker: Docker, settings: Mapping[str, str], *more: Path) -> Iterator[Project]:
    """A project with compose.yaml and `more`; its containers and volumes go at the end."""
    made = Project(docker, settings, [ROOT / "compose.yaml", *more])
    try:
        yield made
    finally:
        print(made.logs())  # noqa: T201 — pytest shows it if the test failed
        made("--profile", "demo", "down", "--volumes", "--timeout", "20", within_s=UP_S)
