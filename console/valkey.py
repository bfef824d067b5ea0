"""The embedded Valkey: its data directory, its lock, its key, its command line, and whether it answers.

One `run` owns a data directory at a time (`flock`: it ends with the process, however that ends). The server listens on
a unix socket inside a directory of mode 0700 and on no port.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import re
import tempfile
import time
from pathlib import Path
from typing import Final, Self

import redis
import redis.asyncio

from common.crypto import new_token_key
from common.settings.load import SettingsError
from common.settings.token_keys import read_token_key_file
from console.log_lines import LogLine
from console.supervise import NotReady, Program, Stage
from console.valkey_binary import KEEPING, valkey_binary

__all__ = [
    "TOKEN_KEY_FILE",
    "DataDir",
    "DataDirUnusable",
    "EmbeddedValkey",
    "find_socket",
    "read_valkey_line",
    "write_private",
]

TOKEN_KEY_FILE: Final = "token-key"
"""In a data directory; made at the first start."""

_SOCKET_PATH_MAX_BYTES: Final = 100  # the system's limit is 104 (macOS) or 108 (Linux), its final zero included
_SERVER_LINE: Final = re.compile(r"\d+:\w \d+ \w+ \d+ [\d:.]+ (?P<mark>[.*#-]) (?P<event>.*)")
_READY_WITHIN_S: Final = 60.0  # reading back an append-only file of some GB
_POLL_S: Final = 0.02
_LEFTOVER_STOP_S: Final = 10.0
_GRACE_S: Final = 10.0
_PRIVATE_DIR: Final = 0o700
_PRIVATE_FILE: Final = 0o600


class DataDirUnusable(SettingsError):
    """The data directory cannot be used. The text is one line with the remedy."""


class DataDir:
    """A private directory that this process owns until it closes it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: int | None = None

    def __enter__(self) -> Self:
        """Make it, make it private, lock it. Raises DataDirUnusable."""
        try:
            self.path.mkdir(mode=_PRIVATE_DIR, parents=True, exist_ok=True)
            self.path.chmod(_PRIVATE_DIR)
            lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _PRIVATE_FILE)
        except OSError as error:
            raise self._unusable(f"cannot be used: {error.strerror}") from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            owner = os.pread(lock, 32, 0).decode(errors="replace").strip()
            os.close(lock)
            raise self._unusable(f"is in use by another coder-logstream (process {owner or 'unknown'})") from error
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
        self._lock = lock
        return self

    def __exit__(self, *_: object) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def token_keys(self) -> str:
        """The keys kept here, comma-separated; one is made at the first call. Raises DataDirUnusable."""
        path = self.path / TOKEN_KEY_FILE
        try:
            if not path.exists():
                write_private(path, new_token_key().encode() + b"\n")
            return ",".join(read_token_key_file(path).keys.values)
        except OSError as error:
            raise self._unusable(f"cannot hold the token key: {error.strerror}") from error
        except ValueError as error:
            raise DataDirUnusable(
                f"{path}: {error}; put the right key back, or remove {self.path} and the lines waiting in it"
            ) from error

    def _unusable(self, why: str) -> DataDirUnusable:
        return DataDirUnusable(f"--data-dir: {self.path} {why}; example: --data-dir /var/lib/coder-logstream-2")


