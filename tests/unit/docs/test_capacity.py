"""The page of limits and capacity: its limits are those of the code, its figures those of the pages that it names, its
sums right."""

import re
from collections.abc import Iterator

import yaml

from common.settings.declare import declared
from common.settings.in_cluster import IN_CLUSTER, ValkeySettings
from common.settings.load import PROGRAMS
from common.settings.run import RunSettings
from shipper.batch import BATCH_BYTES_MAX, BATCH_LINES_MAX
from shipper.pace import Share
from shipper.sanitise import LINES_MAX
from shipper.split import LINE_MAX_CHARS
from tests.unit.docs.pages import REFERENCE, ROOT, prose_of, table_rows
from watcher.directory import BARE_MAX
from watcher.lingering import LINGER_S, LINGERING_MAX
from watcher.publisher import OUTBOX_MAX_BYTES
from watcher.records import MESSAGE_MAX_BYTES
from watcher.repeats import EVENTS_MAX
from watcher.shares import SLOTS

PAGE = ROOT / "docs" / "explanation" / "capacity.md"
CHART = yaml.safe_load((ROOT / "charts" / "coder-logstream" / "values.yaml").read_text())
KIB, MIB = 1024, 1024 * 1024
COLUMNS_OF_LIMITS = 4
SUMS_MIN = 10
ROUNDED = 0.51
LINES_OF_A_START = 20
"""In the measurement of performance.md."""


def default(name: str) -> int:
    return int(RunSettings.model_fields[name].default)


def limits() -> Iterator[tuple[str, str]]:
    """The first cell of a row, and what its second one has to say."""
    yield "an agent's text in Coder", f"{default('budget_bytes') // KIB} KiB"
    yield "one message", f"{MESSAGE_MAX_BYTES // KIB} KiB, {LINES_MAX} lines"
    yield "one line", f"{LINE_MAX_CHARS:,} characters"
    yield "one request", f"{BATCH_LINES_MAX} lines, {BATCH_BYTES_MAX // KIB} KiB"
    yield "… of agents that Coder never accepted", {0.25: "a quarter of it"}[Share.UNPROVEN.value]
    yield "… that ask for agents that are held", {0.5: "half of it"}[Share.PROBE.value]
    yield "agents served at once by a shipper", f"{default('concurrency')}"
    yield "an answer of Coder", f"{default('request_timeout_s')} s"
    yield "waiting for an agent that Coder does not know", f"{default('unauthorized_window_s') // 60} minutes"
    yield "waiting for a Coder that does not answer", f"{default('unreachable_window_s') // 3600} hours"
    yield "Events that wait for their pod", f"{default('parked_max'):,} for {default('parked_s')} s"
    yield "Events about claims and owners, kept for pods to come", f"{LINGERING_MAX:,} for {LINGER_S:g} s"
    yield "Events whose repeats are folded", f"{EVENTS_MAX:,}"
    yield "pods and ReplicaSets with a token, each watcher", f"{default('known_max'):,}"
    yield "pods without a token that are remembered", f"{BARE_MAX:,}"
    yield "records that Redis does not take", f"{OUTBOX_MAX_BYTES // MIB} MiB"
    yield "data in the chart's Valkey", f"{ValkeySettings.model_fields['valkey_memory_bytes'].default // MIB} MiB"
    yield "watchers that share the whole cluster", f"{len(SLOTS)}"


def test_each_limit_is_that_of_the_code() -> None:
    said = {row[0]: row[1] for row in table_rows(PAGE) if len(row) == COLUMNS_OF_LIMITS}
    assert [(of, limit) for of, limit in limits() if limit not in said.get(of, "")] == []


def test_the_chart_has_the_same_defaults() -> None:
    assert CHART["budgetBytes"] == default("budget_bytes")
    assert CHART["valkey"]["maxMemoryMiB"] * MIB == ValkeySettings.model_fields["valkey_memory_bytes"].default


def test_each_setting_exists() -> None:
    known = {name for model in (*PROGRAMS.values(), *IN_CLUSTER.values()) for name in declared(model)}
    known |= {"CODER_API_RATE_LIMIT", "budgetBytes", "valkey.maxMemoryMiB"}
    cells = [row[3] for row in table_rows(PAGE) if len(row) == COLUMNS_OF_LIMITS]
    named = {name for cell in cells for name in re.findall(r"`([^`]+)`", cell)}
    assert named - known == set()
    assert named >= {"known_max", "concurrency"}


def figures(page_rows: list[list[str]]) -> dict[str, str]:
    """What was measured, by its name on the page of performance."""
    return {row[1]: row[2] for row in page_rows if len(row) > COLUMNS_OF_LIMITS}


def number(text: str) -> float:
    (first, *_) = re.findall(r"[\d,.]*\d", text)
    return float(first.replace(",", ""))


def test_the_figures_are_those_that_were_measured() -> None:
    """Whoever measures again does the sums again, too."""
    measured = figures(table_rows(REFERENCE / "performance.md"))
    taken = {row[0]: row[1] for row in table_rows(PAGE)}
    for here, there in {
        "requests per Event if nothing is short": "requests to Coder per event",
        "requests per 1,000 lines if Coder's limit is": "requests per 1,000 lines",
        "time for those 1,000 starts": "time to drain 1,000 × 20 lines",
        "a fresh watcher": "fresh watcher",
        "a pod that is followed, in watcher and Valkey together": "growth per pod, watcher + Valkey",
    }.items():
        assert number(taken[here]) == number(measured[there]), here


def worked_out(term: str) -> float:
    """Of numbers and + − × ÷."""
    total = 0.0
    for sign, product in re.findall(r"(^|[+−]) ?([^+−]+)", term):
        value = 1.0
        for operation, factor in re.findall(r"(^|[×÷]) ?([\d,.]+)", product.strip()):
            value = value / number(factor) if operation == "÷" else value * number(factor)
        total += -value if sign == "−" else value
    return total


def test_the_sums_are_right() -> None:
    text = " ".join(prose_of(PAGE).split())
    sums = re.findall(r"((?:[\d,.]+ [×÷+−] )+[\d,.]+) = (\d[\d,.]*\d|\d)", text)
    assert len(sums) >= SUMS_MIN
    wrong = [
        f"{term} = {said}"
        for term, said in sums
        if abs(worked_out(term) - number(said)) > ROUNDED * 10.0 ** -len(said.partition(".")[2])
    ]
    assert wrong == []


def test_what_follows_from_the_figures_is_said() -> None:
    taken = {row[0]: number(row[1]) for row in table_rows(PAGE) if re.match(r"[\d.]", row[1])}
    text = " ".join(prose_of(PAGE).split())
    starts, within_s = 1_000, taken["time for those 1,000 starts"]
    requests = taken["requests per 1,000 lines if Coder's limit is"] * LINES_OF_A_START / 1_000
    assert f"1,000 in {within_s:g} s: {starts / within_s * 60:.0f}" in text
    assert f"are {requests:.1f} a start" in text
