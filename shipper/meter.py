"""What the shipper counts, in the words of delivery. Keeps labels bounded: endpoints, codes and reasons only."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Final

from msgspec import Struct

from common.clock import Clock
from common.ids import AgentId
from common.store.model import Backlog
from common.telemetry.metrics import ShipperMetrics
from shipper.batch import Batch
from shipper.outcome import Answer, Call, Reply
from shipper.pace import Quota
from shipper.reasons import Reason
from shipper.telling import Hidden

__all__ = ["Meter"]

_PEER_METHOD: Final = {Call.LOGS: "SendLog", Call.LOG_SOURCE: "PostLogSource"}
_HELD_FORGOTTEN_S: Final = 300.0
"""An agent held by us that we have not seen for so long is somebody else's, or gone."""
_NO_CODE: Final = "none"
_KNOWN_CODES: Final = {
    Call.LOGS: ("200", "400", "401", "413", "429", "500", _NO_CODE),
    Call.LOG_SOURCE: ("201", "401", "429", "500", _NO_CODE),
}
"""What Coder itself is known to answer (FACTS 1)."""


class _Held(Struct, frozen=True):
    """An agent whose lines wait."""

    reason: Reason
    age_s: float
    """When we looked last; meanwhile another shipper may have brought its lines home."""
    seen_s: float


class Meter:
    """Writes to `metrics`; one for a process."""

    def __init__(self, metrics: ShipperMetrics, clock: Clock) -> None:
        self._metrics = metrics
        self._clock = clock
        self._held: dict[AgentId, _Held] = {}
        self._begin_at_zero()

    def asked(self, call: Call, reply: Reply, took_s: float, quota: Quota | None) -> None:
        """One request to Coder is over; `quota`: what is left to its path, None if there is no limit."""
        metrics = self._metrics
        code = str(reply.status) if isinstance(reply, Answer) else _NO_CODE
        metrics.coder_responses.labels(call.value, code).inc()
        metrics.request_seconds.labels(call.value).observe(took_s)
        succeeded = isinstance(reply, Answer) and 200 <= reply.status < 300
        metrics.requests.labels(_PEER_METHOD[call], "success" if succeeded else "failure").inc()
        if quota is not None:
            metrics.rate_limit_remaining.labels(call.value).set(quota.remaining)
            metrics.rate_limit_requests.labels(call.value).set(quota.limit)

    def delivered(self, batch: Batch, now_ms: int) -> None:
        """Coder accepted `batch`. `now_ms` is Unix time by Redis: our own clock may be wrong."""
        self._metrics.lines.inc(len(batch.lines))
        for piece in batch.shown:
            if piece.at_ms > 0:
                self._metrics.delivery_seconds.observe(max(0.0, now_ms - piece.at_ms) / 1000)

    def dropped(self, reason: Reason, records: int) -> None:
        """`records` (>= 0) will never be delivered."""
        if records > 0:
            self._metrics.dropped.labels(reason.value).inc(records)

    def hidden(self, records: Iterable[Hidden]) -> None:
        """These have no line, as the wording wants it."""
        for why in records:
            self._metrics.hidden.labels(why.value).inc()

    def claimed(self, agent: AgentId, unsettled: bool) -> None:
        self._held.pop(agent, None)
        if unsettled:
            self._metrics.unsettled_claims.inc()

    def held(self, agent: AgentId, reason: Reason, age_s: float) -> None:
        """The agent's lines wait, for longer than a rate limit's rest; `age_s` since the first failure."""
        self._held[agent] = _Held(reason, age_s, self._clock.monotonic_s())

    def fenced(self) -> None:
        self._metrics.fenced.inc()

    def redis(self, *, up: bool) -> None:
        """Whether Redis did what it was asked just now."""
        self._metrics.redis_up.set(up)

    def leases(self, in_hand: int) -> None:
        self._metrics.leases.set(in_hand)

    def survey(self, backlog: Backlog, bells: int) -> None:
        """A glance at Redis, for all shippers alike."""
        metrics = self._metrics
        metrics.backlog_records.set(backlog.waiting_records)
        metrics.oldest_due_seconds.set(backlog.oldest_due_s)
        metrics.agents.labels("due").set(backlog.due_agents)
        metrics.agents.labels("claimed").set(backlog.claimed_agents)
        metrics.agents.labels("scheduled").set(backlog.scheduled_agents)
        metrics.drainers.labels("awake").set(backlog.drainers_awake)
        metrics.drainers.labels("asleep").set(backlog.drainers_asleep)
        metrics.bells_unanswered.set(bells)
        self._survey_held()

    def _begin_at_zero(self) -> None:
        """An increase is seen only by who has seen the value before it: what comes into being at 1 has none."""
        for reason in Reason:
            self._metrics.dropped.labels(reason.value)
            self._metrics.held_agents.labels(reason.value)
            self._metrics.hold_seconds.labels(reason.value)
        for why in Hidden:
            self._metrics.hidden.labels(why.value)
        for call, codes in _KNOWN_CODES.items():
            self._metrics.request_seconds.labels(call.value)
            for code in codes:
                self._metrics.coder_responses.labels(call.value, code)

    def _survey_held(self) -> None:
        since_s = self._clock.monotonic_s() - _HELD_FORGOTTEN_S
        self._held = {agent: held for agent, held in self._held.items() if held.seen_s >= since_s}
        counts = Counter(held.reason for held in self._held.values())
        longest_s = dict.fromkeys(Reason, 0.0)
        for held in self._held.values():
            longest_s[held.reason] = max(longest_s[held.reason], held.age_s)
        for reason in Reason:
            self._metrics.held_agents.labels(reason.value).set(counts[reason])  # 0 too: multiprocess mode cannot remove
            self._metrics.hold_seconds.labels(reason.value).set(longest_s[reason])