def write_private(path: Path, content: bytes) -> None:
    """All of `content` or no file: a crash in between must not leave an empty key."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=path.name)  # mode 0600
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    Path(name).rename(path)


class EmbeddedValkey:
    """The server whose data lie in `data`, which must be locked."""

    def __init__(self, data: DataDir) -> None:
        self._data = data.path.absolute() / "valkey"
        self._socket = _socket_path(data.path.absolute())

    @property
    def url(self) -> str:
        """How clients reach it."""
        return _url(self._socket)

    def stage(self) -> Stage:
        """The server as a supervised program. Its environment is empty: ours may hold the token key (guarantee 6).

        Raises SettingsError.
        """
        binary = valkey_binary()
        self._data.mkdir(mode=_PRIVATE_DIR, exist_ok=True)
        program = Program("valkey", "valkey", (str(binary), *self._options()), {}, _GRACE_S)
        return Stage((program,), ready=self._ready)

    def close(self) -> None:
        """Remove what lies outside the data directory. The server has stopped."""
        if self._socket.parent != self._data.parent:
            with contextlib.suppress(OSError):  # not empty: a server was killed; the next one here takes it over
                self._socket.parent.rmdir()

    def stop_leftover(self) -> bool:
        """End a server that outlived its supervisor (killed where there is no prctl). True if there was one."""
        client = redis.Redis.from_url(self.url, socket_timeout=1.0, socket_connect_timeout=1.0)
        try:
            client.ping()
        except redis.RedisError:  # nobody listens: a stale socket file, which the server replaces
            return False
        try:
            client.shutdown()
        except redis.RedisError as error:
            raise DataDirUnusable(f"an older Valkey still runs on {self._data} and does not stop: {error}") from error
        deadline_s = time.monotonic() + _LEFTOVER_STOP_S
        while self._socket.exists() and time.monotonic() < deadline_s:
            time.sleep(_POLL_S)
        return True

    def _options(self) -> list[str]:
        options = {
            **KEEPING,
            "port": "0",
            "unixsocket": str(self._socket),
            "unixsocketperm": "700",
            "dir": str(self._data),
        }
        return [word for name, value in options.items() for word in (f"--{name}", value)]

    async def _ready(self) -> None:
        deadline_s = time.monotonic() + _READY_WITHIN_S
        client = redis.asyncio.Redis.from_url(self.url, socket_timeout=1.0)
        async with client:
            while True:
                try:
                    await client.ping()
                except redis.RedisError as error:  # not yet there, or LOADING
                    if time.monotonic() > deadline_s:
                        raise NotReady(
                            f"the embedded Valkey did not answer within {_READY_WITHIN_S:g} s ({error}); its data are "
                            f"in {self._data}"
                        ) from error
                    await asyncio.sleep(_POLL_S)
                else:
                    return


def find_socket(directory: Path) -> str | None:
    """How clients reach the server of the `run` that is at work on `directory`; None if there is none."""
    if not directory.exists():
        return None
    found = (each for each in _sockets(directory.absolute()) if each.exists())
    socket = next((each for each in found if each.parent == directory.absolute() or _is_ours(each.parent)), None)
    return None if socket is None else _url(socket)


def _url(socket: Path) -> str:
    return f"unix://{socket}?db=0"


def _socket_path(directory: Path) -> Path:
    """In the data directory, or where its path is too long for a socket, in a private one made from its inode."""
    for socket in _sockets(directory):
        _make_private(socket.parent)
        return socket
    raise DataDirUnusable(f"--data-dir: {directory} is too long for a socket; example: --data-dir /var/lib/logstream")


def _sockets(directory: Path) -> list[Path]:
    """Where it may be, the first choice first."""
    bases = [directory, *(Path(base) / _private_name(directory) for base in (tempfile.gettempdir(), "/tmp"))]  # noqa: S108
    sockets = [base / "valkey.sock" for base in bases]
    return [each for each in sockets if len(os.fsencode(each)) <= _SOCKET_PATH_MAX_BYTES]


def _private_name(directory: Path) -> str:
    return f"coder-logstream-{os.getuid()}-{directory.stat().st_ino:x}"


def _make_private(base: Path) -> None:
    """In a folder that all may write to, someone else could have made it first."""
    base.mkdir(mode=_PRIVATE_DIR, exist_ok=True)
    if not _is_ours(base):
        raise DataDirUnusable(f"--data-dir: {base} belongs to someone else; example: --data-dir /var/lib/logstream")
    base.chmod(_PRIVATE_DIR)


def _is_ours(base: Path) -> bool:
    return not base.is_symlink() and base.stat().st_uid == os.getuid()


def read_valkey_line(process: str, text: str) -> LogLine:
    """A line of the server's log, `pid:role date time mark message`. Its start-up talk is of interest to nobody."""
    found = _SERVER_LINE.fullmatch(text)
    level, event = ("debug" if found["mark"] in ".-*" else "info", found["event"]) if found else ("debug", text)
    return LogLine(process, level, event, {"event": event, "level": level, "process": process})
