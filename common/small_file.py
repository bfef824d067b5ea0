"""Read a file that somebody names, which may be anything: no more of it than can be right."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

__all__ = ["read_small"]


def read_small(path: Path, max_bytes: int, too_large: str, error: Callable[[str], ValueError]) -> bytes:
    """What is in the file at `path`. Raises `error` of what is wrong, which is `too_large` beyond `max_bytes`."""
    try:
        with path.open("rb") as file:
            content = file.read(max_bytes + 1)
    except OSError as failure:
        raise error(f"cannot be read: {failure.strerror or type(failure).__name__}") from failure
    if len(content) > max_bytes:
        raise error(too_large)
    return content
