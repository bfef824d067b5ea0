"""The metrics of both programs, by one class each. No global registry; works in Prometheus' multiprocess mode.

In multiprocess mode (`PROMETHEUS_MULTIPROC_DIR`, set by a supervisor before the process starts) the values of all
processes are merged: counters and histograms add up, gauges as each one's `multiprocess_mode` says. Labels are
bounded: no name of a workspace, pod or agent is ever one.

The library would show, beside each counter and histogram, a series with the time of its making. Nobody asks for it and
it doubles what is scraped, so its switch, which is the process's, is turned off here.
"""

from __future__ import annotations

from typing import Final, Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics

from common.version import release

__all__ = ["ShipperMetrics", "SupervisorMetrics", "WatcherMetrics"]

_PREFIX: Final = "coder_logstream_"
_SECONDS_FAST: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10)
_SECONDS_END_TO_END: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)
_SECONDS_OF_STARTS: Final = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800)

_Mode = Literal["livemin", "livemax", "livesum", "livemostrecent"]
"""How the values that several processes have for a gauge become one; those of dead processes do not count."""

_PEER_METHODS: Final = ("PostLogSource", "ConnectRPC", "SendLog")
_PEER_STATUSES: Final = ("success", "failure")


class WatcherMetrics:
    """What a watcher counts."""

    def __init__(self, registry: CollectorRegistry) -> None:
        make = _Maker(registry)
        self.build_info = make.build_info("watcher")
        self.redis_up = make.redis_up("watcher")
        self.events_seen = make.counter("events_seen", "Watch messages received.", "resource", "type")
        self.records = make.counter("records", "Records by what became of them at the watcher.", "outcome")
        self.append_seconds = make.histogram(
            "append_seconds", "Time that one append to Redis took.", buckets=_SECONDS_FAST
        )
        self.append_lag_seconds = make.histogram(
            "append_lag_seconds",
            "From the receipt of a watch message until its record was in Redis.",
            buckets=_SECONDS_END_TO_END,
        )
        self.outbox_bytes = make.gauge(
            "outbox_bytes", "Size of the records that Redis has not taken yet.", mode="livesum"
        )
        self.redis_troubles = make.counter(
            "redis_troubles", "Calls that Redis did not do, each of them tried again, by reason.", "reason"
        )
        self.watch_restarts = make.counter("watch_restarts", "Watches opened anew, by reason.", "resource", "reason")
        self.watches_failing = make.gauge(
            "watches_failing",
            "Lists and watches that fail just now, unless the right is optional.",
            "resource",
            mode="livesum",
        )
        self.relists = make.counter("relists", "Full lists taken, by reason.", "resource", "reason")
        self.parked_events = make.gauge("parked_events", "Events that wait for their object.", mode="livesum")
        self.known_objects = make.gauge("known_objects", "Objects known to belong to an agent.", "kind", mode="livesum")
        self.objects_not_followed = make.counter(
            "objects_not_followed", "Objects with an agent token that are not followed, by reason.", "reason"
        )
        self.units = make.gauge(
            "units", "Namespaces, or slots of namespaces, that are to be read by somebody.", mode="livemostrecent"
        )
        self.units_held = make.gauge(
            "units_held", "Namespaces, or slots of namespaces, that this watcher reads.", mode="livesum"
        )
        self.watchers_alive = make.gauge(
            "watchers_alive", "Watchers that share the namespaces, this one among them.", mode="livemostrecent"
        )
        self.agents_without_token = make.counter(
            "agents_without_token", "Objects met that name no agent token, or one that could not be used.", "reason"
        )
        self.secrets_lookups = make.counter(
            "secrets_lookups", "Secrets and ConfigMaps asked for, by outcome.", "outcome"
        )
        self.pod_start_seconds = make.histogram(
            "pod_start_seconds",
            "What the starts of pods took, by phase and by how they ended.",
            "phase",
            "outcome",
            buckets=_SECONDS_OF_STARTS,
        )
        self.malformed_objects = make.counter(
            "malformed_objects", "Objects left out: not to be decoded, or too large.", "resource"
        )
        self.crash_logs = make.counter(
            "crash_logs", "Logs of crashed containers that were to be shown, by outcome.", "outcome"
        )


