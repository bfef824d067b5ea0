"""What is counted, and what stands on the first page that is scraped."""

from prometheus_client import CollectorRegistry

from common.clock import SystemClock
from common.ids import AgentId, StreamId
from common.record import Level
from common.store.model import Backlog
from common.telemetry.metrics import ShipperMetrics
from shipper.batch import Piece, compose
from shipper.budget import Account
from shipper.meter import Meter
from shipper.outcome import Answer, Call, NoAnswer, Sent
from shipper.pace import Quota
from shipper.reasons import Reason
from shipper.telling import Hidden
from shipper.text import Line
from tests.unit.shipper.records import NOON_MS
from tests.virtual_clock import VirtualClock

QUIET = Backlog(0, 0, 0, 0, 0.0, 0, 0)


class Page:
    """A meter and what a scraper reads of it."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.clock = VirtualClock()
        self.meter = Meter(ShipperMetrics(self._registry), self.clock)

    def value(self, name: str, **labels: str) -> float | None:
        return self._registry.get_sample_value(f"coder_logstream_{name}", labels)


def test_the_first_drop_of_every_reason_is_an_increase() -> None:
    registry = CollectorRegistry()
    meter = Meter(ShipperMetrics(registry), SystemClock())
    for reason in Reason:
        assert registry.get_sample_value("coder_logstream_dropped_total", {"reason": reason}) == 0
        assert registry.get_sample_value("coder_logstream_held_agents", {"reason": reason}) == 0
        assert registry.get_sample_value("coder_logstream_hold_seconds", {"reason": reason}) == 0
    meter.dropped(Reason.QUOTA, 2)
    assert registry.get_sample_value("coder_logstream_dropped_total", {"reason": "quota"}) == 2


def test_what_coder_is_known_to_answer_begins_at_zero() -> None:
    registry = CollectorRegistry()
    meter = Meter(ShipperMetrics(registry), SystemClock())
    known = ("logs", "200"), ("logs", "413"), ("logs", "none"), ("log_source", "201"), ("log_source", "401")
    for endpoint, code in known:
        labels = {"endpoint": endpoint, "code": code}
        assert registry.get_sample_value("coder_logstream_coder_responses_total", labels) == 0
    meter.asked(Call.LOGS, NoAnswer(Sent.NO, "gone"), 0.1, None)
    meter.asked(Call.LOGS, Answer(418, {}, b""), 0.1, None)
    for code in ("none", "418"):
        labels = {"endpoint": "logs", "code": code}
        assert registry.get_sample_value("coder_logstream_coder_responses_total", labels) == 1


def test_a_survey_puts_each_figure_in_its_place() -> None:
    page = Page()
    page.meter.survey(Backlog(70, 1, 2, 9, 3.5, 4, 5), bells=6)
    assert page.value("backlog_records") == 70
    assert page.value("oldest_due_seconds") == 3.5
    assert [page.value("agents", state=state) for state in ("due", "claimed", "scheduled")] == [1, 2, 9]
    assert [page.value("drainers", state=state) for state in ("awake", "asleep")] == [4, 5]
    assert page.value("bells_unanswered") == 6
    page.meter.leases(8)
    assert page.value("leases") == 8


def test_held_agents_are_counted_by_their_reason_until_they_are_claimed_or_long_unseen() -> None:
    page = Page()
    held = {agent: AgentId(agent * 32) for agent in "abc"}
    page.meter.held(held["a"], Reason.UNAUTHORIZED, 130.0)
    page.meter.held(held["b"], Reason.UNAUTHORIZED, 4.0)
    page.meter.held(held["c"], Reason.NOT_CODER, 1.0)
    page.meter.survey(QUIET, 0)
    assert [page.value("held_agents", reason=why) for why in ("unauthorized", "not_coder")] == [2, 1]
    assert [page.value("hold_seconds", reason=why) for why in ("unauthorized", "not_coder")] == [130, 1]
    page.meter.claimed(held["a"], unsettled=False)
    page.meter.survey(QUIET, 0)
    assert [page.value("held_agents", reason=why) for why in ("unauthorized", "not_coder")] == [1, 1]
    assert [page.value("hold_seconds", reason=why) for why in ("unauthorized", "not_coder")] == [4, 1]
    page.clock.now_s += 301
    page.meter.survey(QUIET, 0)
    assert [page.value("held_agents", reason=why) for why in ("unauthorized", "not_coder")] == [0, 0]
    assert [page.value("hold_seconds", reason=why) for why in ("unauthorized", "not_coder")] == [0, 0]


def test_an_answer_counts_by_endpoint_and_status_and_under_the_peers_names() -> None:
    page = Page()
    page.meter.asked(Call.LOGS, Answer(200, {}, b"null"), 0.2, Quota(512, 511, 60.0))
    page.meter.asked(Call.LOGS, Answer(429, {}, b""), 0.2, Quota(512, 0, 59.0))
    page.meter.asked(Call.LOG_SOURCE, Answer(201, {}, b"{}"), 3.0, Quota(512, 40, 58.0))
    page.meter.asked(Call.LOG_SOURCE, NoAnswer(Sent.MAYBE, "reset"), 3.0, None)
    asked = ("logs", "200"), ("logs", "429"), ("log_source", "201"), ("log_source", "none")
    assert [page.value("coder_responses_total", endpoint=path, code=code) for path, code in asked] == [1] * 4
    peers = [(method, status) for method in ("SendLog", "PostLogSource") for status in ("success", "failure")]
    assert [page.value("requests_total", method=method, status=status) for method, status in peers] == [1] * 4
    assert page.value("requests_total", method="ConnectRPC", status="success") == 0
    assert [page.value("rate_limit_remaining", endpoint=each) for each in ("logs", "log_source")] == [0, 40]
    assert [page.value("rate_limit_requests", endpoint=each) for each in ("logs", "log_source")] == [512, 512]
    assert page.value("request_seconds_sum", endpoint="logs") == 0.4
    assert page.value("request_seconds_count", endpoint="log_source") == 2


def test_redis_counts_as_away_until_it_has_answered() -> None:
    page = Page()
    assert page.value("redis_up", program="shipper") == 0
    page.meter.redis(up=True)
    assert page.value("redis_up", program="shipper") == 1
    page.meter.redis(up=False)
    assert page.value("redis_up", program="shipper") == 0


def test_delivery_is_measured_from_the_events_time_and_not_without_one() -> None:
    page = Page()
    times_ms = (NOON_MS - 2_500, NOON_MS + 60_000, 0)  # as usual; of a node whose clock is ahead; unknown
    pieces = [
        Piece(StreamId(f"{number}-0"), 1, (Line("x", Level.DEBUG), Line("y", Level.DEBUG)), 2, at_ms)
        for number, at_ms in enumerate(times_ms)
    ]
    pieces.append(Piece(StreamId("3-0"), 1, (), 0, NOON_MS - 9_000, Hidden.ENTRY))  # goes along unseen
    page.meter.delivered(compose(pieces, Account(1 << 20)), NOON_MS)
    assert page.value("lines_total") == 6
    assert page.value("delivery_seconds_count") == 2
    assert page.value("delivery_seconds_sum") == 2.5


def test_what_is_hidden_is_counted_apart_from_what_is_dropped() -> None:
    page = Page()
    page.meter.hidden([Hidden.ENTRY, Hidden.ENTRY, Hidden.LEVEL])
    assert [page.value("hidden_total", by=by) for by in ("entry", "level")] == [2, 1]
    assert page.value("dropped_total", reason="unreadable") == 0
