"""What is known of one world, and what its judge finds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from tests.faults.coder import Request

__all__ = ["LAGGED", "Disturbance", "Findings", "Flush", "Key", "Listed", "Pod", "Record", "Said"]

LAGGED: Final = "Redis fail-over with a lag"
"""A kind of `Disturbance`."""

Key = tuple[str, int]
"""What a line tells, and the count."""


class Said(msgspec.Struct, frozen=True):
    """One thing that Kubernetes said, to be told to the agent of `token`."""

    token: str
    pod: str
    what: str
    count: int
    version: int
    at_s: float = 0.0

    @property
    def key(self) -> Key:
        return self.what, self.count


class Pod(msgspec.Struct, frozen=True):
    token: str
    came_s: float
    went_s: float | None = None
    by_secret: bool = False
    """Its token lies in a Secret."""
    namespace: str = ""


class Listed(msgspec.Struct, frozen=True):
    """A watcher was shown all pods of `namespace`, "" of all."""

    at_s: float
    namespace: str


class Disturbance(msgspec.Struct):
    """The runner did something to `owner` ("" = to all); `to_s` None: it still does."""

    owner: str
    kind: str
    from_s: float
    to_s: float | None


class Flush(msgspec.Struct, frozen=True):
    """Redis was emptied, on purpose or by mistake."""

    at_s: float
    waiting: Mapping[str, int]
    """By token: records that waited in it."""
    watchers: frozenset[str] = frozenset()
    """Who ran then."""


class Record(msgspec.Struct, frozen=True):
    """Everything that is known of one world."""

    said: Sequence[Said]
    pods: Mapping[str, Pod]
    logs: Mapping[str, Sequence[str]]
    """By token, in Coder's order."""
    requests: Sequence[Request]
    disturbances: Sequence[Disturbance]
    compacted_s: Sequence[float]
    """When Kubernetes forgot its history."""
    listed: Sequence[Listed]
    drops: Mapping[str, int]
    """By token: records that Redis says were dropped by shippers."""
    refused: Mapping[str, int]
    """By token: records that Redis says it did not take, for lack of room."""
    late: Mapping[str, int]
    """By token: records that Redis says it did not take, because the agent had ended."""
    reasons: Mapping[str, int]
    """By reason: records that the shippers' metrics say were dropped."""
    verdicts: Mapping[str, int]
    """By outcome: what the watchers' metrics say became of their records."""
    watchers: frozenset[str]
    expired: frozenset[str] = frozenset()
    """Events that a watcher dropped because their pod did not come."""
    flushes: Sequence[Flush] = ()


class Findings(msgspec.Struct):
    lines: int = 0
    lost: list[str] = []
    dropped: int = 0
    """Not told, but counted as dropped by a shipper or refused in Redis."""
    expired: int = 0
    """Not told: events that a watcher dropped, and counted, as their pod was gone before it could learn of it."""
    lost_to_flush: int = 0
    """Not told: they waited in Redis when it was emptied, or nobody remembered what it held."""
    unseen: int = 0
    """A pod's coming or going of which Kubernetes kept nothing when a watcher could read again."""
    unread: int = 0
    """Not told: the pod had gone before its token could be read from its Secret."""
    repeated: int = 0
    unexplained_repeats: list[str] = []
    repeated_by_flush: int = 0
    """The repeats of what was told before Redis was emptied, by a watcher that had not read it."""
    ambiguous: int = 0
    """Requests that took effect and of which their sender, or Redis, could not know it for certain."""
    disordered: list[str] = []
    after_lag: list[str] = []
    """The same, where Redis lost what one watcher had told while another one took its place: neither can know of it."""
    after_drop: list[str] = []
    """The same, where Redis lost that a record had been dropped: it is told after all."""
    after_flush: list[str] = []
    """The same, where what was told of it waited in Redis when that was emptied, and a watcher came to read it anew."""
    unreasoned: list[str] = []
    """Dropped in Redis, but under no reason in any metric."""
    foreign: list[str] = []
    in_flight: list[str] = []

    @property
    def told_late(self) -> int:
        """Behind something newer, but Redis had lost what was known of it."""
        return sum(map(len, (self.after_lag, self.after_drop, self.after_flush)))

    @property
    def faults(self) -> list[str]:
        return [
            *(f"lost: {each}" for each in self.lost),
            *(f"repeated without a reason: {each}" for each in self.unexplained_repeats),
            *(f"out of order: {each}" for each in self.disordered),
            *(f"dropped without a reason: {each}" for each in self.unreasoned),
            *(f"not this agent's: {each}" for each in self.foreign),
            *(f"two requests at once: {each}" for each in self.in_flight),
        ]