class ShipperMetrics:
    """What a shipper counts."""

    def __init__(self, registry: CollectorRegistry) -> None:
        make = _Maker(registry)
        self.build_info = make.build_info("shipper")
        self.redis_up = make.redis_up("shipper")
        self.requests = make.counter(
            "requests", "Requests to Coder under the names that coder-logstream-kube gives them.", "method", "status"
        )
        for method in _PEER_METHODS:
            for status in _PEER_STATUSES:
                self.requests.labels(method, status)  # alerts on rates need the zero
        self.coder_responses = make.counter(
            "coder_responses", "Answers of Coder; code `none` is a request without one.", "endpoint", "code"
        )
        self.delivery_seconds = make.histogram(
            "delivery_seconds",
            "From the event's time in Kubernetes until Coder accepted its line.",
            buckets=_SECONDS_END_TO_END,
        )
        self.request_seconds = make.histogram(
            "request_seconds", "Time until Coder answered.", "endpoint", buckets=_SECONDS_END_TO_END
        )
        self.lines = make.counter("lines", "Lines that Coder accepted.")
        self.dropped = make.counter("dropped", "Records that will never be delivered, by reason.", "reason")
        self.hidden = make.counter(
            "hidden", "Records that have no line, as the wording wants it, by what hides them.", "by"
        )
        self.unsettled_claims = make.counter(
            "unsettled_claims", "Claims over an unsettled lease: the last batch before may have been repeated."
        )
        self.fenced = make.counter("fenced", "Settlements refused because another shipper had claimed the agent.")
        self.leases = make.gauge("leases", "Agents claimed by this shipper.", mode="livesum")
        self.held_agents = make.gauge(
            "held_agents", "Agents whose lines are held back, by reason.", "reason", mode="livesum"
        )
        self.hold_seconds = make.gauge(
            "hold_seconds",
            "For how long the agent held longest was held when Coder was last asked about it, by reason.",
            "reason",
            mode="livemax",
        )
        self.rate_limit_requests = make.gauge(
            "rate_limit_requests", "Requests that Coder allows in one window.", "endpoint", mode="livemin"
        )
        self.rate_limit_remaining = make.gauge(
            "rate_limit_remaining", "Requests that Coder still allows in its window.", "endpoint", mode="livemin"
        )
        # The next ones are the same for all shippers of one Redis: each reports what it saw last.
        self.backlog_records = make.gauge("backlog_records", "Records that wait in Redis.", mode="livemostrecent")
        self.oldest_due_seconds = make.gauge(
            "oldest_due_seconds",
            "How long the agent that is due longest has waited for a shipper.",
            mode="livemostrecent",
        )
        self.bells_unanswered = make.gauge(
            "bells_unanswered", "RQ jobs that no worker has begun.", mode="livemostrecent"
        )
        self.agents = make.gauge("agents", "Agents with waiting records, by state.", "state", mode="livemostrecent")
        self.drainers = make.gauge("drainers", "Shippers' drain shifts, by state.", "state", mode="livemostrecent")


class SupervisorMetrics:
    """What a process that runs the others counts."""

    def __init__(self, registry: CollectorRegistry) -> None:
        make = _Maker(registry)
        self.processes = make.gauge("processes", "Processes that run, by program.", "program", mode="livesum")
        self.process_restarts = make.counter("process_restarts", "Processes started anew after a failure.", "program")


class _Maker:
    """Makes metrics of one registry under the common prefix."""

    def __init__(self, registry: CollectorRegistry) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._registry = registry

    def build_info(self, program: str) -> Gauge:
        """Which version of `program` this is; by convention a gauge that is always 1."""
        text = "Always 1; the labels tell which version of which program runs."
        gauge = self.gauge("build_info", text, "version", "program", mode="livemin").labels(release(), program)
        gauge.set(1)
        return gauge

    def redis_up(self, program: str) -> Gauge:
        """For `program` to set."""
        text = "1 if Redis does what the program asks of it, 0 if it is away, full or refuses."
        return self.gauge("redis_up", text, "program", mode="livemin").labels(program)

    def counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(_PREFIX + name, text, labels, registry=self._registry)

    def gauge(self, name: str, text: str, *labels: str, mode: _Mode) -> Gauge:
        return Gauge(_PREFIX + name, text, labels, registry=self._registry, multiprocess_mode=mode)

    def histogram(self, name: str, text: str, *labels: str, buckets: tuple[float, ...]) -> Histogram:
        return Histogram(_PREFIX + name, text, labels, registry=self._registry, buckets=buckets)
