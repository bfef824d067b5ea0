"""Whether a record was news is said once, by what Redis answers first."""

import pytest
from prometheus_client import CollectorRegistry

from common.ids import AgentId
from common.store.model import Entry, Home, Verdict
from common.telemetry.metrics import WatcherMetrics
from watcher.verdicts import Verdicts


def entry(agent: str = "a", identity: str = "i") -> Entry:
    return Entry(AgentId(agent), identity, 1, Home.OBJECT, b"")


def of(*verdicts: Verdict) -> list[int]:
    """How often `on_new` was called by the time of each of `verdicts`."""
    called: list[int] = []
    made = Verdicts(WatcherMetrics(CollectorRegistry()))
    made.expect("i", lambda: called.append(1))
    counts = []
    for number, verdict in enumerate(verdicts):
        made.note(entry(f"agent-{number}"), verdict)
        counts.append(len(called))
    return counts


@pytest.mark.parametrize("verdict", [Verdict.ACCEPTED, Verdict.OVER_BUDGET, Verdict.ENDED])
def test_what_redis_did_not_know_is_news_once(verdict: Verdict) -> None:
    assert of(verdict, Verdict.ACCEPTED) == [1, 1]


@pytest.mark.parametrize("verdict", [Verdict.DUPLICATE, Verdict.UNKNOWN_AGENT])
def test_what_was_told_before_is_no_news_to_a_further_agent(verdict: Verdict) -> None:
    assert of(verdict, Verdict.ACCEPTED) == [0, 0]


def test_every_verdict_is_counted() -> None:
    registry = CollectorRegistry()
    made = Verdicts(WatcherMetrics(registry))
    for _ in range(2):
        made.note(entry(), Verdict.DUPLICATE)
    assert registry.get_sample_value("coder_logstream_records_total", {"outcome": "duplicate"}) == 2
    assert registry.get_sample_value("coder_logstream_records_total", {"outcome": "accepted"}) == 0
