"""`coder-logstream demo` as a user runs it."""

import os
import re
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from console.demo_page import PAGE
from console.doubles.coder_control import Inject
from console.doubles.faults import Answer, Drop, Injection
from tests.integration.console.commands import Coder, Running, clean_environ, command, in_a_terminal, running, until
from tests.unit.console.page_lines import Row, comparable, sections

pytestmark = pytest.mark.timeout(240)

IN_TIME_S = 45 * max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))  # longer where others use the machine, too
WORKSPACES = ("alice/web", "erin/sim", "bob/api", "carol/ml", "dan/db", "frank/train", "grace/etl")
TOLD = (
    "🐳 Created pod: web-",
    "⏳ No node for the pod yet: 0/1 nodes: 1 insufficient cpu",
    "ErrImagePull",
    "exceeded quota",
    "Restart 1 of container c ended with exit code 1",
    "was killed: out of memory (OOMKilled, limit 32 MiB",
    "🚫 The pod was evicted: ",
)
SUM = re.compile(
    r"(\d+) facts in, (\d+) lines out and (\d+) of hints \((\d+) hidden(?:, (\d+) folded into a later ×count)?\), "
    r"latency p50 \d+ ms: lost (\d+) · repeated (\d+)"
)
KILLED = re.compile(r"\d\d:\d\d:\d\d kill -9 (\d+): the (shipper|watcher), with (\d+) records? waiting; .*")


def told(output: str, workspace: str) -> list[Row]:
    """Our lines of one workspace, level and text."""
    log = output.partition(f"\n{workspace} ")[2].partition("\n  coder-logstream-kube would show:")[0]
    return [(line[9:14].strip(), line[15:]) for line in log.splitlines()[1:]]


@dataclass(frozen=True)
class Finished:
    """A demo without a terminal."""

    code: int
    output: str
    errors: str
    took_s: float
    left: list[Path]
    """What it left of the files that it kept meanwhile."""


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    folder = tmp_path_factory.mktemp("temporary")
    started_s = time.monotonic()
    done = subprocess.run(
        command("demo"), env=clean_environ({"TMPDIR": str(folder)}), capture_output=True, text=True, check=False
    )
    took_s = time.monotonic() - started_s
    return Finished(done.returncode, done.stdout, done.stderr, took_s, list(folder.iterdir()))


def test_without_a_terminal_seven_logs_are_printed_and_nothing_is_lost_or_left(finished: Finished) -> None:
    assert finished.code == 0, finished.errors
    assert finished.took_s < IN_TIME_S
    assert finished.errors == ""
    for workspace in WORKSPACES:
        assert f"\n{workspace} " in finished.output
    assert finished.output.count("  coder-logstream-kube would show:\n  │ debug 🐳 Queued pod from ReplicaSet: ") == 7
    for text in TOLD:
        assert text in finished.output
    last = finished.output.splitlines()[-1]
    found = SUM.fullmatch(last)
    assert found is not None, last
    facts, lines, hints, hidden, folded, lost, repeated = (int(number or 0) for number in found.groups())
    assert (lost, repeated) == (0, 0)
    assert lines >= facts - hidden - folded  # what is no fact has a line, too: a summary, say
    assert lines > 80
    assert hints == 2 * 7  # no node, wrong image, quota, crash loop twice, memory, eviction: each for two readers
    assert finished.left == []


def test_the_page_of_scenarios_shows_what_a_performance_shows_today(finished: Finished) -> None:
    page = sections(PAGE.read_text(encoding="utf-8"))
    for heading, section in page.items():
        workspace = heading.partition(" ")[0]
        if workspace in WORKSPACES:
            assert comparable(section.ours) == comparable(told(finished.output, workspace)), (
                "run: python -m console.demo_page"
            )


def test_kill_kills_two_processes_in_the_middle_and_nothing_is_lost_or_repeated(tmp_path: Path) -> None:
    with running(tmp_path / "log", "demo", "--kill") as demo:
        until(lambda: len(demo.children("shipper") + demo.children("watcher")) == 2, "shipper and watcher run")
        before = [child.pid for child in demo.children("shipper") + demo.children("watcher")]
        assert demo.process.wait(200) == 0, demo.output()
    *_, first, second, last = demo.output().splitlines()
    killed = [KILLED.fullmatch(line) for line in (first, second)]
    assert [int(each[1]) for each in killed if each is not None] == before
    assert [each[2] for each in killed if each is not None] == ["shipper", "watcher"]
    assert last.endswith(": lost 0 · repeated 0")
    assert SUM.fullmatch(last)


def test_the_sum_tells_of_a_line_that_coder_got_twice_and_of_one_that_it_did_not_get(tmp_path: Path) -> None:
    """One request takes effect and is not answered, so it is sent again; another is answered without effect."""
    with running(tmp_path / "log", "demo") as demo:
        until(lambda: bool(listening(demo, "console.doubles.coder")), "the double of Coder listens")
        twice = Injection(Drop(handled=True), 1, {"endpoint": "logs"})
        never = Injection(Answer(200, "null"), 1, {"endpoint": "logs"})
        Coder(f"http://127.0.0.1:{listening(demo, 'console.doubles.coder')[0]}").apply(Inject(twice), Inject(never))
        assert demo.process.wait(200) == 1
    found = next(filter(None, map(SUM.fullmatch, demo.output().splitlines())))
    assert int(found[6]) >= 1
    assert int(found[7]) >= 1


def listening(demo: Running, module: str) -> list[int]:
    """The ports on which that child listens."""
    connections = (each for child in demo.children(module) for each in child.net_connections("tcp"))
    return [each.laddr.port for each in connections if each.status == psutil.CONN_LISTEN]


def test_in_a_terminal_the_logs_grow_and_then_stay(tmp_path: Path) -> None:
    with in_a_terminal("demo", environ={"TMPDIR": str(tmp_path)}, rows=50, columns=140) as (process, terminal):
        grows = terminal.read_until("ErrImagePull")
        assert all(workspace in grows for workspace in WORKSPACES)
        assert "coder-logstream-kube would show" in grows
        assert "latency p50" not in grows
        stays = terminal.read_until(None)
        assert process.wait(30) == 0
    titles = [line for line in stays.splitlines() if line.startswith(WORKSPACES)]  # without a frame around them
    assert [title.partition(" ")[0] for title in titles] == list(WORKSPACES)
    kept = stays[stays.rindex(titles[0]) :]
    assert all(text in kept for text in TOLD)
    assert kept.rstrip().endswith(": lost 0 · repeated 0")
    assert list(tmp_path.iterdir()) == []


def test_a_proxy_that_leads_nowhere_is_not_asked() -> None:
    proxies = dict.fromkeys(("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"), "http://127.0.0.1:9")
    environ = {name: value for name, value in clean_environ(proxies).items() if name.lower() != "no_proxy"}
    done = subprocess.run(command("demo"), env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert ": lost 0 · " in done.stdout


@pytest.mark.parametrize("processes", [0, 2, 5])
def test_ctrl_c_ends_it_at_any_time_and_leaves_nothing(processes: int, tmp_path: Path) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    with running(tmp_path / "log", "demo", environ={"TMPDIR": str(temporary)}) as demo:
        me = psutil.Process(demo.process.pid)
        until(lambda: any(temporary.iterdir()), "it has begun")
        until(lambda: len(me.children()) >= processes, f"{processes} children run")
        children = me.children()
        assert demo.stop(signal.SIGINT) == 130
    _, alive = psutil.wait_procs(children, timeout=30)  # a busy machine takes its time
    assert not alive
    assert "Traceback" not in demo.output()
    assert list(temporary.iterdir()) == []
