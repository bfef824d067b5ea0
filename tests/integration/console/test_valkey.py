"""The embedded Valkey and its data directory, with the real server."""

import asyncio
import os
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import redis
from cryptography.fernet import Fernet
from prometheus_client import CollectorRegistry

from common.clock import SystemClock
from common.telemetry.metrics import SupervisorMetrics
from console.supervise import Stage, Stop, Supervisor
from console.valkey import DataDir, DataDirUnusable, EmbeddedValkey, read_valkey_line


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


async def while_running(server: EmbeddedValkey, action: str) -> object:
    """Start the server under a supervisor, do `SET`/`GET` once it is ready, stop."""
    answer: list[object] = []
    stop = Stop()

    async def act() -> None:
        client = redis.Redis.from_url(server.url, decode_responses=True)
        if action == "set":
            client.set("key", "value")
        answer.append(client.get("key"))
        assert client.config_get("port")["port"] == "0"
        client.close()
        stop.ask()

    supervisor = Supervisor(
        [server.stage(), Stage((), ready=act)],
        on_line=lambda *_: None,
        on_exit=lambda _: None,
        metrics=SupervisorMetrics(CollectorRegistry()),
        clock=SystemClock(),
    )
    await asyncio.wait_for(supervisor.run(stop), 30)
    return answer[0]


async def test_data_outlive_the_server(tmp_path: Path) -> None:
    with DataDir(tmp_path / "state") as data:
        assert await while_running(EmbeddedValkey(data), "set") == "value"
    with DataDir(tmp_path / "state") as data:
        assert await while_running(EmbeddedValkey(data), "get") == "value"


@pytest.mark.parametrize("temporary_is_long", [False, True])
async def test_a_path_too_long_for_a_socket_works_too_and_leaves_nothing_behind(
    temporary_is_long: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as short:
        temporary = os.path.join(short, "long" * 30) if temporary_is_long else short  # noqa: PTH118
        os.makedirs(temporary, exist_ok=True)  # noqa: PTH103
        monkeypatch.setattr(tempfile, "tempdir", temporary)
        with DataDir(tmp_path / ("long" * 30)) as data:
            server = EmbeddedValkey(data)
            folder = server.url.removeprefix("unix://").rpartition("/")[0]
            assert folder.startswith("/tmp/coder-logstream-" if temporary_is_long else f"{short}/coder-logstream-")
            assert await while_running(server, "set") == "value"
            assert stat.S_IMODE(os.stat(folder).st_mode) == 0o700  # noqa: PTH116
            server.close()
        assert not os.path.exists(folder)  # noqa: ASYNC240, PTH110


def test_a_socket_folder_of_someone_else_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trap = tmp_path / "trap"
    trap.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", "/tmp")
    with DataDir(tmp_path / ("long" * 30)) as data:
        planted = Path(f"/tmp/coder-logstream-{os.getuid()}-{data.path.stat().st_ino:x}")
        planted.symlink_to(trap)
        try:
            with pytest.raises(DataDirUnusable, match="belongs to someone else"):
                EmbeddedValkey(data)
        finally:
            planted.unlink()


def test_the_directory_and_all_in_it_are_private(tmp_path: Path) -> None:
    path = tmp_path / "state"
    path.mkdir(mode=0o755)
    with DataDir(path) as data:
        assert mode(path) == 0o700
        data.token_keys()
        EmbeddedValkey(data).stage()
        assert mode(path / "token-key") == 0o600
        assert mode(path / "valkey") == 0o700


def test_the_key_is_made_once_and_kept(tmp_path: Path) -> None:
    with DataDir(tmp_path / "state") as data:
        first = data.token_keys()
        Fernet(first)
    with DataDir(tmp_path / "state") as data:
        assert data.token_keys() == first


def test_a_broken_key_file_is_an_error_not_a_new_key(tmp_path: Path) -> None:
    with DataDir(tmp_path) as data:
        (tmp_path / "token-key").write_text("broken")
        with pytest.raises(DataDirUnusable, match="is not a token key") as caught:
            data.token_keys()
        assert "put the right key back" in str(caught.value)
    assert (tmp_path / "token-key").read_text() == "broken"


def test_a_directory_has_one_owner_at_a_time(tmp_path: Path) -> None:
    with DataDir(tmp_path), pytest.raises(DataDirUnusable, match=f"in use by another .*process {os.getpid()}"):
        DataDir(tmp_path).__enter__()
    with DataDir(tmp_path):
        pass


def test_an_owner_that_was_killed_leaves_no_lock(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from console.valkey import DataDir\n"
        "DataDir(Path(sys.argv[1])).__enter__(); print('locked', flush=True); time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == "locked\n"
        owner.kill()
    with DataDir(tmp_path):
        pass


def test_a_directory_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataDirUnusable, match=r"^--data-dir: .*cannot be used: .*; example: --data-dir "):
        DataDir(tmp_path / "file" / "state").__enter__()


def test_a_left_over_server_is_ended_and_a_stale_socket_is_no_server(tmp_path: Path) -> None:
    with DataDir(tmp_path) as data:
        server = EmbeddedValkey(data)
        (program,) = server.stage().programs
        with subprocess.Popen(program.command, stdout=subprocess.PIPE, text=True) as left_over:
            assert left_over.stdout is not None
            while "Ready to accept connections" not in left_over.stdout.readline():
                pass
            assert server.stop_leftover()
            left_over.communicate(timeout=10)
        assert not server.stop_leftover()
        (tmp_path / "valkey.sock").touch()
        assert not server.stop_leftover()


def test_the_server_does_not_see_our_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CODER_LOGSTREAM_TOKEN_KEY", "x")
    with DataDir(tmp_path) as data:
        (program,) = EmbeddedValkey(data).stage().programs
    assert program.environ == {}


@pytest.mark.parametrize(
    ("text", "level", "event"),
    [
        (
            "7718:M 23 Nov 2026 09:45:47.774 * Ready to accept connections unix",
            "debug",
            "Ready to accept connections unix",
        ),
        ("7718:M 23 Nov 2026 09:45:47.774 # Out of disk", "info", "Out of disk"),
        ("=== BUG REPORT ===", "debug", "=== BUG REPORT ==="),
    ],
)
def test_the_servers_lines_are_sorted_by_their_mark(text: str, level: str, event: str) -> None:
    line = read_valkey_line("valkey", text)
    assert (line.level, line.event) == (level, event)
