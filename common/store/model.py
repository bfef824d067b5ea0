"""What crosses the border between the programs and Redis: values only, no I/O."""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import StrEnum
from typing import Final

import msgspec

from common.ids import AgentId, Epoch, StreamId, Unit, WatcherId
from common.rank import Rank

__all__ = [
    "RETENTION",
    "STATE_FACTS",
    "AgentState",
    "Appended",
    "Backlog",
    "Card",
    "Claimed",
    "EndReason",
    "Entry",
    "Fenced",
    "Holdings",
    "Home",
    "Lease",
    "OtherEnd",
    "Proceeding",
    "Retention",
    "Settled",
    "Settlement",
    "Vacancy",
    "Verdict",
    "Waiting",
    "card_or_none",
    "decode_card",
    "decode_state",
    "encode_card",
    "owes_notice",
]


class Retention(msgspec.Struct, frozen=True):
    """How long Redis remembers what nothing refers to any more; the same for all programs of a release."""

    half_s: int = 12 * 3600
    """What was told is remembered for one to two of these."""
    keep_s: int = 25 * 3600
    """How long an agent's keys outlive its last object: longer than any identity in them may be retold."""


RETENTION: Final = Retention()


class Home(StrEnum):
    """How long an identity is remembered, which must outlive any possible retelling."""

    EVENT = "event"
    """12 to 24 hours after it was accepted: Kubernetes holds Events for one hour (FACTS 2)."""
    OBJECT = "object"
    """As long as the agent's object is known, then 12 to 24 hours."""


class Card(msgspec.Struct, frozen=True, array_like=True):
    """Who an agent is. `namespace` and `name` are of the object in which the token was found."""

    sealed_token: bytes
    namespace: str
    name: str
    workspace: str = ""
    owner: str = ""


class Entry(msgspec.Struct, frozen=True):
    """One record to append: `payload` is its wire form, `version` >= 1."""

    agent: AgentId
    identity: str
    version: int
    home: Home
    payload: bytes
    rank: Rank = Rank.PASSING
    """How much of the agent's budget it may use; what nobody has ranked is kept room for least."""


class Verdict(StrEnum):
    """What became of an entry."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    """This version of this identity, or a newer one, was accepted before."""
    OVER_BUDGET = "over_budget"
    """The agent's byte budget has no room for a record of this rank; remembered, so that it is counted once."""
    ENDED = "ended"
    """The agent takes no more lines (`EndReason`); remembered likewise."""
    UNKNOWN_AGENT = "unknown_agent"
    """Nobody registered the agent, or Redis lost it: register, then append again."""


class Appended(msgspec.Struct, frozen=True):
    """`verdicts` stand in the order of the entries. `ring`: the caller must ring the bell."""

    verdicts: list[Verdict]
    ring: bool


class EndReason(StrEnum):
    """Why an agent takes no more lines."""

    QUOTA = "quota"
    """Coder said that the agent's own log quota is used up."""
    BUDGET = "budget"
    """Our byte budget for the agent is used up, and its last line said so."""
    UNAUTHORIZED = "unauthorized"
    """Coder refused the token through the whole window; probed now and then on new records."""
    INVALID_TOKEN = "invalid_token"
    """Coder says that the token can never be one."""


class OtherEnd(msgspec.Struct, frozen=True):
    """As an `EndReason`, of a release that knows more of them than this one. Kept as it is."""

    value: str


