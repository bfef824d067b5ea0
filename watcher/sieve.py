"""Pass over watch lines about other watchers' namespaces without decoding them. Pure.

Kubernetes writes an object's metadata first, and in it the name, the namespace and the resource version before anything
that a user may choose freely (the order of its Go structs); quotes inside of strings are escaped. So the first
`"namespace":"…"` of a line is the object's own. A line that is otherwise is decoded and judged by its fields.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from watcher.objects import Bookmark

__all__ = ["passed_over"]

_HEAD_BYTES: Final = 2_048
_HEAD: Final = re.compile(
    rb'"namespace":"([a-z0-9.-]{1,253})"(?:,"uid":"[^"\\]{1,64}")?,"resourceVersion":"([0-9]{1,20})"'
)


def passed_over(line: bytes, is_ours: Callable[[str], bool]) -> Bookmark | None:
    """How far `line` brings the watch if it is about somebody else's namespace, else None: it must be decoded."""
    head = _HEAD.search(line, 0, _HEAD_BYTES)
    if head is None or is_ours(head[1].decode()):
        return None
    return Bookmark(head[2].decode())
