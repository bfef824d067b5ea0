"""`coder-logstream valkey`: become a Valkey server for programs on other machines, with a user for each of them.

The server's configuration goes to it by its standard input: nothing of it is on a command line or a disk, and of the
passwords it holds only hashes.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NoReturn

from common.settings.in_cluster import ValkeySettings
from common.settings.load import SettingsError
from common.small_file import read_small
from common.store.acl import users
from console.valkey_binary import KEEPING, valkey_binary

__all__ = ["PASSWORDS", "become_valkey"]

PASSWORDS: Final[Mapping[str, str]] = {
    "default": "redis-password",
    "logstream-watcher": "watcher-password",
    "logstream-shipper": "shipper-password",
}
"""The file with the password of each user."""

_PASSWORD: Final = re.compile(r"[A-Za-z0-9._~-]{16,512}")  # what a URL takes as it is
_PASSWORD_FILE_MAX_BYTES: Final = 4096
_STDIN: Final = 0


def become_valkey(settings: ValkeySettings) -> NoReturn:
    """Serve one Redis database to watchers and shippers in the network. Raises SettingsError."""
    binary = str(valkey_binary())
    try:
        settings.valkey_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(
            f"--dir: {settings.valkey_dir} cannot be made: {error.strerror}; example: --dir /var/lib/logstream"
        ) from error
    text = configuration(settings).encode()
    reading, writing = os.pipe()
    os.write(writing, text)  # some kB, which every pipe takes at once
    os.close(writing)
    os.dup2(reading, _STDIN)
    os.execve(binary, [binary, "-"], {})  # noqa: S606 - no shell is wanted; our environment may hold secrets


def configuration(settings: ValkeySettings) -> str:
    """What the server reads. Raises SettingsError."""
    options = {
        **KEEPING,
        "dir": str(settings.valkey_dir.absolute()),
        "port": str(settings.valkey_port),
        "bind": "* -::*",
        "maxmemory": str(settings.valkey_memory_bytes),
    }
    everyone = {name: _hash(settings.valkey_passwords_dir / file) for name, file in PASSWORDS.items()}
    rules = {"default": "~* &* +@all", **users(settings.redis_prefix)}
    return "".join(
        [
            *(f'{name} "{value}"\n' if name != "bind" else f"{name} {value}\n" for name, value in options.items()),
            *(f"user {name} reset on #{everyone[name]} {rules[name]}\n" for name in everyone),
        ]
    )


def _hash(file: Path) -> str:
    """Of the password in `file`. Raises SettingsError."""

    def unusable(why: str) -> ValueError:
        return ValueError(f"--passwords-dir: {file} {why}; make one: openssl rand -hex 24")

    try:
        password = read_small(file, _PASSWORD_FILE_MAX_BYTES, "is no password", unusable).strip()
    except ValueError as error:
        raise SettingsError(str(error)) from error
    if not _PASSWORD.fullmatch(password.decode("ascii", "replace")):
        raise SettingsError(
            str(unusable("must hold 16 or more letters, digits, '-', '.', '_' or '~' and nothing else"))
        )
    return hashlib.sha256(password).hexdigest()
