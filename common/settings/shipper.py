"""Settings of the shipper."""

from __future__ import annotations

from typing import Annotated, Final, Self

from pydantic import Field, model_validator

from common.settings.base import BudgetSettings, StoreSettings, TelemetrySettings
from common.settings.declare import Group, ProgramSettings, Setting
from common.settings.dry_run import DRY_RUN_ENDING, dry_run_prefix, is_dry_run_prefix
from common.settings.values import Count, ExistingDirectory, ExistingFile, HttpUrl, Seconds, WordingFile

__all__ = ["CODER_URL", "CoderSettings", "DeliverySettings", "ShipperSettings"]

CODER_URL: Final = Setting(
    flag="--coder-url",
    short="-u",
    env="CODER_URL",
    group=Group.CODER,
    meaning="Address of Coder.",
    why="None: it must be given.",
    example="https://coder.example.com",
)


class CoderUrlSettings(ProgramSettings):
    """Where the lines go."""

    coder_url: Annotated[HttpUrl, CODER_URL]


class DeliverySettings(ProgramSettings):
    """How Coder is reached, and how hard we try."""

    ssl_cert_file: Annotated[
        ExistingFile | None,
        Setting(
            flag="",  # the peer has it in the environment only
            env="SSL_CERT_FILE",
            group=Group.CODER,
            meaning="PEM file of the certificate authorities to trust instead of the system's.",
            why="The system's.",
            example="/etc/ssl/certs/company-ca.pem",
        ),
    ] = None
    ssl_cert_dir: Annotated[
        ExistingDirectory | None,
        Setting(
            flag="",
            env="SSL_CERT_DIR",
            group=Group.CODER,
            meaning="Directory of hashed PEM files to trust (as made by openssl rehash).",
            why="The system's.",
            example="/etc/ssl/company",
        ),
    ] = None
    request_timeout_s: Annotated[
        Seconds,
        Setting(
            flag="--request-timeout-s",
            env="CODER_LOGSTREAM_REQUEST_TIMEOUT_S",
            group=Group.CODER,
            meaning="How long Coder may take over one request.",
            why="A resend after a time-out may repeat lines, so it waits longer than a proxy's usual 30 s.",
            example="40",
            unit="seconds",
        ),
    ] = 40.0
    unauthorized_window_s: Annotated[
        Seconds,
        Setting(
            flag="--unauthorized-window-s",
            env="CODER_LOGSTREAM_UNAUTHORIZED_WINDOW_S",
            group=Group.DELIVERY,
            meaning="How long lines wait while Coder says that it does not know the agent (401).",
            why="A workspace's build may take that long, and its agent is unknown until the build's job ends.",
            example="1800",
            unit="seconds",
        ),
    ] = 1_800.0
    unreachable_window_s: Annotated[
        Seconds,
        Setting(
            flag="--unreachable-window-s",
            env="CODER_LOGSTREAM_UNREACHABLE_WINDOW_S",
            group=Group.DELIVERY,
            meaning="How long lines wait while Coder is unreachable or fails (5xx).",
            why="A day: an outage over night loses nothing.",
            example="86400",
            unit="seconds",
        ),
    ] = 86_400.0
    dry_run: Annotated[
        bool,
        Setting(
            flag="--dry-run",
            env="CODER_LOGSTREAM_DRY_RUN",
            group=Group.DELIVERY,
            meaning="Write each line as JSON to stdout instead of sending it to Coder, which is not asked anything. "
            "What is written so is gone from Redis: the data lie apart, under a prefix that ends in -dry-run, which "
            "run chooses by itself.",
            why="Off: lines are for Coder.",
            example="true",
            toml="dry_run = true",
        ),
    ] = False
    wording_file: Annotated[
        WordingFile | None,
        Setting(
            flag="--wording-file",
            env="CODER_LOGSTREAM_WORDING_FILE",
            group=Group.DELIVERY,
            meaning="YAML file that says which records have lines, at which level, in which words and with which "
            "hints; laid over the table that ships. Read at the start.",
            why="None: the table that ships.",
            example="/etc/coder-logstream/wording.yaml",
        ),
    ] = None
    concurrency: Annotated[
        Count,
        Setting(
            flag="--concurrency",
            env="CODER_LOGSTREAM_CONCURRENCY",
            group=Group.PROCESS,
            meaning="How many agents one shipper process serves at once (one request in flight for each).",
            why="Slow answers of some leave room for the others; more than Coder's usual rate limit can use.",
            example="100",
            unit="agents",
        ),
    ] = 100
    slice_s: Annotated[
        Annotated[float, Field(gt=0, le=300, allow_inf_nan=False)],
        Setting(
            flag="--slice-s",
            env="CODER_LOGSTREAM_SLICE_S",
            group=Group.PROCESS,
            meaning="How long one RQ job (a drain shift) may last.",
            why="Long enough that a job costs nothing; RQ ends one by force after 600 s, so 300 is the most.",
            example="120",
            unit="seconds",
        ),
    ] = 120.0
    lease_s: Annotated[
        Annotated[float, Field(ge=1, le=300)],
        Setting(
            flag="--lease-s",
            env="CODER_LOGSTREAM_LEASE_S",
            group=Group.PROCESS,
            meaning="After how long another shipper may take over the agents of one that died.",
            why="A crash delays lines by at most this; a busy process renews each third of it.",
            example="10",
            unit="seconds",
        ),
    ] = 10.0
    processes: Annotated[
        Annotated[int, Field(ge=1, le=64)],
        Setting(
            flag="--processes",
            env="CODER_LOGSTREAM_PROCESSES",
            group=Group.PROCESS,
            meaning="How many shipper processes to run side by side under one /metrics.",
            why="One: Coder's rate limit counts by source address, so a second process on the same one gains little.",
            example="2",
            unit="processes",
        ),
    ] = 1


class CoderSettings(DeliverySettings, CoderUrlSettings):
    """Where the lines go, and how hard we try."""


class ShipperSettings(CoderSettings, BudgetSettings, StoreSettings, TelemetrySettings):
    """All settings of `coder-logstream shipper`."""

    @model_validator(mode="after")
    def _a_dry_run_has_its_own_data(self) -> Self:
        if self.dry_run and not is_dry_run_prefix(self.redis_prefix):
            raise ValueError(
                f"--dry-run takes away what waits under --redis-prefix, so it needs one of its own that ends in "
                f"{DRY_RUN_ENDING}, the same for the watcher; for example --redis-prefix "
                f"{dry_run_prefix(self.redis_prefix)}"
            )
        return self
