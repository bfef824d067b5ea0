"""Settings that more than one program has: the store that joins them, and telemetry."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, model_validator

from common.settings.declare import Group, ProgramSettings, Setting
from common.settings.token_keys import PLAINTEXT_KEY
from common.settings.values import (
    AUTO,
    Address,
    Bytes,
    KeyPrefix,
    ProbeAddress,
    RedisUrl,
    TokenKeyFileField,
    TokenKeysField,
)

__all__ = [
    "BudgetSettings",
    "LogFormat",
    "LogLevel",
    "PrefixSettings",
    "StoreSettings",
    "TelemetrySettings",
    "TokenKeySettings",
]


class LogLevel(StrEnum):
    """The least severe level that is logged."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class LogFormat(StrEnum):
    """How log lines look."""

    AUTO = "auto"
    """`text` in a terminal, `json` otherwise."""
    TEXT = "text"
    JSON = "json"


class TokenKeySettings(ProgramSettings):
    """The keys that agent tokens are sealed with, given directly or in a file, not both."""

    token_key: Annotated[
        TokenKeysField | None,
        Setting(
            flag="",  # a command line is readable by every user of the machine
            env="CODER_LOGSTREAM_TOKEN_KEY",
            group=Group.REDIS,
            meaning="Key that encrypts agent tokens in Redis; several, comma-separated, while keys are rotated: "
            "the first encrypts, all decrypt.",
            why="None: whoever has the key and the Redis data has the tokens, so each installation makes its own.",
            example='"$(cat token-key)"',
            toml='token_key_file = "/etc/coder-logstream/token-key"',  # any key shown here would be somebody's
            secret=True,
        ),
    ] = None
    token_key_file: Annotated[
        TokenKeyFileField | None,
        Setting(
            flag="--token-key-file",
            env="CODER_LOGSTREAM_TOKEN_KEY_FILE",
            group=Group.REDIS,
            meaning="File that holds the token key, or several, one a line.",
            why="None: see token_key.",
            example="/etc/coder-logstream/token-key",
        ),
    ] = None

    insecure_plaintext_tokens: Annotated[
        bool,
        Setting(
            flag="--insecure-plaintext-tokens",
            env="CODER_LOGSTREAM_INSECURE_PLAINTEXT_TOKENS",
            group=Group.REDIS,
            meaning="Do without a token key: whoever can read Redis then has the agents' tokens. The same for watcher "
            "and shipper.",
            why="A token in a backup or a replica of Redis should be worth nothing.",
            example="true",
            toml="insecure_plaintext_tokens = true",
        ),
    ] = False

    @property
    def token_keys(self) -> tuple[str, ...]:
        """The keys, wherever they were given; empty if nowhere. Secret."""
        if self.insecure_plaintext_tokens:
            return (PLAINTEXT_KEY,)
        if self.token_key is not None:
            return self.token_key.values
        return self.token_key_file.keys.values if self.token_key_file is not None else ()

    @model_validator(mode="after")
    def _one_source_of_keys(self) -> Self:
        if self.token_key is not None and self.token_key_file is not None:
            raise ValueError(
                "CODER_LOGSTREAM_TOKEN_KEY and the token key file are both given; keep one, for example "
                "--token-key-file /etc/coder-logstream/token-key"
            )
        if self.insecure_plaintext_tokens and (self.token_key is not None or self.token_key_file is not None):
            raise ValueError("a token key and --insecure-plaintext-tokens are both given; keep the key")
        return self


class PrefixSettings(ProgramSettings):
    """Whose keys they are in Redis."""

    redis_prefix: Annotated[
        KeyPrefix,
        Setting(
            flag="--redis-prefix",
            env="CODER_LOGSTREAM_REDIS_PREFIX",
            group=Group.REDIS,
            meaning="Begins every key and names the queue; two installations on one Redis need two.",
            why="Says whose keys they are.",
            example="logstream-staging",
        ),
    ] = "logstream"


