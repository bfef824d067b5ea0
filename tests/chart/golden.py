"""Write what the chart renders into tests/chart/golden: `make chart`. Read the difference.

The render of the defaults is kept whole; of every other set of values, how its render differs from that. In the place
of the chart's files that are rendered as they are stands their name.
"""

from __future__ import annotations

import difflib
import tempfile
from pathlib import Path
from typing import Final

from tests.chart.helm import NAMESPACE, RELEASE, Helm, helm_binary
from tests.chart.value_sets import VALUE_SETS
from tests.chart.values_page import CHART

__all__ = ["DEFAULTS", "golden_file", "rendered", "shown"]

DEFAULTS: Final = "defaults"
_FOLDER: Final = Path(__file__).parent / "golden"
_CONTEXT_LINES: Final = 3
_FILES: Final = {"files/dashboard.json": " " * 4, "files/rules.yaml": " " * 2}


def golden_file(name: str) -> Path:
    """Where the render of a set of values is kept."""
    return _FOLDER / (f"{name}.yaml" if name == DEFAULTS else f"{name}.diff")


def rendered(helm: Helm, name: str) -> str:
    """What Helm prints for a set of values, for the oldest Kubernetes that the chart allows; files by their name."""
    flags = helm.values(VALUE_SETS[name])
    text = helm.run("template", RELEASE, str(CHART), "--namespace", NAMESPACE, "--kube-version", "1.27", *flags)
    for file, pad in _FILES.items():
        lines = (CHART / file).read_text(encoding="utf-8").rstrip().split("\n")
        text = text.replace("\n".join(pad + line for line in lines), f"{pad}# {file}")
    return text


def shown(helm: Helm, name: str, defaults: str) -> str:
    """The text to be kept. `defaults` is the render of the defaults."""
    if name == DEFAULTS:
        return defaults
    lines = difflib.unified_diff(
        defaults.splitlines(keepends=True), rendered(helm, name).splitlines(keepends=True), n=_CONTEXT_LINES
    )
    # Where a piece begins says nothing, and changes with whatever comes before it.
    return "".join("@@\n" if line.startswith("@@") else line for line in list(lines)[2:])


if __name__ == "__main__":
    _FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as home:
        ours = Helm(helm_binary(), Path(home))
        whole = rendered(ours, DEFAULTS)
        for each in VALUE_SETS:
            golden_file(each).write_text(shown(ours, each, whole), encoding="utf-8")
