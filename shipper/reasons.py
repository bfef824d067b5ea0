"""Why lines wait or are dropped, in words that become metric labels and stay the same over releases. Pure."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["Reason"]


class Reason(StrEnum):
    """One word for each thing that can keep a line from Coder."""

    UNREACHABLE = "unreachable"
    """No connection: the request did not leave."""
    OUTCOME_UNKNOWN = "outcome_unknown"
    """The request may have arrived and no answer came: sending it again may repeat its lines."""
    SERVER_ERROR = "server_error"
    """5xx, from Coder or from something before it."""
    UPLOAD_FAILED = "upload_failed"
    """Coder's database did not take this batch: its own trouble, or a line that it cannot store."""
    UNAUTHORIZED = "unauthorized"
    """Coder does not know the agent: not yet, or no longer."""
    NOT_CODER = "not_coder"
    """An answer that Coder does not give: a proxy's login page or refusal, a wrong URL, a Coder too old."""
    RATE_LIMITED = "rate_limited"
    BODY_TOO_LARGE = "body_too_large"
    BAD_LINE = "bad_line"
    """Coder understood the request and refuses what is in it."""
    QUOTA = "quota"
    """The agent's own log quota in Coder is used up."""
    INVALID_TOKEN = "invalid_token"
    """Coder says that this can never be an agent's token."""
    BUDGET = "budget"
    """Our own byte budget for the agent is used up."""
    ENDED = "ended"
    """The agent takes no more lines; this one had been accepted before that was known."""
    UNREADABLE = "unreadable"
    """Not a record of any version."""
    NO_TOKEN = "no_token"
    """Redis lost the agent's token; no line can be sent without it."""
