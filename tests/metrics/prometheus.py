"""A real Prometheus and its promtool, as the system brings them."""

import contextlib
import json
import shutil
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
import yaml

from console.demo import loopback_environ
from tests.required import missing
from tests.servers import free_port

REMEDY: Final = "apt-get install --no-install-recommends prometheus"
START_S: Final = 30.0


class Series(msgspec.Struct, frozen=True):
    """One element of an instant vector."""

    labels: dict[str, str]
    value: float


class QueryRefused(Exception):
    """Prometheus cannot make anything of a query; the text is its own."""


def binary(name: str) -> str:
    """Where `prometheus` or `promtool` is; ends the test if this machine lacks it."""
    return shutil.which(name) or missing("Prometheus", REMEDY)


def promtool(*arguments: str, page: str | None = None) -> str:
    """What promtool complains of, empty if of nothing. `page` becomes its input."""
    done = subprocess.run(
        [binary("promtool"), *arguments], input=page, capture_output=True, text=True, timeout=60, check=False
    )
    complaints = done.stdout + done.stderr
    return complaints if done.returncode else ""


class Prometheus:
    """One that runs at `url`."""

    def __init__(self, url: str) -> None:
        self._url = url

    def query(self, expression: str) -> list[Series]:
        """The vector that `expression` gives now. Raises QueryRefused."""
        found = self._ask("/api/v1/query", {"query": expression})["result"]
        return [Series(each["metric"], float(each["value"][1])) for each in found]

    def rules(self) -> list[dict[str, Any]]:
        """All rules with their health, alerts with their state."""
        return [rule for group in self._ask("/api/v1/rules")["groups"] for rule in group["rules"]]

    def alerts(self) -> set[str]:
        """The names of the alerts whose expression holds, whether they have waited long enough or not."""
        return {alert["labels"]["alertname"] for alert in self._ask("/api/v1/alerts")["alerts"]}

    def is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self._url}/-/ready", timeout=10):  # noqa: S310 - http to loopback
                return True
        except OSError:
            return False

    def _ask(self, path: str, arguments: Mapping[str, str] | None = None) -> Any:
        body = urllib.parse.urlencode(arguments).encode() if arguments else None
        try:
            with urllib.request.urlopen(f"{self._url}{path}", body, timeout=10) as answer:  # noqa: S310 - likewise
                return json.load(answer)["data"]
        except urllib.error.HTTPError as refusal:
            raise QueryRefused(f"{json.load(refusal)['error']}: {arguments}") from refusal


@contextlib.contextmanager
def running_prometheus(
    folder: Path, targets: Mapping[str, str], rules: Sequence[Path], labels: Mapping[str, str]
) -> Iterator[Prometheus]:
    """Scrape `targets` (job → address) and evaluate `rules` each second until the block ends."""
    folder.mkdir(parents=True)
    config = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(rule) for rule in rules],
        "scrape_configs": [
            {"job_name": job, "static_configs": [{"targets": [address], "labels": dict(labels)}]}
            for job, address in targets.items()
        ],
    }
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    address = f"127.0.0.1:{free_port()}"
    command = [
        binary("prometheus"),
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={address}",
        "--log.level=warn",
    ]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, env=loopback_environ({}), stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        prometheus = Prometheus(f"http://{address}")
        deadline_s = time.monotonic() + START_S
        while not prometheus.is_ready():
            assert process.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < deadline_s, "Prometheus did not start"
            time.sleep(0.05)
        yield prometheus
    finally:
        process.terminate()
        process.wait(30)
