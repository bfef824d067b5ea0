"""What a scheduler says when it finds no node, condensed. Pure.

    0/5 nodes are available: 2 node(s) had untolerated taint {gpu: true}, 3 Insufficient memory. no new claims to
    deallocate, preemption: 0/5 nodes are available: 5 Preemption is not helpful for scheduling.

becomes `0/5 nodes: 3 insufficient memory, 2 had untolerated taint {gpu: true}`. Both sides use it: the watcher
because a message that condenses to the same words is no news, the shipper for the words. The form of the message is
that of kube-scheduler's `FitError` (recorded, read); any other text stays as it is.
"""

from __future__ import annotations

import re
from typing import Final

__all__ = ["condensed"]

_FIT_ERROR: Final = re.compile(r"\s*(\d+/\d+) nodes are available: (.*)", re.DOTALL)
_TAIL: Final = re.compile(r"[.,;]?\s+(?:no new claims to deallocate, )?preemption: .*", re.DOTALL)
_NEXT: Final = re.compile(r", (?=\d+ )")
_CLAUSE: Final = re.compile(r"(\d+) (?:node\(s\) )?(.*)", re.DOTALL)


def condensed(message: str) -> str:
    """`message` without what it repeats; the most frequent cause first. O(n)."""
    fit = _FIT_ERROR.fullmatch(message)
    if fit is None:
        return message.strip()
    nodes, causes = fit[1], _TAIL.sub("", fit[2]).strip().rstrip(".")
    clauses = [_CLAUSE.fullmatch(clause) for clause in _NEXT.split(causes)]
    counted = [(int(clause[1]), _lower(clause[2])) for clause in clauses if clause is not None]
    if len(counted) != len(clauses):
        return f"{nodes} nodes: {causes}"
    counted.sort(key=lambda cause: (-cause[0], cause[1]))
    return f"{nodes} nodes: {', '.join(f'{count} {cause}' for count, cause in counted)}"


def _lower(cause: str) -> str:
    """`Insufficient cpu` within a sentence."""
    return cause[:1].lower() + cause[1:] if cause[1:2].islower() else cause
