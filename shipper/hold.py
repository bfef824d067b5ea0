"""How long lines wait for an agent that Coder does not take them for. Pure: state in, state out.

Keeps guarantee 1: a held line ends in a delivery or, after a window, in a counted drop. Two windows: while Coder says
that it does not know the agent (FACTS 1: a build's first minutes, or a deleted workspace), and while Coder is
unreachable or fails. What only a proxy or a wrong URL would answer has none: nothing is known of the agent then.
Delays are 1 s x 1.5^n, at most two minutes, so a build of three minutes is noticed within one of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from common.store.model import AgentState, EndReason, OtherEnd
from shipper.reasons import Reason

__all__ = [
    "PROBE_EVERY_MS",
    "SEVERAL",
    "Windows",
    "accepted",
    "ended",
    "held",
    "hold_age_s",
    "hold_delay_s",
    "is_held",
    "left_out",
    "missed",
    "reason_of",
    "registered",
    "released",
    "told",
]

FIRST_DELAY_S: Final = 1.0
GROWTH: Final = 1.5
DELAY_MAX_S: Final = 120.0
JITTER: Final = 0.25
"""A delay is shortened by up to this share, so that agents held together are not probed together."""
HINTED_MAX: Final = 64
"""Hints that are remembered of one agent, the newest: more than an agent ever met."""
PROBE_EVERY_MS: Final = 3_600_000
"""An agent whose window ran out is probed on a new record, at most this often."""
SEVERAL: Final = "several"
"""Stands for the reason of drops that have not all the same."""
_ABOUT_A_LINE: Final = (Reason.UPLOAD_FAILED, Reason.BAD_LINE, Reason.BODY_TOO_LARGE)


class Windows(msgspec.Struct, frozen=True):
    """How long lines wait before they are dropped."""

    unauthorized_s: float = 1_800.0
    unreachable_s: float = 86_400.0


def hold_delay_s(tries: int, draw: float) -> float:
    """How long to wait after failure number `tries` in a row (0 is the first); `draw` in [0, 1)."""
    # Capped before the power is taken: a hold may last for weeks.
    return min(DELAY_MAX_S, FIRST_DELAY_S * GROWTH ** min(tries, 32)) * (1.0 - JITTER * draw)


def is_held(state: AgentState) -> bool:
    return state.held_since_ms > 0


def hold_age_s(state: AgentState, reason: Reason, now_ms: int) -> float:
    """For how long the agent has been held for what `reason` stands for; 0 if not yet, or for something else."""
    if not is_held(state) or not _same_window(state.held_why, reason):
        return 0.0
    return max(0, now_ms - state.held_since_ms) / 1000


def held(state: AgentState, reason: Reason, now_ms: int) -> AgentState:
    """One more failure. The window begins anew when the agent is held for another kind of reason."""
    goes_on = is_held(state) and _same_window(state.held_why, reason)
    counts_on = goes_on and (reason not in _ABOUT_A_LINE or state.held_why == reason)
    return msgspec.structs.replace(
        state,
        held_since_ms=state.held_since_ms if goes_on else now_ms,
        held_why=str(reason),
        tries=state.tries + 1 if counts_on else 1,
    )


def released(state: AgentState) -> AgentState:
    """Coder took something: the hold is over."""
    return msgspec.structs.replace(state, held_since_ms=0, held_why="", tries=0)


def registered(state: AgentState, workspace_agent_id: str) -> AgentState:
    """Our log source is registered for `workspace_agent_id`. Another one than before (a claimed prebuild keeps its
    token, FACTS 1) starts anew: its own budget and its own hints, and it takes lines again."""
    if state.held_why not in _ABOUT_A_LINE:  # this call holds none
        state = released(state)
    if state.source not in ("", workspace_agent_id):
        untold = state.left_out - state.left_out_said
        if untold > 0:
            state = missed(state, untold, Reason.BUDGET)
        state = msgspec.structs.replace(state, spent_bytes=0, hinted=(), left_out=0, left_out_said=0)
        state = _revived(state)
    elif state.ended is EndReason.UNAUTHORIZED:
        # Known again: what the window had ended goes on, and what the log itself ended stays ended.
        state = _revived(state)
    return msgspec.structs.replace(state, source=workspace_agent_id)


def accepted(state: AgentState, lines: int, output_bytes: int, hints: Sequence[str] = ()) -> AgentState:
    """Coder took a batch, with `hints` among its lines."""
    return msgspec.structs.replace(
        released(state),
        lines=state.lines + lines,
        spent_bytes=state.spent_bytes + output_bytes,
        hinted=(*state.hinted, *hints)[-HINTED_MAX:],
    )


def reason_of(end: EndReason | OtherEnd) -> Reason:
    """In whose words an end is told; one that only another release knows has no better ones."""
    return Reason(end.value) if isinstance(end, EndReason) else Reason.ENDED


def ended(state: AgentState, why: EndReason | OtherEnd, now_ms: int) -> AgentState:
    """The agent takes no more lines. All but a token that can never be one may be asked about again later."""
    retry_at_ms = 0 if why is EndReason.INVALID_TOKEN else now_ms + PROBE_EVERY_MS
    # What comes now is refused for the same reason.
    return msgspec.structs.replace(missed(released(state), 0, reason_of(why)), ended=why, retry_at_ms=retry_at_ms)


def missed(state: AgentState, records: int, why: Reason) -> AgentState:
    """`records` (>= 0) will never be shown, which the log has to tell when it can."""
    both = str(why) if state.unsaid_why in ("", str(why)) else SEVERAL
    return msgspec.structs.replace(state, unsaid=state.unsaid + records, unsaid_why=both)


def left_out(state: AgentState, records: int, said: int) -> AgentState:
    """`records` (>= 0) more are left out because others matter more; the log was told of `said` of them all."""
    return msgspec.structs.replace(state, left_out=state.left_out + records, left_out_said=said)


def told(state: AgentState) -> AgentState:
    """The log told of all that was missed."""
    return msgspec.structs.replace(state, unsaid=0, unsaid_why="")


def _revived(state: AgentState) -> AgentState:
    """It takes lines again. What its budget had no room for says nothing of the present budget: it is missing."""
    unsaid = state.unsaid + state.refused
    return msgspec.structs.replace(
        state, ended=None, retry_at_ms=0, refused=0, unsaid=unsaid, unsaid_why=state.unsaid_why if unsaid else ""
    )


def _same_window(held_why: str, reason: Reason) -> bool:
    return (held_why == Reason.UNAUTHORIZED) == (reason is Reason.UNAUTHORIZED)
