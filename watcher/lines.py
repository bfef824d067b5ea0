"""Cut the chunks of a watch's response body into lines. Pure.

aiohttp's own line reader refuses lines longer than its buffer, and a pod may be larger. Here a line is bounded
only against a server gone mad: one beyond `LINE_MAX_BYTES` is skipped to its end, and `Oversized` stands in its place.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

__all__ = ["LINE_MAX_BYTES", "LineSplitter", "Oversized"]

LINE_MAX_BYTES: Final = 32 * 1024 * 1024
"""Twenty times etcd's default limit for an object."""


class Oversized(Struct, frozen=True):
    """A line that was not kept."""

    size_bytes: int


class LineSplitter:
    """Collects chunks and gives back the lines that are complete, without their newline, empty ones left out."""

    def __init__(self, max_bytes: int = LINE_MAX_BYTES) -> None:
        self._max_bytes = max_bytes
        self._parts: list[bytes] = []
        self._size = 0

    def feed(self, chunk: bytes) -> list[bytes | Oversized]:
        """The lines that `chunk` completes. Cost is linear in all bytes fed, however they are cut."""
        *complete, rest = chunk.split(b"\n")
        lines: list[bytes | Oversized] = []
        for piece in complete:
            self._keep(piece)
            if self._size > self._max_bytes:
                lines.append(Oversized(self._size))
            elif line := b"".join(self._parts):
                lines.append(line)
            self._parts, self._size = [], 0
        self._keep(rest)
        return lines

    def _keep(self, piece: bytes) -> None:
        if not piece:
            return
        self._size += len(piece)
        if self._size > self._max_bytes:
            self._parts = []
        else:
            self._parts.append(piece)
