"""Findings as lines for a person, and anything that is shown as JSON for a program. Pure."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import msgspec

from common.checkup import Finding, Mark
from common.telemetry.redact import redact_text

__all__ = ["SIGNS", "Output", "finding_line", "in_json"]

SIGNS: Final = {Mark.FINE: "✓", Mark.DOUBT: "⚠", Mark.BAD: "✗"}


class Output(StrEnum):
    """For whom it is written."""

    TEXT = "text"
    JSON = "json"


def finding_line(finding: Finding) -> str:
    """One line, whatever is in it."""
    where = finding.area if finding.area == finding.about else f"{finding.area}: {finding.about}"
    remedy = f" → {finding.remedy}" if finding.remedy else ""
    return redact_text(" ".join(f"{SIGNS[finding.mark]} {where}: {finding.said}{remedy}".split()))


def in_json(shown: object) -> str:
    """One object on one line, so that each look of several is a line."""
    return redact_text(msgspec.json.encode(shown).decode())
