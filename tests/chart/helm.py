"""Helm as the tests run it: a real one, with a home of its own, that reaches nothing but what a kubeconfig names."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import yaml

from tests.built import built
from tests.chart.values_page import CHART

__all__ = ["Helm", "HelmRefused", "Object", "helm_binary"]

BUILD: Final = Path(__file__).parent / "helm-build"
RELEASE: Final = "logs"
NAMESPACE: Final = "coder"
TIMEOUT_S: Final = 100.0

Object = dict[str, Any]
Values = Mapping[str, Any]


class HelmRefused(Exception):
    """Helm ended with an error; the text is what it said."""


def helm_binary() -> Path:
    """From the cache, or built now (a minute or two, once). Ends the test if it cannot be had."""
    return built(BUILD, "Helm")


class _Strict(yaml.CSafeLoader):
    """Kubernetes takes no key twice; the library takes the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        names = [key.value for key, _ in node.value]
        if len(set(names)) != len(names):
            raise ValueError(f"a key is given twice: {names}{node.start_mark}")
        return super().construct_mapping(node, deep)


class Helm:
    """Runs Helm. `home` is a folder for what it keeps; without a `kubeconfig` it has no cluster."""

    def __init__(self, binary: Path, home: Path, kubeconfig: Path | None = None) -> None:
        self._binary = binary
        self._home = home
        self._kubeconfig = kubeconfig
        self._files = 0
        self._rendered: dict[object, str] = {}

    def run(self, *arguments: str) -> str:
        """What it prints. Raises HelmRefused."""
        ended = subprocess.run(self._command(arguments), env=self._environ(), **_QUIETLY)
        if ended.returncode != 0:
            raise HelmRefused(ended.stderr + ended.stdout)
        return str(ended.stdout)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """The same in the background."""
        return subprocess.Popen(
            self._command(arguments), env=self._environ(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip

    def render(
        self, values: Values, *flags: str, release: str = RELEASE, namespace: str = NAMESPACE, chart: Path = CHART
    ) -> list[Object]:
        """The objects of `helm template`, rendered once in a process. Raises HelmRefused, and ValueError for a key that
        is given twice."""
        asked = (json.dumps(values), flags, release, namespace, chart)
        if asked not in self._rendered:
            where = ("--namespace", namespace, *self.values(values))
            self._rendered[asked] = self.run("template", release, str(chart), *where, *flags)
        return [made for made in yaml.load_all(self._rendered[asked], _Strict) if made]

    def values(self, values: Values) -> Sequence[str]:
        """Flags that give `values`."""
        self._files += 1
        file = self._home / f"values-{self._files}.yaml"
        file.write_text(yaml.safe_dump(dict(values), allow_unicode=True))
        return ("--values", str(file))

    def _command(self, arguments: Sequence[str]) -> list[str]:
        return [str(self._binary), *arguments]

    def _environ(self) -> dict[str, str]:
        home = str(self._home)
        environ = {"HOME": home, "PATH": "/usr/bin:/bin", "HELM_CACHE_HOME": home, "HELM_CONFIG_HOME": home}
        return environ | {"HELM_DATA_HOME": home, "KUBECONFIG": str(self._kubeconfig or "/dev/null")}


_QUIETLY: Final[Mapping[str, Any]] = {
    "stdin": subprocess.DEVNULL, "capture_output": True, "text": True, "timeout": TIMEOUT_S, "check": False,
}  # fmt: skip
