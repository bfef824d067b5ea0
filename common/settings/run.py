"""Settings of `run`: everything on one machine."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

from pydantic import Field

from common.settings.base import BudgetSettings, PrefixSettings, TelemetrySettings, TokenKeySettings
from common.settings.declare import Group, Setting
from common.settings.shipper import CoderSettings
from common.settings.values import Count, ExpandedPath, RedisUrl
from common.settings.watcher import KubernetesSettings

__all__ = ["LocalSettings", "RunSettings", "default_data_dir"]


def default_data_dir() -> Path:
    """`$XDG_STATE_HOME/coder-logstream`, by default under `~/.local/state`; `~` is still to be replaced."""
    # The base directory specification says to ignore a relative path.
    home = Path(os.environ.get("XDG_STATE_HOME", ""))
    return (home if home.is_absolute() else Path("~/.local/state")) / "coder-logstream"


class LocalSettings(KubernetesSettings, BudgetSettings, TokenKeySettings, PrefixSettings, TelemetrySettings):
    """What watches and what is kept on one machine. Without `redis_url` that is an own Valkey with an own key."""

    redis_url: Annotated[
        RedisUrl | None,
        Setting(
            flag="--redis-url",
            env="CODER_LOGSTREAM_REDIS_URL",
            group=Group.REDIS,
            meaning="Redis or Valkey to use instead of an own one: redis://, rediss:// (TLS), "
            "redis+sentinel://HOST,HOST/SERVICE or unix://.",
            why="None: an own Valkey is started and keeps its data in data_dir.",
            example="redis://redis:6379/0",
        ),
    ] = Field(default=None, repr=False)
    queue_url: Annotated[
        RedisUrl | None,
        Setting(
            flag="--queue-url",
            env="CODER_LOGSTREAM_QUEUE_URL",
            group=Group.REDIS,
            meaning="Redis that holds the RQ queue, if it is another one.",
            why="The same as redis_url.",
            example="redis://redis:6379/1",
        ),
    ] = Field(default=None, repr=False)
    watchers: Annotated[
        Count,
        Setting(
            flag="--watchers",
            env="CODER_LOGSTREAM_WATCHERS",
            group=Group.PROCESS,
            meaning="How many watcher processes to run.",
            why="One keeps up with thousands of workspaces; a second one costs work and delivers nothing twice.",
            example="1",
            unit="processes",
        ),
    ] = 1
    data_dir: Annotated[
        ExpandedPath,
        Setting(
            flag="--data-dir",
            env="CODER_LOGSTREAM_DATA_DIR",
            group=Group.PROCESS,
            meaning="Where the embedded Valkey keeps its data and the token key.",
            why="$XDG_STATE_HOME/coder-logstream, by default ~/.local/state/coder-logstream.",
            example="/var/lib/coder-logstream",
        ),
    ] = Field(default_factory=default_data_dir, validate_default=True)


class RunSettings(LocalSettings, CoderSettings):
    """All settings of `coder-logstream run`."""
