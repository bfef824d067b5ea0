"""`coder-logstream valkey`: a real server with the users that the programs need, whose data outlive it."""

import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis

from console.valkey_server import PASSWORDS
from tests.integration.console.commands import clean_environ, command, running, until
from tests.servers import free_port

WORDS = {user: f"{user}-0123456789abcdef" for user in PASSWORDS}


def folder_of(path: Path, words: Mapping[str, str] = WORDS) -> Path:
    path.mkdir()
    for user, word in words.items():
        (path / PASSWORDS[user]).write_text(word + "\n")
    return path


@contextmanager
def served(path: Path, passwords: Path, *flags: str) -> Iterator[int]:
    """A server with its data in `path`; its port."""
    port = free_port()
    arguments = ("valkey", "--dir", str(path / "data"), "--port", str(port), "--passwords-dir", str(passwords), *flags)
    with running(path / "valkey.log", *arguments) as server:

        def answers() -> bool:
            assert server.process.poll() is None, server.output()
            try:
                return int(client(port).info("server")["process_id"]) == server.process.pid
            except redis.ConnectionError:
                return False

        until(answers, "an answer of the server")
        yield port
        assert server.stop(signal.SIGTERM) == 0


def client(port: int, user: str = "default") -> "redis.Redis":
    return redis.Redis(port=port, username=user, password=WORDS[user], decode_responses=True)


def test_data_outlive_the_server_and_each_user_has_its_rights(tmp_path: Path) -> None:
    passwords = folder_of(tmp_path / "passwords")
    with served(tmp_path, passwords, "--redis-prefix", "mine", "--memory-bytes", "16777216") as port:
        admin, watcher, shipper = (client(port, user) for user in WORDS)
        assert admin.config_get("maxmemory*") | admin.config_get("appendonly") == {
            "maxmemory": "16777216", "maxmemory-policy": "noeviction", "maxmemory-clients": "0",
            "maxmemory-samples": "5", "maxmemory-eviction-tenacity": "10", "appendonly": "yes",
        }  # fmt: skip
        watcher.set("{mine}:positions:x", "value")
        for user, key in ((watcher, "{logstream}:positions:x"), (shipper, "{mine}:positions:x")):
            with pytest.raises(redis.exceptions.NoPermissionError):
                user.get(key)
        with pytest.raises(redis.exceptions.AuthenticationError):
            redis.Redis(port=port).ping()
    with served(tmp_path, passwords, "--redis-prefix", "mine") as port:
        assert client(port).get("{mine}:positions:x") == "value"


def test_no_password_is_on_the_command_line_or_in_the_environment(tmp_path: Path) -> None:
    passwords = folder_of(tmp_path / "passwords")
    with served(tmp_path, passwords) as port:
        process = Path(f"/proc/{client(port).info('server')['process_id']}")
        shown = (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
        assert not any(word.encode() in shown for word in WORDS.values())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({}, "redis-password cannot be read: No such file or directory"),
        ({**WORDS, "logstream-watcher": "short"}, "watcher-password must hold 16 or more letters"),
        ({**WORDS, "default": "p@ss/word-0123456789"}, "redis-password must hold 16 or more letters"),
    ],
    ids=["none", "too short", "not fit for a URL"],
)
def test_a_password_that_cannot_be_used_is_said_with_the_remedy(
    tmp_path: Path, words: Mapping[str, str], said: str
) -> None:
    passwords = folder_of(tmp_path / "passwords", words)
    ended = subprocess.run(
        command("valkey", "--dir", str(tmp_path / "data"), "--passwords-dir", str(passwords)),
        env=clean_environ(), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert ended.returncode == 2
    assert said in ended.stderr
    assert "openssl rand -hex 24" in ended.stderr
    assert ended.stderr.count("\n") == 1
