"""Decide what an answer of Coder, or its absence, means for the lines that were sent. Pure.

All that is known of Coder's answers is here and nowhere else. Source: FACTS 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final, assert_never

import msgspec

from common.store.model import AgentState
from shipper.hold import Windows, hold_age_s, hold_delay_s
from shipper.reasons import Reason

__all__ = [
    "UPLOAD_TRIES_MAX",
    "Answer",
    "Call",
    "Circumstances",
    "Delivered",
    "NoAnswer",
    "Outcome",
    "Reject",
    "Reply",
    "Retry",
    "Sent",
    "Split",
    "decide",
    "halvings",
    "workspace_agent_id",
]

UPLOAD_TRIES_MAX: Final = 4
"""So often a batch that Coder's database refuses is sent again as it is, before the line at fault is looked for."""
RATE_LIMIT_REST_S: Final = 60.0
"""Rest after a 429 that does not say how long: the length of Coder's window."""
RETRY_AFTER_MAX_S: Final = 300.0

_UNKNOWN_AGENT: Final = "Workspace agent not authorized."
_NOT_A_TOKEN: Final = "Workspace agent token invalid."
_QUOTA: Final = "Logs limit exceeded"
_UPLOAD_FAILED: Final = "Failed to upload logs"


class Call(StrEnum):
    """Which endpoint was asked; the words are metric labels."""

    LOGS = "logs"
    LOG_SOURCE = "log_source"


class Sent(StrEnum):
    """Whether a request that got no answer may have been obeyed."""

    NO = "no"
    MAYBE = "maybe"


class Answer(msgspec.Struct, frozen=True):
    """An answer as it came, its body cut short. Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class NoAnswer(msgspec.Struct, frozen=True):
    """No answer came. `why` is short and for people."""

    sent: Sent
    why: str


Reply = Answer | NoAnswer


class Circumstances(msgspec.Struct, frozen=True):
    """What else the decision depends on: the agent's state before this reply, and a draw in [0, 1) for jitter."""

    state: AgentState
    now_ms: int
    windows: Windows
    draw: float


class Delivered(msgspec.Struct, frozen=True):
    """Coder took it."""


class Retry(msgspec.Struct, frozen=True):
    """Keep the lines and send them again. OUTCOME_UNKNOWN: they may be shown twice then."""

    after_s: float
    reason: Reason


class Split(msgspec.Struct, frozen=True):
    """Not as it is: send half of it; a record that cannot be halved any more is dropped for `reason`."""

    reason: Reason


class Reject(msgspec.Struct, frozen=True):
    """Never: the agent's lines are dropped for `reason`."""

    reason: Reason


Outcome = Delivered | Retry | Split | Reject


class _Message(msgspec.Struct, frozen=True):
    message: str = ""


class _WorkspaceAgent(msgspec.Struct, frozen=True):
    workspace_agent_id: str = ""


_message_decoder = msgspec.json.Decoder(_Message)
_source_decoder = msgspec.json.Decoder(_WorkspaceAgent)


def decide(reply: Reply, call: Call, at: Circumstances) -> Outcome:
    """What becomes of the lines after `reply` to `call`."""
    match reply:
        case NoAnswer(sent):
            return _fails(Reason.UNREACHABLE if sent is Sent.NO else Reason.OUTCOME_UNKNOWN, at)
        case Answer():
            return _decide_answer(reply, call, at)
        case _:
            assert_never(reply)


def halvings(state: AgentState) -> int:
    """How often what waits has to be halved to go on with splitting where the turn before had to stop."""
    match state.held_why:
        case Reason.UPLOAD_FAILED:
            return max(0, state.tries - UPLOAD_TRIES_MAX)
        case Reason.BAD_LINE | Reason.BODY_TOO_LARGE:
            return state.tries
        case _:
            return 0


def workspace_agent_id(reply: Reply) -> str:
    """Which workspace agent the answer to LOG_SOURCE names, "" if none."""
    if not isinstance(reply, Answer):
        return ""
    try:
        return _source_decoder.decode(reply.body).workspace_agent_id
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""


def _decide_answer(answer: Answer, call: Call, at: Circumstances) -> Outcome:
    message = _coder_message(answer)
    match answer.status:
        case 200 | 201 | 204 if message is not None:
            return Delivered()
        case 429:
            return Retry(_rest_s(answer.headers), Reason.RATE_LIMITED)
        case 401 if message == _NOT_A_TOKEN:
            return Reject(Reason.INVALID_TOKEN)
        case 401 if message == _UNKNOWN_AGENT:
            return _fails(Reason.UNAUTHORIZED, at)
        case 400 if message and call is Call.LOGS:
            return Split(Reason.BAD_LINE)
        case 413 if call is Call.LOGS:
            return _decide_413(message)
        case 500 if call is Call.LOGS and (message or "").startswith(_UPLOAD_FAILED):
            return _decide_upload_failed(at)
        case status if status >= 500 or status in (408, 425):
            return _fails(Reason.SERVER_ERROR, at)
        case _:
            return _fails(Reason.NOT_CODER, at)


def _decide_413(message: str | None) -> Outcome:
    """Two meanings: the agent's quota, or a body too large (Coder's own limit or a proxy's)."""
    if (message or "").startswith(_QUOTA):
        return Reject(Reason.QUOTA)
    return Split(Reason.BODY_TOO_LARGE)


def _decide_upload_failed(at: Circumstances) -> Outcome:
    tried_before = at.state.tries if at.state.held_why == Reason.UPLOAD_FAILED else 0
    if tried_before >= UPLOAD_TRIES_MAX:
        return Split(Reason.UPLOAD_FAILED)
    return Retry(hold_delay_s(tried_before, at.draw), Reason.UPLOAD_FAILED)


def _fails(reason: Reason, at: Circumstances) -> Retry | Reject:
    """Held with growing delays, until the window of `reason` is over (NOT_CODER has none)."""
    age_s = hold_age_s(at.state, reason, at.now_ms)
    if reason is Reason.UNAUTHORIZED:
        over = age_s >= at.windows.unauthorized_s
    else:
        over = reason is not Reason.NOT_CODER and age_s >= at.windows.unreachable_s
    return Reject(reason) if over else Retry(hold_delay_s(at.state.tries, at.draw), reason)


def _coder_message(answer: Answer) -> str | None:
    """The `message` of a JSON answer ("" if it has none, as `null` has not), or None if it is not JSON."""
    if not answer.body.strip():
        return "" if answer.status == 204 else None
    try:
        return _message_decoder.decode(answer.body).message
    except msgspec.ValidationError:
        return ""  # JSON of another shape
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _rest_s(headers: Mapping[str, str]) -> float:
    try:
        return min(max(0.0, float(headers.get("retry-after", RATE_LIMIT_REST_S))), RETRY_AFTER_MAX_S)
    except ValueError:  # a date, which Coder does not send
        return RATE_LIMIT_REST_S
