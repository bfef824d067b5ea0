"""The reference pages say what the code says: metrics, Redis keys, scripts, the record, lines."""

import inspect
from collections.abc import Iterator

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.metrics import MetricWrapperBase

from common.ids import AgentId, DrainerId, Uid, Unit
from common.record import RECORD_VERSION, Level, LogRecord, ObjectRef, Origin
from common.store.keys import Keys
from common.store.scripts import SCRIPT_NAMES
from common.telemetry.metrics import ShipperMetrics, SupervisorMetrics, WatcherMetrics
from shipper.hold import SEVERAL
from shipper.reasons import Reason
from shipper.text import budget_line, gap_line
from tests.unit.docs.pages import REFERENCE, prose_of, table_rows, text_of
from tests.unit.shipper.records import worded
from watcher.sought import NoToken

METRICS = REFERENCE / "metrics.md"
REDIS = REFERENCE / "redis.md"
RECORD = REFERENCE / "record.md"
LINES = REFERENCE / "lines.md"
DAY_MS = 86_400_000


def metrics_of(program: type[WatcherMetrics] | type[ShipperMetrics] | type[SupervisorMetrics]) -> Iterator[list[str]]:
    """The row of each metric: name, type, labels, meaning."""
    for metric in vars(program(CollectorRegistry())).values():
        if isinstance(metric, MetricWrapperBase):
            (family,) = metric.describe()
            name = f"{family.name}_total" if family.type == "counter" else family.name
            labels = ", ".join(f"`{label}`" for label in metric._labelnames)  # noqa: SLF001 - describe() lacks them
            yield [f"`{name}`", family.type, labels, family.documentation]


@pytest.mark.parametrize("program", [WatcherMetrics, ShipperMetrics, SupervisorMetrics])
def test_every_metric_has_its_row(program: type[WatcherMetrics]) -> None:
    rows = table_rows(METRICS)
    assert [row for row in metrics_of(program) if row not in rows] == []


def test_no_metric_is_described_that_does_not_exist() -> None:
    there = [row[0] for program in (WatcherMetrics, ShipperMetrics, SupervisorMetrics) for row in metrics_of(program)]
    described = [row[0] for row in table_rows(METRICS) if row[0].startswith("`coder_logstream_")]
    assert described == there


@pytest.mark.parametrize("word", [*Reason, *NoToken])
def test_every_reason_is_explained(word: str) -> None:
    assert f"`{word}`" in text_of(METRICS)


def test_every_key_has_its_row() -> None:
    keys = Keys()
    agent, drainer = AgentId("<id>"), DrainerId("<drainer>")
    samples: dict[str, list[str]] = {
        "agent": [keys.agent(agent)],
        "log": [keys.log(agent)],
        "facts": [keys.facts(agent)],
        "seen": [keys.seen(agent, 0), keys.seen(agent, 1)],
        "wake": [keys.wake(drainer)],
        "objects": [keys.objects("<resource>", Unit("<unit>"))],
        "positions": [keys.positions("<resource>")],
        "floors": [keys.floors("<resource>")],
        "watchers": [keys.watchers("<group>")],
    }
    methods = {name for name, _ in inspect.getmembers(Keys, inspect.isfunction) if not name.startswith("_")}
    assert methods == set(samples)
    fixed = [value for name, value in vars(keys).items() if name not in ("prefix", "tag", "wake_prefix")]
    first_cells = " ".join(row[0] for row in table_rows(REDIS))
    assert [key for names in [fixed, *samples.values()] for key in names if f"`{key}`" not in first_cells] == []


def test_the_scripts_are_those_that_ship() -> None:
    rows = [row for row in table_rows(REDIS) if len(row) == 3 and row[1] in ("watcher", "shipper")]
    assert sorted(row[0].strip("`") for row in rows) == sorted(SCRIPT_NAMES)


def test_the_records_fields_stand_in_their_order() -> None:
    rows = [row for row in table_rows(RECORD) if row[0].isdigit()]
    assert [row[1].strip("`") for row in rows] == list(LogRecord.__struct_fields__)
    assert f"now {RECORD_VERSION}" in rows[0][3]


def event(reason: str, message: str, **more: object) -> LogRecord:
    fields: dict[str, object] = {"level": Level.DEBUG, "type": "Normal", **more}
    pod = ObjectRef("Pod", "dev", "web-1", Uid("u"))
    return LogRecord(1, Origin.EVENT, pod, "e", 1, reason, message, **fields)  # type: ignore[arg-type]


WARNING = {"level": Level.WARN, "type": "Warning"}
EXAMPLES = [
    event("Pulling", 'Pulling image "app:1.0"'),
    event("Scheduled", "Successfully assigned dev/web-1 to node-a"),
    event("Started", "Container started", container="init-db"),
    event(
        "FailedAttachVolume", 'Multi-Attach error for volume "pvc-1"',
        count=4, first_at_ms=DAY_MS, last_at_ms=DAY_MS + 60_000, **WARNING,
    ),
    event(
        "Unhealthy", "Readiness probe failed: connection refused",
        count=9, first_at_ms=DAY_MS, last_at_ms=DAY_MS + 720_000, **WARNING,
    ),
]  # fmt: skip


def test_the_example_lines_are_what_is_rendered() -> None:
    shown = [row[1].strip("`") for row in table_rows(LINES) if row[0].startswith(("Normal", "Warning"))]
    assert shown == [worded(record, record.last_at_ms)[0].text for record in EXAMPLES]


@pytest.mark.parametrize(
    ("reason", "kind"), [("Created", "Pod"), ("Queued", "ReplicaSet"), ("Deleted", "Pod"), ("Deleted", "ReplicaSet")]
)
def test_the_lines_of_objects_are_what_is_rendered(reason: str, kind: str) -> None:
    about = ObjectRef(kind, "dev", "NAME", Uid("u"))
    record = LogRecord(1, Origin.OBJECT, about, "u/x", 1, reason, "", Level.DEBUG)
    (line,) = worded(record, 0)
    assert f"`{line.text}`" in [row[0] for row in table_rows(LINES)]


def test_the_last_line_is_what_is_rendered() -> None:
    assert budget_line(256 * 1024, 3).text in prose_of(LINES)


def test_what_is_missing_is_said_as_it_is_rendered() -> None:
    first_cells = [row[0] for row in table_rows(LINES)]
    about = ObjectRef("Pod", "dev", "web-1", Uid("u"))
    notes = [
        LogRecord(1, Origin.OBJECT, about, "u/x", 1, reason, "", Level.WARN, count=12)
        for reason in ("NotKept", "NotFollowed")
    ]
    lines = [gap_line(3, Reason.UNREACHABLE).text, *(worded(note, 0)[0].text for note in notes)]
    assert [line for line in lines if f"`{line}`" not in first_cells] == []


def test_every_reason_for_which_something_is_missing_has_its_row() -> None:
    rows = {row[0]: row[1] for row in table_rows(LINES) if len(row) == 2}
    assert gap_line(1, SEVERAL).text.partition(": ")[2].rstrip(".") in rows
    for why in set(Reason) - {Reason.INVALID_TOKEN}:  # its agent never takes lines again
        because = gap_line(1, why).text.partition(": ")[2].rstrip(".")
        assert not because or f"`{why}`" in rows[because]
