"""Order of resource versions and times as Kubernetes writes them. Pure; never raises on what a server sent.

Resource versions of one resource compare as positive integers (FACTS 2); what is malformed (an aggregated API
server may differ) has no order.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Final

__all__ = ["is_newer", "oldest", "order_key", "unix_ms"]

_DIGITS_MAX: Final = 32
"""Far beyond 64 bits; keeps a hostile version from costing time."""


def _number(version: str) -> int | None:
    if len(version) <= _DIGITS_MAX and version.isascii() and version.isdigit() and version[0] != "0":
        return int(version)
    return None


def is_newer(version: str, than: str) -> bool | None:
    """Whether `version` came after `than`; None if either is malformed."""
    left, right = _number(version), _number(than)
    return None if left is None or right is None else left > right


def order_key(version: str) -> int:
    """A number to sort by; malformed ones come first."""
    return _number(version) or 0


def oldest(versions: Iterable[str]) -> str:
    """The oldest of `versions`; "" if one is malformed or "", or if there are none."""
    every = list(versions)
    if not all(_number(version) for version in every):
        return ""
    return min(every, key=order_key, default="")


def unix_ms(time: str | None) -> int:
    """Unix milliseconds of an RFC 3339 time, 0 if there is none or it is malformed."""
    if not time:
        return 0
    try:
        moment = datetime.fromisoformat(time)
    except ValueError:
        return 0
    if moment.tzinfo is None:
        return 0
    return max(0, int(moment.timestamp() * 1000))
