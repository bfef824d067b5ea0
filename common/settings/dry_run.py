"""Data of a dry run, which are taken away without being delivered, are kept apart from others by their prefix. Pure."""

from __future__ import annotations

from hashlib import blake2b
from typing import Final

__all__ = ["DRY_RUN_ENDING", "dry_run_prefix", "is_dry_run_prefix"]

DRY_RUN_ENDING: Final = "-dry-run"
_PREFIX_MAX_CHARS: Final = 64
_DIGEST_BYTES: Final = 5


def is_dry_run_prefix(prefix: str) -> bool:
    """Whether what lies under `prefix` may be taken away by a dry run."""
    return prefix.endswith(DRY_RUN_ENDING)


def dry_run_prefix(prefix: str) -> str:
    """The prefix of a dry run beside the programs of `prefix`; each has another one."""
    if is_dry_run_prefix(prefix):
        return prefix
    room_chars = _PREFIX_MAX_CHARS - len(DRY_RUN_ENDING)
    if len(prefix) <= room_chars:
        return prefix + DRY_RUN_ENDING
    # What is cut off may be all that tells two apart.
    digest = blake2b(prefix.encode(), digest_size=_DIGEST_BYTES).hexdigest()
    return f"{prefix[: room_chars - len(digest) - 1]}-{digest}{DRY_RUN_ENDING}"
