"""The alerts that ship: each is tried both ways, leads to its runbook, and says what it means."""

import re
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from tests.metrics.prometheus import promtool
from tests.metrics.shipped import RULES, RUNBOOKS, rules
from tests.unit.docs.pages import ROOT, anchors, text_of

TRIALS: Final = sorted((Path(__file__).parent / "rules").glob("*.yaml"))
ALERTS: Final = rules("alert")


def tried() -> list[dict[str, Any]]:
    """Each look at an alert in the trials."""
    return [
        look
        for file in TRIALS
        for trial in yaml.safe_load(file.read_text(encoding="utf-8"))["tests"]
        for look in trial["alert_rule_test"]
    ]


def test_the_rules_are_well_formed() -> None:
    assert promtool("check", "rules", "--lint-fatal", str(RULES)) == ""


@pytest.mark.parametrize("file", TRIALS, ids=lambda file: file.stem)
def test_alerts_fire_when_they_should_and_only_then(file: Path) -> None:
    assert promtool("test", "rules", str(file)) == ""


@pytest.mark.parametrize("fires", [True, False], ids=["fires", "does not fire"])
def test_every_alert_is_tried(fires: bool) -> None:
    looked_at = {look["alertname"] for look in tried() if bool(look.get("exp_alerts")) is fires}
    assert {rule["alert"] for rule in ALERTS} - looked_at == set()


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: str(rule["alert"]))
def test_an_alert_has_a_severity_and_a_section_in_the_runbooks(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in ("critical", "warning", "info")
    assert rule["annotations"]["summary"]
    page, _, anchor = rule["annotations"]["runbook_url"].partition("#")
    assert page == str(RUNBOOKS.relative_to(ROOT))
    assert anchor == rule["alert"].lower()
    assert anchor in anchors(RUNBOOKS)


def test_the_runbooks_tell_of_the_alerts_there_are_and_of_how_urgent_they_are() -> None:
    told = dict(re.findall(r"^## (Logstream\w+)\n\n\*\*(\w+)\.\*\*", text_of(RUNBOOKS), re.MULTILINE))
    assert told == {rule["alert"]: str(rule["labels"]["severity"]).capitalize() for rule in ALERTS}


def test_every_recorded_series_is_told_of() -> None:
    page = text_of(ROOT / "docs" / "reference" / "metrics.md")
    assert [rule["record"] for rule in rules("record") if f"`{rule['record']}`" not in page] == []
