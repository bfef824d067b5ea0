"""Data of a dry run, which are taken away without being delivered, are kept apart from others by their prefix. Pure."""

from __future__ import annotations

from typing import Final

__all__ = ["DRY_RUN_ENDING", "dry_run_prefix", "is_dry_run_prefix"]

DRY_RUN_ENDING: Final = "-dry-run"
_PREFIX_MAX_CHARS: Final = 64


def is_dry_run_prefix(prefix: str) -> bool:
    """Whether what lies under `prefix` may be taken away by a dry run."""
    return prefix.endswith(DRY_RUN_ENDING)


def dry_run_prefix(prefix: str) -> str:
    """The prefix of a dry run beside the programs of `prefix`."""
    return prefix if is_dry_run_prefix(prefix) else prefix[: _PREFIX_MAX_CHARS - len(DRY_RUN_ENDING)] + DRY_RUN_ENDING
