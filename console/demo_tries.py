"""Tries to make a pod, which Kubernetes tells one by one and we as repeats: which are alike, and how many. Pure.

The judge's own eyes: it shares nothing with the watcher, whose lines it judges.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import Any, Final

__all__ = ["Tries"]

_COMBINED: Final = "(combined from similar events): "


class Tries:
    """Counts them in the order in which they are shown to it."""

    def __init__(self) -> None:
        self._told: Counter[str] = Counter()
        """By UID, how many tries each Event stood for when it was last seen."""
        self._causes: Counter[str] = Counter()

    def count(self, event: dict[str, Any], times: int) -> tuple[str, str, int] | None:
        """What the line of `event`, which happened `times`, says; of what it is a repeat; its count. None: no try."""
        owner = event["involvedObject"]
        if event.get("reason") != "FailedCreate" or owner["kind"] not in ("ReplicaSet", "Job"):
            return None
        text = event["message"].removeprefix(_COMBINED)
        unnamed = re.sub(rf"\b{re.escape(owner['name'])}-[a-z0-9]{{5}}\b", "…", text)
        if unnamed == text:
            return None
        cause, uid = f"{owner['uid']} {unnamed}", event["metadata"]["uid"]
        self._causes[cause] += times - self._told[uid]
        self._told[uid] = times
        return text, cause, self._causes[cause]