class StoreSettings(TokenKeySettings, PrefixSettings):
    """Where the watcher and the shipper meet. A token key is required."""

    redis_url: Annotated[
        RedisUrl,
        Setting(
            flag="--redis-url",
            env="CODER_LOGSTREAM_REDIS_URL",
            group=Group.REDIS,
            meaning="Redis (6.2 or newer) or Valkey (7.2 or newer) that holds the waiting lines: redis://, "
            "rediss:// (TLS), redis+sentinel://HOST,HOST/SERVICE or unix://. A password belongs into the environment "
            "variable.",
            why="Where a Redis started by hand listens.",
            example="redis://redis:6379/0",
        ),
    ] = Field(default="redis://127.0.0.1:6379/0", repr=False)
    queue_url: Annotated[
        RedisUrl,
        Setting(
            flag="--queue-url",
            env="CODER_LOGSTREAM_QUEUE_URL",
            group=Group.REDIS,
            meaning="Redis that holds the RQ queue, if it is another one.",
            why="The same as redis_url: one server to run.",
            example="redis://redis:6379/1",
        ),
    ] = Field(default_factory=lambda data: str(data.get("redis_url", "")), repr=False)

    @model_validator(mode="after")
    def _a_key_is_needed(self) -> Self:
        if not self.token_keys:
            raise ValueError(
                "CODER_LOGSTREAM_TOKEN_KEY or --token-key-file is required: agent tokens are stored encrypted, unless "
                "--insecure-plaintext-tokens is given; "
                "for example CODER_LOGSTREAM_TOKEN_KEY=$(openssl rand -base64 32 | tr '+/' '-_'), the same for "
                "watcher and shipper"
            )
        return self


class BudgetSettings(ProgramSettings):
    """What one agent may use of its log quota in Coder. The watcher refuses by it, the shipper counts by it."""

    budget_bytes: Annotated[
        Bytes,
        Setting(
            flag="--budget-bytes",
            env="CODER_LOGSTREAM_BUDGET_BYTES",
            group=Group.DELIVERY,
            meaning="How much text one workspace agent gets from us. From half of it on what matters less is left "
            "out, the last eighth is for errors, and a last line says when all is used up. The same for watcher "
            "and shipper.",
            why="A quarter of the 1 MiB that Coder grants an agent for all its logs, its start-up script's too.",
            example="262144",
            unit="bytes",
        ),
    ] = 256 * 1024


class TelemetrySettings(ProgramSettings):
    """What a program says about itself."""

    metrics_addr: Annotated[
        Address,
        Setting(
            flag="--metrics-addr",
            env="CODER_LOGSTREAM_METRICS_ADDR",
            group=Group.TELEMETRY,
            meaning="Address that serves /metrics, /livez and /readyz: HOST:PORT, :PORT or unix:PATH; empty turns "
            "/metrics off.",
            why="Off: no port is opened unasked.",
            example=":9100",
            blank_is_value=True,
        ),
    ] = ""
    probe_addr: Annotated[
        ProbeAddress,
        Setting(
            flag="--probe-addr",
            env="CODER_LOGSTREAM_PROBE_ADDR",
            group=Group.TELEMETRY,
            meaning="Address that serves /livez and /readyz only, whatever metrics_addr says; empty for none of "
            "its own.",
            why="metrics_addr, or without one 127.0.0.1:9101 (any free port if that is taken; the log names it): a "
            "program without /metrics can be probed too, and only from its own machine.",
            example=":9101",
            blank_is_value=True,
        ),
    ] = AUTO
    log_level: Annotated[
        LogLevel,
        Setting(
            flag="--log-level",
            env="CODER_LOGSTREAM_LOG_LEVEL",
            group=Group.TELEMETRY,
            meaning="Least severe level that is logged: debug, info, warning or error.",
            why="Starts, stops, and what an operator may have to act on.",
            example="info",
        ),
    ] = LogLevel.INFO
    log_format: Annotated[
        LogFormat,
        Setting(
            flag="--log-format",
            env="CODER_LOGSTREAM_LOG_FORMAT",
            group=Group.TELEMETRY,
            meaning="Form of log lines: text, json, or auto (text in a terminal, json otherwise).",
            why="People read terminals, programs read the rest.",
            example="json",
        ),
    ] = LogFormat.AUTO
