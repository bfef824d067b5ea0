"""Word the hints of the table: what a failure means and what to do, with figures out of what Kubernetes said. Pure.

A hint is our advice on the line before it, and as true as that. Figures are names and numbers only, by strict patterns:
nobody's message can put words into our mouth.
"""

from __future__ import annotations

import re
from hashlib import blake2b
from typing import Final, assert_never

from common.wording.table import Figures, Ruling, Subject

__all__ = ["fingerprint", "hint_rows"]

_QUOTA: Final = re.compile(
    r"exceeded quota: ([a-z0-9.-]{1,253}), requested: ([\w./=,-]+), used: ([\w./=,-]+), limited: ([\w./=,-]+)", re.ASCII
)
_RESOURCES_MAX: Final = 3
"""Of one quota; whoever needs more reads the message."""
_UNITS: Final = (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10))


def hint_rows(ruling: Ruling, subject: Subject) -> list[str]:
    """The rows that follow the lines of `subject`, none if there is no hint for those who want one."""
    figures = _figures(ruling.figures, subject)
    rows = []
    if ruling.user_hint:
        rows.append(f"💡 {ruling.user_hint}{figures}")
        figures = ""
    if ruling.admin_hint:
        rows.append(f"🔧 For the administrator: {ruling.admin_hint}{figures}")
    return rows


def fingerprint(ruling: Ruling) -> str:
    """A short name of the hints of `ruling`, by which they are known again; empty if there are none."""
    if not ruling.user_hint and not ruling.admin_hint:
        return ""
    return blake2b(f"{ruling.user_hint}\0{ruling.admin_hint}".encode(), digest_size=4).hexdigest()


def _figures(figures: Figures | None, subject: Subject) -> str:
    match figures:
        case None:
            said = ""
        case Figures.QUOTA:
            said = _quota(subject.message)
        case Figures.MEMORY:
            said = _memory(subject.limit_bytes)
        case _:
            assert_never(figures)
    return f" ({said})" if said else ""


def _quota(message: str) -> str:
    """«quota q: 1 of 1 pods used, 1 asked for», empty if `message` is of another form."""
    match = _QUOTA.search(message)
    if match is None:
        return ""
    asked, used, limited = (dict(_pairs(group)) for group in match.groups()[1:])
    each = [
        f"{used[name]} of {limit} {name} used, {asked[name]} asked for"
        for name, limit in limited.items()
        if name in used and name in asked
    ]
    return f"quota {match[1]}: {'; '.join(each[:_RESOURCES_MAX])}" if each else ""


def _pairs(text: str) -> list[tuple[str, str]]:
    return [(name, value) for pair in text.split(",") for name, mark, value in [pair.partition("=")] if mark]


def _memory(limit_bytes: int) -> str:
    """«limit 512 MiB; ask for more, e.g. 1 GiB», empty if there is no limit."""
    return f"limit {_size(limit_bytes)}; ask for more, e.g. {_size(2 * limit_bytes)}" if limit_bytes > 0 else ""


def _size(size_bytes: int) -> str:
    for unit, factor in _UNITS:
        if size_bytes >= factor:
            return f"{size_bytes / factor:.4g} {unit}"
    return f"{size_bytes} bytes"
