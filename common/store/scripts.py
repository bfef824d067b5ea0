"""The Lua scripts: loads them from the package and knows their shape from their headers.

A header tables the keys, arguments and answers; `tests/unit/common/store/test_scripts.py` holds it against the body.
"""

from __future__ import annotations

import hashlib
import re
from importlib import resources
from typing import Final

import msgspec

__all__ = ["SCRIPT_NAMES", "Script", "load_script"]

SCRIPT_NAMES: Final = (
    "advance",
    "append",
    "arrive",
    "bury",
    "claim",
    "hand_over",
    "hold",
    "leave",
    "proceed",
    "register",
    "release",
    "renew",
    "retire",
    "save",
    "settle",
    "sweep",
    "vacate",
)

_INCLUDE: Final = re.compile(r"^--@include (\w+)$", re.MULTILINE)
_HEADER_KEY: Final = re.compile(r"\b(\d+) [\w:]+(?: [\w ]+)? \((?:string|hash|zset|set|list|stream)\)")


class Script(msgspec.Struct, frozen=True):
    """One script as Redis runs it. `key_count` is the number of keys that its header declares."""

    name: str
    body: str
    sha: str
    key_count: int


def _source(name: str) -> str:
    return resources.files("common.store").joinpath("lua", f"{name}.lua").read_text("utf-8")


def load_script(name: str) -> Script:
    """The script `name` with its includes put in. Raises `FileNotFoundError` for a name that does not ship."""
    source = _source(name)
    header = source.split("-- ARGV", 1)[0].split("-- Built", 1)[0]
    body = _INCLUDE.sub(lambda match: _source(match.group(1)), source)
    # SHA-1 is what EVALSHA addresses scripts by; nothing here relies on it for security.
    sha = hashlib.sha1(body.encode(), usedforsecurity=False).hexdigest()
    return Script(name=name, body=body, sha=sha, key_count=len(_HEADER_KEY.findall(header)))
