"""The users of Redis that we ship: which rights the watcher and the shipper need. Pure, but for reading the file."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from typing import Final

__all__ = ["users"]

_SHIPPED: Final = "redis-users.acl"
_PREFIX: Final = "logstream"
_PASSWORD_RULES: Final = ("on", ">CHANGE-ME", "resetkeys", "resetchannels")
"""Of each line, what is not a right."""


def users(prefix: str) -> Mapping[str, str]:
    """The rights of each user under the key prefix `prefix`, to be given to one that has none."""
    text = files("common.store").joinpath(_SHIPPED).read_text(encoding="utf-8")
    text = text.replace(f"{{{_PREFIX}}}", f"{{{prefix}}}").replace(f":{_PREFIX} ", f":{prefix} ")
    rules = {}
    for line in text.splitlines():
        _, name, *words = line.split()
        rules[name] = " ".join(word for word in words if word not in _PASSWORD_RULES)
    return rules
