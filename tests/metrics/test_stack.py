"""A real Prometheus over a real installation: every query has an answer, and alerts see what they are made for."""

import contextlib
import math
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import psutil
import pytest
from cryptography.fernet import Fernet

from console.doubles.kube import kubeconfig
from tests.integration.console.commands import get, running, until
from tests.metrics.prometheus import QueryRefused, Series, binary, promtool
from tests.metrics.shipped import dashboard, plain, queries, rules, selectors
from tests.metrics.stack import Stack, running_stack
from tests.servers import free_port

pytestmark = pytest.mark.timeout(180)

ANSWERED_WITHIN_S: Final = 40.0
PROGRAMS: Final = {
    "watcher": ["watcher"],
    "shipper": ["shipper"],
    "shipper --processes 2": ["shipper"],
    "run": ["watcher", "shipper"],
}
"""Who is on the page of each."""
NOBODY: Final = "http://127.0.0.1:1"
ANNOTATION: Final = dashboard()["annotations"]["list"][0]["expr"]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    binary("prometheus")  # before anything is started in vain
    with running_stack(tmp_path_factory.mktemp("stack")) as stack:
        stack.play()
        yield stack


def is_answer(vector: list[Series]) -> bool:
    """A figure, not only the shape of one."""
    return any(not math.isnan(each.value) for each in vector)


def unanswered(stack: Stack, wanted: dict[str, list[str]]) -> list[str]:
    """Whose expressions, by name, have no figure. Raises QueryRefused for what Prometheus cannot parse."""
    ask = stack.prometheus.query
    return [f"{name}: {each}" for name, every in wanted.items() for each in every if not is_answer(ask(each))]


def until_answered(stack: Stack, wanted: dict[str, list[str]]) -> None:
    deadline_s = time.monotonic() + ANSWERED_WITHIN_S
    while left := unanswered(stack, wanted):
        assert time.monotonic() < deadline_s, f"no figure within {ANSWERED_WITHIN_S:g} s for {left}"
        time.sleep(0.2)


def test_every_query_of_the_dashboard_has_figures(stack: Stack) -> None:
    asked: dict[str, list[str]] = {}
    for query in queries():
        asked.setdefault(query.panel, []).append(query.expression)
    until_answered(stack, asked)
    for variable in dashboard()["templating"]["list"][1:]:
        inner, label = variable["definition"].removeprefix("label_values(").removesuffix(")").rsplit(", ", 1)
        found = {each.labels.get(label) for each in stack.prometheus.query(plain(inner))}
        assert found == ({"logstream"} if label == "namespace" else {"watcher", "shipper"})


def test_every_rule_is_evaluated_and_made_of_series_that_exist(stack: Stack) -> None:
    until_answered(stack, {rule["record"]: [rule["record"]] for rule in rules("record")})
    until_answered(stack, {rule["alert"]: selectors(rule["expr"]) for rule in rules("alert")})
    ill = {rule["name"]: rule["lastError"] for rule in stack.prometheus.rules() if rule["health"] != "ok"}
    assert ill == {}


def test_a_query_that_is_none_and_a_metric_that_is_none_are_noticed(stack: Stack) -> None:
    with pytest.raises(QueryRefused, match="parse error"):
        unanswered(stack, {"broken": ["sum by (coder_logstream_lines_total"]})
    assert unanswered(stack, {"none": ["coder_logstream_lines"]}) == ["none: coder_logstream_lines"]


def alerts(stack: Stack, *names: str) -> None:
    """Wait until they are seen. How long they then wait before they are sent is the trials' business."""
    until(lambda: stack.prometheus.alerts() >= set(names), f"{names} are seen")


WRONG: Final[dict[str, Callable[[Stack], None]]] = {
    "LogstreamDrops": Stack.refuse_lines,
    "LogstreamRateLimited": Stack.limit_requests,
    "LogstreamTokensForbidden": Stack.hide_a_token,
    "LogstreamMalformed": Stack.garble,
    "LogstreamWatchFailing": Stack.forbid,
    "LogstreamRedisRefuses": Stack.fill_redis,
}


def test_alerts_see_what_goes_wrong(stack: Stack) -> None:
    calm = {*WRONG, "LogstreamRedisDown", "LogstreamNoWatcher", "LogstreamNoShipper", "LogstreamAbsent"}
    until(lambda: not stack.prometheus.alerts() & calm, "nothing is wrong at first")
    alerts(stack, "LogstreamCrashLogsForbidden")
    stack.hold_an_agent()
    held = 'coder_logstream_hold_seconds{reason="unauthorized"} > 1'
    until(lambda: is_answer(stack.prometheus.query(held)), "the hold's age, which has to be two minutes for the alert")
    for alert, go_wrong in WRONG.items():
        go_wrong(stack)
        alerts(stack, alert)
    until(lambda: is_answer(stack.prometheus.query(plain(ANNOTATION))), "what fires is marked in the dashboard")
    psutil.Process(stack.server.pid).kill()
    alerts(stack, "LogstreamRedisDown")
    until(lambda: stack.prometheus.query("max(coder_logstream_redis_up)")[0].value == 0, "all miss Redis")
    stack.watcher.stop(signal.SIGTERM)
    alerts(stack, "LogstreamNoWatcher")
    stack.shippers.stop(signal.SIGTERM)
    alerts(stack, "LogstreamAbsent")


def test_the_page_of_every_program_keeps_the_conventions(tmp_path: Path) -> None:
    (tmp_path / "kubeconfig").write_text(kubeconfig(NOBODY))
    environ = {
        "CODER_URL": NOBODY,
        "CODER_LOGSTREAM_REDIS_URL": "redis://127.0.0.1:1/0",  # waited for, and told of
        "CODER_LOGSTREAM_TOKEN_KEY": Fernet.generate_key().decode(),
        "KUBECONFIG": str(tmp_path / "kubeconfig"),
    }
    with contextlib.ExitStack() as stack:
        addresses = {program: f"127.0.0.1:{free_port()}" for program in PROGRAMS}
        for number, (program, address) in enumerate(addresses.items()):
            log = tmp_path / f"{number}.log"
            stack.enter_context(running(log, *program.split(), "--metrics-addr", address, environ=environ))
        for program, roles in PROGRAMS.items():
            pages = [metrics_page(addresses[program], role) for role in roles]
            assert [promtool("check", "metrics", page=page) for page in pages] == [""] * len(roles)


def metrics_page(address: str, role: str) -> str:
    """The page at `address`, once `role` is on it."""
    page = ""

    def there() -> bool:
        nonlocal page
        with contextlib.suppress(OSError):
            page = get(f"http://{address}/metrics").decode()
        return f'build_info{{program="{role}"' in page

    until(there, f"a {role} tells its release")
    return page


def test_a_name_against_the_conventions_is_noticed() -> None:
    page = "# HELP lines Lines.\n# TYPE lines counter\nlines 1\n"
    assert "_total" in promtool("check", "metrics", page=page)
