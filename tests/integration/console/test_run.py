"""`coder-logstream run` with real processes between the doubles."""

import os
import signal
import subprocess
import urllib.error
import uuid
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from console.doubles.kube_control import SendLine
from tests.integration.console.commands import (
    Cluster,
    clean_environ,
    coder_lines,
    command,
    double,
    get,
    in_a_terminal,
    probed,
    running,
    until,
)
from tests.servers import free_port

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def coder() -> Iterator[str]:
    with double("coder", "--auto-agents") as url:
        yield url


@pytest.fixture
def kubeconfig(tmp_path: Path) -> Path:
    return tmp_path / "kubeconfig"


@pytest.fixture
def cluster(kubeconfig: Path) -> Iterator[Cluster]:
    with double("kube", "--write-kubeconfig", str(kubeconfig)) as url:
        yield Cluster(url)


@pytest.fixture
def flags(coder: str, cluster: Cluster, kubeconfig: Path, tmp_path: Path) -> list[str]:
    """Bare flags, as the Go peer takes them."""
    until(kubeconfig.exists, "the double has written its kubeconfig")
    return ["--coder-url", coder, "-k", str(kubeconfig), "--data-dir", str(tmp_path / "state")]


def ready(cluster: Cluster) -> None:
    until(lambda: cluster.watches() >= 3, "the watcher watches")


def delivered(coder: str, token: str, *texts: str) -> None:
    def there() -> bool:
        lines = coder_lines(coder, token)
        return all(any(text in line for line in lines) for text in texts)

    until(there, f"{texts} are in Coder")


def test_bare_flags_carry_events_to_coder_and_one_ctrl_c_ends_it(
    coder: str, cluster: Cluster, flags: list[str], tmp_path: Path
) -> None:
    token = str(uuid.uuid4())
    with running(tmp_path / "log", *flags) as run:
        ready(cluster)
        cluster.start_workspace("ws-1", token)
        delivered(coder, token, "🐳 Created pod: ws-1", "assigned ws-1")
        children = psutil.Process(run.process.pid).children()
        assert len(children) == 3
        assert run.stop() == 0
    _, alive = psutil.wait_procs(children, timeout=0)
    assert not alive
    stopped = [line["process"] for line in run.lines() if line["event"] == "stopped"]
    assert stopped == ["watcher", "shipper"]
    assert token not in run.output()


def test_huge_and_hostile_things_arrive_whole_and_harmless_and_delay_nobody(
    coder: str, cluster: Cluster, flags: list[str], tmp_path: Path
) -> None:
    token, other, long = str(uuid.uuid4()), str(uuid.uuid4()), "é" * 32_000
    with running(tmp_path / "log", *flags) as run:
        ready(cluster)
        for line in ("no json\n", '{"type":"ADDED","object":{"metadata":7}}\n'):
            cluster.apply(SendLine(line, "pods"), SendLine(line, "events"))
        uid = cluster.start_workspace("big", token, {"big": "x" * 5_000_000})
        cluster.say("big", uid, "Odd", "nul \x00 and \x1b[31mred\x1b[0m")
        cluster.say("big", uid, "Long", long)
        cluster.start_workspace("ws-1", other)
        delivered(coder, other, "🐳 Created pod: ws-1", "assigned ws-1")
        delivered(coder, token, "🐳 Created pod: big", "nul ␀ and ␛[31mred␛[0m (Odd)", "(Long)")
        assert run.stop() == 0
        left_out = [line["scope"] for line in run.lines() if "could not be decoded" in line["event"]]
    lines = coder_lines(coder, token)
    assert f"{long} (Long)" in "".join(lines)
    assert max(map(len, lines)) <= 1_024
    assert set(left_out) == {"pods/*", "events/*"}


def test_what_is_known_outlives_a_restart(coder: str, cluster: Cluster, flags: list[str], tmp_path: Path) -> None:
    token = str(uuid.uuid4())
    with running(tmp_path / "log", *flags) as run:
        ready(cluster)
        uid = cluster.start_workspace("ws-1", token)
        delivered(coder, token, "assigned ws-1")
        run.stop()
    cluster.say("ws-1", uid, "Pulled", "said while nobody listened")
    with running(tmp_path / "log", *flags):
        delivered(coder, token, "said while nobody listened")
    lines = coder_lines(coder, token)
    assert len(lines) == len(set(lines)) == 3


def test_killed_processes_come_back_and_the_flow_goes_on(
    coder: str, cluster: Cluster, flags: list[str], tmp_path: Path
) -> None:
    token = str(uuid.uuid4())
    with running(tmp_path / "log", *flags) as run:
        ready(cluster)
        uid = cluster.start_workspace("ws-1", token)
        delivered(coder, token, "assigned ws-1")
        for victim in ("watcher", "shipper", "valkey-server"):
            (killed,) = run.children(victim)
            killed.kill()
            cluster.say("ws-1", uid, "Pulled", f"said after the fall of {victim}")
            delivered(coder, token, f"said after the fall of {victim}")
            assert [child.pid for child in run.children(victim)] != [killed.pid]
        assert run.stop() == 0
    lines = coder_lines(coder, token)
    assert len(lines) == len(set(lines)) == 5


