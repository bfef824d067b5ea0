"""Settings of the commands that a Kubernetes installation runs beside watchers and shippers: its Valkey, its keys."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final

from pydantic import Field

from common.service_account import SERVICE_ACCOUNT_DIR
from common.settings.base import PrefixSettings
from common.settings.declare import Group, ProgramSettings, Setting
from common.settings.values import ExistingDirectory, ExpandedPath, SecretName

__all__ = ["IN_CLUSTER", "KeySettings", "ValkeySettings"]


class ValkeySettings(PrefixSettings):
    """All settings of `coder-logstream valkey`."""

    valkey_dir: Annotated[
        ExpandedPath,
        Setting(
            flag="--dir",
            env="CODER_LOGSTREAM_VALKEY_DIR",
            group=Group.CLUSTER,
            meaning="Where Valkey keeps its append-only file. Made if it is not there.",
            why="Below it a volume is mounted.",
            example="/var/lib/coder-logstream/valkey",
        ),
    ] = Path("/var/lib/coder-logstream/valkey")
    valkey_port: Annotated[
        Annotated[int, Field(ge=1, le=65_535)],
        Setting(
            flag="--port",
            env="CODER_LOGSTREAM_VALKEY_PORT",
            group=Group.CLUSTER,
            meaning="Port on which Valkey listens, on all interfaces.",
            why="The one that every client takes unasked.",
            example="6379",
            unit="TCP port",
        ),
    ] = 6379
    valkey_passwords_dir: Annotated[
        ExistingDirectory,
        Setting(
            flag="--passwords-dir",
            env="CODER_LOGSTREAM_VALKEY_PASSWORDS_DIR",
            group=Group.CLUSTER,
            meaning="Directory with the passwords of its three users: the files redis-password (user default, all "
            "rights), watcher-password and shipper-password.",
            why="None: without passwords everybody in the cluster could write into workspaces' logs.",
            example="/etc/coder-logstream/keys",
        ),
    ]
    valkey_memory_bytes: Annotated[
        Annotated[int, Field(ge=8 * 1024 * 1024)],
        Setting(
            flag="--memory-bytes",
            env="CODER_LOGSTREAM_VALKEY_MEMORY_BYTES",
            group=Group.CLUSTER,
            meaning="How much memory data may take; when it is full, new lines wait in the watcher and in Kubernetes.",
            why="256 MiB: the waiting lines of some thousand workspaces. Leave as much again for copies and buffers.",
            example="268435456",
            unit="bytes",
        ),
    ] = 256 * 1024 * 1024


class KeySettings(ProgramSettings):
    """All settings of `coder-logstream make-keys`."""

    keys_secret: Annotated[
        SecretName,
        Setting(
            flag="--secret",
            env="CODER_LOGSTREAM_KEYS_SECRET",
            group=Group.CLUSTER,
            meaning="Name of the Secret, in the namespace of the pod.",
            why="None: it must be given.",
            example="coder-logstream-keys",
        ),
    ]
    valkey_passwords: Annotated[
        bool,
        Setting(
            flag="--valkey-passwords",
            env="CODER_LOGSTREAM_KEYS_VALKEY_PASSWORDS",
            group=Group.CLUSTER,
            meaning="Make the passwords for `coder-logstream valkey`, too.",
            why="Off: a Redis of your own has its passwords already.",
            example="true",
            toml="valkey_passwords = true",
        ),
    ] = False
    service_account_dir: Annotated[
        ExistingDirectory,
        Setting(
            flag="--service-account-dir",
            env="CODER_LOGSTREAM_SERVICE_ACCOUNT_DIR",
            group=Group.CLUSTER,
            meaning="Directory with the service account's token, namespace and ca.crt.",
            why="Where Kubernetes mounts it into a pod.",
            example=str(SERVICE_ACCOUNT_DIR),
        ),
    ] = Field(default=SERVICE_ACCOUNT_DIR, validate_default=True)


IN_CLUSTER: Final[Mapping[str, type[ProgramSettings]]] = {"valkey": ValkeySettings, "make-keys": KeySettings}
"""By command."""