class AgentState(msgspec.Struct, frozen=True):
    """What is remembered of an agent's delivery. Read at a claim, changed only by a fenced settle."""

    spent_bytes: int = 0
    """Bytes of output that Coder accepted from us for the present workspace agent."""
    lines: int = 0
    refused: int = 0
    """Grave records for which the budget had no room, since the log last said so. `append` adds,
    `Settlement.refused_said` takes away."""
    left_out: int = 0
    """Lesser records that the present workspace agent's log does not show because others matter more. `append` adds,
    too: what is read at a claim is the least."""
    left_out_said: int = 0
    """How many of them the log was told of last."""
    unsaid: int = 0
    """Records dropped, or refused because the agent had ended, since the log last said so. `append` adds, too: what is
    read at a claim is the least."""
    unsaid_why: str = ""
    """The one reason of them all, or that there are several; empty if there are none."""
    ended: EndReason | OtherEnd | None = None
    retry_at_ms: int = 0
    """Redis time from which an ended agent's new record may ask Coder again; 0 if it never may."""
    held_since_ms: int = 0
    """Redis time of the first failure of the present hold, 0 if there is none."""
    held_why: str = ""
    tries: int = 0
    """Failures in a row in the present hold."""
    source: str = ""
    """The `workspace_agent_id` for which our log source was registered last; empty: never accepted yet."""
    hinted: tuple[str, ...] = ()
    """Fingerprints of the hints that stand in its log, none of which holds white space."""

    @property
    def owes_a_line(self) -> bool:
        """Whether its log has to tell of what is not shown, though nothing else may wait."""
        return self.refused > 0 or owes_notice(self.left_out, self.left_out_said)


STATE_FACTS: Final = (
    "spent", "lines", "refused", "unsaid", "unsaid_why", "left_out", "left_out_said", "ended", "retry_at", "held_since",
    "held_why", "tries", "source", "hinted",
)  # fmt: skip
"""What an agent's facts call the parts of its state, in the order in which `claim` answers them."""
_END_REASONS: Final = frozenset(EndReason)
_NUMBER: Final = re.compile(rb"-?[0-9]{1,18}")
"""Not as wide as Redis' numbers may be, but as all that are counted here."""


def decode_state(facts: Sequence[bytes | None]) -> AgentState:
    """The state that the values of `STATE_FACTS` tell; one that is empty, None or not readable is nothing.

    So whatever has been written over one agent's facts, it is claimed, and all that are claimed with it.
    """
    spent, lines, refused, unsaid, unsaid_why, left_out, left_out_said, *hold = (fact or b"" for fact in facts)
    ended, retry_at, held_since, held_why, tries, source, hinted = hold
    return AgentState(
        spent_bytes=_number(spent),
        lines=_number(lines),
        refused=_number(refused),
        unsaid=_number(unsaid),
        unsaid_why=_word(unsaid_why),
        left_out=_number(left_out),
        left_out_said=_number(left_out_said),
        ended=_end(_word(ended)),
        retry_at_ms=_number(retry_at),
        held_since_ms=_number(held_since),
        held_why=_word(held_why),
        tries=_number(tries),
        source=_word(source),
        hinted=tuple(_word(hinted).split()),
    )


def _number(fact: bytes) -> int:
    return int(fact) if _NUMBER.fullmatch(fact) else 0


def _word(fact: bytes) -> str:
    try:
        return fact.decode()
    except UnicodeDecodeError:
        return ""


def _end(word: str) -> EndReason | OtherEnd | None:
    if not word:
        return None
    return EndReason(word) if word in _END_REASONS else OtherEnd(word)


class Lease(msgspec.Struct, frozen=True):
    """One agent, claimed for the length of a lease."""

    agent: AgentId
    epoch: Epoch
    card: Card | None
    """None: Redis lost it; its records cannot be delivered."""
    state: AgentState
    unsettled: bool
    """The previous claim was never settled: what it sent may be sent again now. Counted."""
    now_ms: int
    """Redis time of the claim."""


class Claimed(msgspec.Struct, frozen=True):
    """Answer to a claim. `ring`: the caller must ring the bell. `next_due_s`: until something becomes due."""

    leases: list[Lease]
    ring: bool
    next_due_s: float | None


class Waiting(msgspec.Struct, frozen=True):
    """A record that waits in an agent's stream."""

    id: StreamId
    payload: bytes