def test_one_page_has_the_metrics_of_all_processes(
    coder: str, cluster: Cluster, flags: list[str], tmp_path: Path
) -> None:
    token, port = str(uuid.uuid4()), free_port()
    with running(tmp_path / "log", "run", *flags, "--metrics-addr", f"127.0.0.1:{port}", "--processes", "2"):
        ready(cluster)
        cluster.start_workspace("ws-1", token)
        delivered(coder, token, "assigned ws-1")
        samples = [
            "lines_total 2.0",
            'records_total{outcome="accepted"} 2.0',
            'requests_total{method="SendLog",status="success"} ',
            'requests_total{method="ConnectRPC",status="failure"} 0.0',
            'processes{program="shipper"} 2.0',
            'process_restarts_total{program="valkey"} 0.0',
            "units_held 128.0",
        ]
        processes = ("coder-logstream", "watcher", "shipper-1", "shipper-2", "valkey")
        expected = [f"coder_logstream_{sample}" for sample in samples]
        expected += [f'process_resident_memory_bytes{{process="{process}"}} ' for process in processes]
        # Each process writes its own when it comes to it, and they come up one after another.
        until(lambda: all(sample in page(port) for sample in expected), f"a page with {expected}")
        metrics = page(port)
        assert token not in metrics
        ready_url = f"http://127.0.0.1:{port}/readyz"
        # Not at the first asking: a busy machine's watch may be late for a moment.
        until(lambda: probed(ready_url) == (200, "ok\n"), "all are ready")


def page(port: int) -> str:
    try:
        return get(f"http://127.0.0.1:{port}/metrics").decode()
    except urllib.error.URLError:
        return ""


def test_several_shippers_have_one_page(
    redis_url: str, prefix: str, token_key: str, coder: str, tmp_path: Path
) -> None:
    environ = {"CODER_LOGSTREAM_TOKEN_KEY": token_key, "CODER_LOGSTREAM_REDIS_PREFIX": prefix}
    port = free_port()
    arguments = [
        "shipper",
        "-u",
        coder,
        "--redis-url",
        redis_url,
        "--processes",
        "2",
        "--metrics-addr",
        f"127.0.0.1:{port}",
    ]
    with running(tmp_path / "log", *arguments, environ=environ) as run:
        until(lambda: 'coder_logstream_processes{program="shipper"} 2.0' in page(port), "two shippers run")
        until(lambda: len([line for line in run.lines() if line["event"] == "Coder answers"]) == 2, "both are up")
        commands = [child.cmdline() for child in run.children("shipper")]
        assert len(commands) == 2
        assert not any(token_key in word for words in commands for word in words)
        assert run.stop(signal.SIGTERM) == 0
    assert token_key not in run.output()


def refusal(*arguments: str, environ: dict[str, str] | None = None) -> tuple[int, str]:
    done = subprocess.run(
        command(*arguments), env=clean_environ(environ), capture_output=True, text=True, timeout=60, check=False
    )
    return done.returncode, done.stderr


def test_a_second_run_on_the_same_data_is_refused_in_one_line(
    cluster: Cluster, flags: list[str], tmp_path: Path
) -> None:
    with running(tmp_path / "log", *flags) as run:
        ready(cluster)
        code, said = refusal(*flags)
        assert code == 2
        assert said.count("\n") == 1
        assert f"in use by another coder-logstream (process {run.process.pid})" in said


def test_no_cluster_ends_the_run_with_one_line_that_says_so(coder: str, tmp_path: Path) -> None:
    environ = {"HOME": str(tmp_path), "XDG_STATE_HOME": str(tmp_path / "state"), "CODER_LOGSTREAM_LOG_LEVEL": "error"}
    code, said = refusal("-u", coder, environ=environ)
    assert code == 1
    assert said.splitlines()[-1].startswith("watcher: cannot go on: no kubeconfig")
    assert (tmp_path / "state" / "coder-logstream").is_dir()


def test_a_wrong_token_key_ends_the_run_with_one_line_that_says_so(
    redis_url: str, prefix: str, flags: list[str], cluster: Cluster, tmp_path: Path
) -> None:
    with_redis = [*flags, "--redis-url", redis_url, "--redis-prefix", prefix]
    with running(tmp_path / "log", *with_redis):
        ready(cluster)
    other = [*with_redis, "--data-dir", str(tmp_path / "other")]
    code, said = refusal(*other)
    assert code == 1
    assert "key" in said.splitlines()[-1]
    assert not said.splitlines()[-1].startswith("{")


def test_wrong_settings_are_one_line_and_exit_code_2(tmp_path: Path) -> None:
    for arguments in (
        ["-u", "nonsense"],
        ["run"],
        ["watcher"],
        ["shipper", "--processes", "0"],
        ["--no-such-flag"],
        ["wacher"],
    ):
        code, said = (
            refusal(*arguments, "--config", str(tmp_path / "none")) if arguments == ["run"] else refusal(*arguments)
        )
        assert code == 2
        assert said.count("\n") == 1


def test_a_terminal_shows_a_calm_status(coder: str, cluster: Cluster, flags: list[str]) -> None:
    token = str(uuid.uuid4())
    with in_a_terminal(*flags) as (process, terminal):
        ready(cluster)
        cluster.start_workspace("ws-1", token)
        shown = terminal.read_until("1 objects with an agent")
        shown += terminal.read_until("2 lines of 2 records")
        assert "{" not in shown
        os.kill(process.pid, signal.SIGINT)
        assert "stopped" in terminal.read_until(None)
        assert process.wait(30) == 0


def test_the_program_itself_takes_the_place_of_its_command(
    redis_url: str, prefix: str, token_key: str, kubeconfig: Path, cluster: Cluster, tmp_path: Path
) -> None:
    environ = {"CODER_LOGSTREAM_TOKEN_KEY": token_key, "CODER_LOGSTREAM_REDIS_URL": redis_url}
    arguments = ["watcher", "-k", str(kubeconfig), "--redis-prefix", prefix]
    with running(tmp_path / "log", *arguments, environ=environ) as run:
        ready(cluster)
        assert psutil.Process(run.process.pid).cmdline()[-2:] == ["-m", "watcher"]
        assert run.stop(signal.SIGTERM) == 0
