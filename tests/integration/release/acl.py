"""A Redis with the users that we ship, and an eye on what each program asks of it."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import redis

from tests.redis_builds import RedisBuild
from tests.servers import free_port, running_redis

USERS_FILE: Final = Path(__file__).parents[3] / "common" / "store" / "redis-users.acl"
PASSWORD: Final = "a-password-of-this-test"
WATCHER, SHIPPER, OPERATOR = "logstream-watcher", "logstream-shipper", "logstream-operator"
_MONITORED: Final = re.compile(rb'^\+[\d.]+ \[\d+ (\S+)\] "([^"]+)"(?: "([^"]+)")?')
_WITH_SUBCOMMAND: Final = ("client", "script")


def users_text(prefix: str) -> str:
    """The file as shipped, with our prefix and password in their places, as docs/how-to/secure-redis.md says."""
    text = USERS_FILE.read_text().replace("CHANGE-ME", PASSWORD)
    return text.replace("{logstream}", f"{{{prefix}}}").replace(":logstream ", f":{prefix} ")


def users(prefix: str) -> dict[str, str]:
    """The rules of each user."""
    rules = {}
    for line in users_text(prefix).splitlines():
        _, name, rest = line.split(" ", 2)
        rules[name] = rest
    return rules


def granted(rules: str) -> set[str]:
    """The commands that `rules` allow."""
    return {word[1:] for word in rules.split() if word.startswith("+")}


class Guarded:
    """The server: ours alone by unix socket, theirs by TCP as a user."""

    def __init__(self, port: int, path: Path) -> None:
        self._port = port
        self._path = path
        self.admin_url = f"unix://{path}"
        self.admin = redis.Redis(unix_socket_path=str(path), decode_responses=True)

    def url(self, user: str) -> str:
        return f"redis://{user}:{PASSWORD}@127.0.0.1:{self._port}/0"

    def denied(self) -> list[str]:
        """What was refused, but for CLIENT MAINT_NOTIFICATIONS.

        The client library tries that at each connection and takes a no; servers since 7.0 call it unknown instead.
        """
        said = [f"{entry['username']}: {entry['reason']} {entry['object']}" for entry in self.admin.acl_log()]
        return [each for each in said if not each.endswith(": command client")]

    @contextlib.contextmanager
    def heard(self) -> Iterator[set[str]]:
        """Every command that comes by TCP inside the block, what scripts call included."""
        commands: set[str] = set()
        with socket.socket(socket.AF_UNIX) as ear:
            ear.connect(str(self._path))
            ear.sendall(b"MONITOR\r\n")
            listener = threading.Thread(target=_listen, args=(ear, commands), daemon=True)
            listener.start()
            yield commands
            ear.shutdown(socket.SHUT_RDWR)
            listener.join()


def _listen(ear: socket.socket, commands: set[str]) -> None:
    ours = False
    with ear.makefile("rb") as lines:
        for line in lines:
            found = _MONITORED.match(line)
            if found is None:
                continue
            who, command, sub = found[1], found[2].decode().lower(), (found[3] or b"").decode(errors="replace").lower()
            ours = who.startswith(b"unix:") if who != b"lua" else ours  # a script's calls follow its own line
            if not ours:
                commands.add(f"{command}|{sub}" if command in _WITH_SUBCOMMAND else command)


@contextlib.contextmanager
def guarded(build: RedisBuild, folder: Path, prefix: str) -> Iterator[Guarded]:
    """A server that has read the file of users that we ship."""
    path = Path("/tmp") / f"{prefix}.sock"
    port = free_port()
    folder.mkdir(parents=True)
    acl = folder / "users.acl"
    acl.write_text(users_text(prefix))
    options = {"unixsocket": str(path), "unixsocketperm": "700", "aclfile": str(acl)}
    with running_redis(build.binary(), folder, options, port):
        server = Guarded(port, path)
        try:
            yield server
        finally:
            server.admin.close()
            path.unlink(missing_ok=True)
