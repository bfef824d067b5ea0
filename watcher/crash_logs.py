"""Whether, and how, the last lines of crashed containers are shown: from the settings to the part that does it."""

from __future__ import annotations

from random import Random
from typing import Final

from common.clock import Clock
from common.crypto import TokenVault
from common.settings.watcher import WatcherSettings
from common.telemetry.metrics import WatcherMetrics
from watcher.container_log import LogApi
from watcher.directory import Directory
from watcher.publisher import Publisher
from watcher.words import Silence, Words

__all__ = ["crash_logs"]

BUDGET_SHARE: Final = 4
"""A quarter of an agent's budget for the output of one pod: most of it is for what Kubernetes says."""


def crash_logs(
    settings: WatcherSettings,
    api: LogApi,
    directory: Directory,
    vault: TokenVault,
    publisher: Publisher,
    metrics: WatcherMetrics,
    clock: Clock,
    random: Random,
) -> Words:
    """What reads them, or keeps silent if no lines are wanted. Raises `RedactFileError` for a file of patterns that
    became wrong since the settings were read."""
    if not settings.crash_log_lines:
        return Silence()
    # Only who wants it pays the memory for it.
    from common.redact_file import read_patterns
    from watcher.last_words import CrashLogs, LastWords
    from watcher.redactor import Redactor

    path = settings.crash_log_redact_file
    show = CrashLogs(
        lines=settings.crash_log_lines,
        share_bytes=settings.budget_bytes // BUDGET_SHARE,
        redactor=Redactor(read_patterns(path) if path is not None else ()),
    )
    return LastWords(show, api, directory, vault, publisher, metrics, clock, random)
