"""What an examination finds: a line for each thing that was looked at, with what to do about it. Pure.

The words between `doctor` and what examines for it in a program's place, which writes them as JSON to its stdout.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Final

import msgspec

__all__ = [
    "ANSWER_WITHIN_S",
    "Area",
    "Finding",
    "Mark",
    "bad",
    "decode_findings",
    "doubt",
    "encode_findings",
    "fine",
    "worst",
]

ANSWER_WITHIN_S: Final = 15.0
"""So long an examination waits for one answer."""


class Mark(StrEnum):
    """How it stands."""

    FINE = "ok"
    DOUBT = "warning"
    """It works, or may be meant so, but an operator should know."""
    BAD = "failure"
    """Lines are lost or late by it, or do not come at all."""


class Area(StrEnum):
    """Whose affair it is."""

    KUBERNETES = "Kubernetes"
    CODER = "Coder"
    REDIS = "Redis"
    TOKEN_KEY = "token key"


class Finding(msgspec.Struct, frozen=True):
    """One line. `said` and `remedy` hold no secret; a remedy is empty where nothing is wrong, or `said` holds it."""

    area: Area
    about: str
    mark: Mark
    said: str
    remedy: str = ""


def fine(area: Area, about: str, said: str) -> Finding:
    return Finding(area, about, Mark.FINE, said)


def doubt(area: Area, about: str, said: str, remedy: str) -> Finding:
    return Finding(area, about, Mark.DOUBT, said, remedy)


def bad(area: Area, about: str, said: str, remedy: str) -> Finding:
    return Finding(area, about, Mark.BAD, said, remedy)


def worst(findings: Iterable[Finding]) -> Mark:
    """The worst mark of all; nothing found is fine."""
    return max((finding.mark for finding in findings), key=_BADNESS.index, default=Mark.FINE)


def encode_findings(findings: Sequence[Finding]) -> bytes:
    return msgspec.json.encode(findings)


def decode_findings(raw: bytes) -> list[Finding]:
    """Raises `msgspec.DecodeError`."""
    try:
        return _decoder.decode(raw)
    except (UnicodeDecodeError, RecursionError) as error:
        raise msgspec.DecodeError(str(error)) from error


_BADNESS: Final = (Mark.FINE, Mark.DOUBT, Mark.BAD)
_decoder: Final = msgspec.json.Decoder(list[Finding])
