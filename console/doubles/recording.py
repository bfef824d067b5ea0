"""Recordings of real clusters that ship with the package: their form, and how one is read.

A file holds one JSON object a line, compressed: first where and when it was recorded, then each write in order of
resource versions, which is the order in which the cluster made them.
"""

from __future__ import annotations

import gzip
from importlib import resources
from typing import Final

import msgspec

__all__ = ["SCENARIOS", "Header", "Recorded", "Recording", "load_recording", "parse_recording"]

SCENARIOS: Final = (
    "normal",
    "unschedulable-cpu",
    "pull-notfound",
    "quota-exceeded",
    "crashloop-exit1",
    "oomkilled",
    "evicted-emptydir",
)


class Header(msgspec.Struct, frozen=True):
    """Where and when."""

    scenario: str
    kubernetes: str
    """The version of the cluster."""
    namespace: str
    token: str
    """The agent's token in it, made up."""
    started_at_s: float
    """Unix time of the first write."""


class Recorded(msgspec.Struct, frozen=True):
    """One write."""

    at_s: float
    """Seconds after the first one, as well as the objects' own times tell."""
    resource: str
    type: str
    """ADDED, MODIFIED or DELETED."""
    object: msgspec.Raw


class Recording(msgspec.Struct, frozen=True):
    """One scenario."""

    header: Header
    entries: tuple[Recorded, ...]


def parse_recording(text: bytes) -> Recording:
    """Raises msgspec.DecodeError if `text` is no recording."""
    head, *lines = text.splitlines()
    decoder = msgspec.json.Decoder(Recorded)
    return Recording(msgspec.json.decode(head, type=Header), tuple(decoder.decode(line) for line in lines))


def load_recording(scenario: str) -> Recording:
    """One of SCENARIOS. Raises FileNotFoundError for another."""
    file = resources.files("console.doubles") / "recordings" / f"{scenario}.jsonl.gz"
    return parse_recording(gzip.decompress(file.read_bytes()))
