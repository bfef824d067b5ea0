"""What the words mean that shippers leave in Redis: why an agent's lines wait, or are dropped. Pure.

docs/reference/metrics.md has them, too; a test holds the words to those of the shipper.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

__all__ = ["UNAUTHORIZED", "WORDS", "meaning", "remedy"]

UNAUTHORIZED: Final = "unauthorized"
_SEE_DOCTOR: Final = "coder-logstream doctor says what is wrong on the way to Coder"
_OTHER_CODER: Final = (
    "does the build take so long (wait_for_rollout?), was the workspace deleted, or is it another Coder's?"
)
WORDS: Final[Mapping[str, tuple[str, str]]] = {
    "unreachable": ("Coder cannot be reached", _SEE_DOCTOR),
    "outcome_unknown": ("Coder did not answer in time; the request may be repeated", _SEE_DOCTOR),
    "server_error": ("Coder, or what stands before it, fails (5xx)", "see Coder's own log"),
    "upload_failed": ("Coder's database did not take the lines", "see Coder's own log"),
    UNAUTHORIZED: ("Coder does not know this agent (401)", _OTHER_CODER),
    "not_coder": ("what answers is not Coder: a proxy, a login page, a wrong address", _SEE_DOCTOR),
    "rate_limited": ("Coder's rate limit is used up", "run shippers on more addresses, or raise the limit"),
    "body_too_large": ("a request was too large", "see the limits of the proxy before Coder"),
    "bad_line": ("Coder refused a line", "please report it"),
    "quota": ("the agent's log in Coder is full (1 MiB for all its logs)", "a new build begins a new log"),
    "invalid_token": ("Coder says that this can never be an agent's token", "see where the template takes it from"),
    "budget": ("the budget for this agent is used up", "see which reason repeats; hide it, or raise --budget-bytes"),
    "ended": ("the agent takes no more lines", "a new build begins a new log"),
    "unreadable": ("a record could not be read", "upgrade the shippers"),
    "no_token": ("Redis lost the agent's token", "restart a watcher, which registers it again"),
    "several": ("for several reasons", "see the shipper's log"),
}
"""Meaning and remedy of each."""


def meaning(word: str) -> str:
    return WORDS.get(word, (word, ""))[0]


def remedy(word: str) -> str:
    return WORDS.get(word, ("", "see the shipper's log"))[1]