class Settlement(msgspec.Struct, frozen=True):
    """The end of one claim."""

    agent: AgentId
    epoch: Epoch
    done: StreamId | None
    """Everything up to and including this entry is delivered or dropped; None: nothing is."""
    done_bytes: int
    """Payload bytes of those entries together."""
    state: AgentState
    """The new state, wholly, save `refused`, which only `refused_said` lowers, and `unsaid` and `left_out`, which
    `unsaid_more` and `left_out_more` change."""
    refused_said: int = 0
    dropped: int = 0
    """Records among the done ones that were dropped, not delivered."""
    unsaid_more: int = 0
    """By how much `unsaid` grows; below 0: so many of them the log now told of. Not 0 only if something is done, or the
    claim ends."""
    left_out_more: int = 0
    """By how much `left_out` grows, under the same condition; below 0: another log begins."""
    delay_s: float = 0.0
    """From when on the agent may be claimed again if records wait: 0 to 300 s from now."""

    @property
    def leads_on(self) -> bool:
        """Whether the same claim may go on with what is left: some is done, and nothing says that the rest waits."""
        return self.done is not None and self.delay_s <= 0 and self.state.ended is None


class Settled(msgspec.Struct, frozen=True):
    """The settlement took effect; `left` records still wait."""

    left: int


class Proceeding(msgspec.Struct, frozen=True):
    """The settlement took effect, and the claim goes on with a lease that has begun anew."""

    waiting: list[Waiting]
    """The oldest records that are left, at least one."""
    whole: bool
    """Whether these are all."""
    refused: int
    """As in `AgentState`."""


class Fenced(msgspec.Struct, frozen=True):
    """Nothing was changed: the claim is over, `epoch` is the newest one."""

    epoch: Epoch


class Backlog(msgspec.Struct, frozen=True):
    """A glance at the schedule."""

    waiting_records: int
    due_agents: int
    claimed_agents: int
    scheduled_agents: int
    """Agents with waiting records, whether due, claimed or backing off."""
    oldest_due_s: float
    """How long the oldest due agent has been due, 0 if none is."""
    drainers_awake: int
    drainers_asleep: int


class Holdings(msgspec.Struct, frozen=True):
    """Answer of the sharing among watchers."""

    alive: tuple[WatcherId, ...]
    """In order of name; the asker is one of them."""
    held: dict[Unit, Epoch]
    """What the asker holds of the units it wanted."""
    fell_back: bool = False
    """Another history of the data answers than the last time: it may have missed that others live."""
    known: bool = True
    """Redis knew that the asker lives. If not, it may know nothing of others either: it was emptied, or this is the
    first time, or the asker said nothing for a lease.
    """


_card_encoder = msgspec.msgpack.Encoder()
_card_decoder = msgspec.msgpack.Decoder(Card)


def encode_card(card: Card) -> bytes:
    """The form in which Redis keeps a card."""
    return _card_encoder.encode(card)


def decode_card(raw: bytes) -> Card:
    """The card in `raw`; raises `msgspec.DecodeError`."""
    return _card_decoder.decode(raw)


def card_or_none(raw: bytes | None) -> Card | None:
    """The card in `raw`, None if it is lost."""
    if not raw:
        return None
    try:
        return decode_card(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        # Overwritten by somebody: as good as lost, and counted as such by the one who claims.
        return None


def owes_notice(left_out: int, said: int) -> bool:
    """Whether the log is to be told how many records are left out: at the first, and when their number has doubled.
    Redis decides by the same rule (`owes_notice` in its scripts)."""
    return left_out >= max(1, 2 * said)


class Vacancy(StrEnum):
    """Whether the memory of a unit that is gone could go."""

    VACATED = "vacated"
    HELD = "held"
    """Some watcher reads the unit."""
    KNOWN = "known"
    """Objects in it are remembered, whose end is still to be told."""
