"""The rules and the dashboard that ship, read."""

import json
import re
from collections.abc import Iterator
from typing import Any, Final

import msgspec
import yaml

from tests.unit.docs.pages import ROOT

FILES: Final = ROOT / "charts" / "coder-logstream" / "files"
RULES: Final = FILES / "rules.yaml"
RUNBOOKS: Final = ROOT / "docs" / "how-to" / "runbooks.md"

_SELECTOR: Final = re.compile(r"\b(?:coder_logstream|process|namespace_job\w*:coder_logstream)_[\w:]+(?:\{[^}]*\})?")
_VARIABLES: Final = {"$__rate_interval": "1m", "$job": ".+", "$namespace": ".*"}


class Query(msgspec.Struct, frozen=True):
    """What a panel asks."""

    panel: str
    expression: str


def rules(kind: str) -> list[dict[str, Any]]:
    """The rules of one kind: `alert` or `record`."""
    groups = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"] if kind in rule]


def selectors(expression: str) -> list[str]:
    """The series that `expression` is made of, as it selects them."""
    return _SELECTOR.findall(expression)


def dashboard() -> dict[str, Any]:
    text = (FILES / "dashboard.json").read_text(encoding="utf-8")
    return dict(json.loads(text))


def panels() -> list[dict[str, Any]]:
    """All but the headings of rows."""
    return [panel for panel in dashboard()["panels"] if panel["type"] != "row"]


def queries() -> Iterator[Query]:
    """Everything that the dashboard asks, for all that is scraped."""
    for panel in panels():
        for target in panel["targets"]:
            yield Query(panel["title"], plain(target["expr"]))


def plain(expression: str) -> str:
    """`expression` with Grafana's variables filled in."""
    for variable, value in _VARIABLES.items():
        expression = expression.replace(variable, value)
    return expression
