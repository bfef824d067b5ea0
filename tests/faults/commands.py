"""Where commands end in what a program sends to Redis. Pure.

A command is an array of byte strings, `*2\\r\\n$3\\r\\nGET\\r\\n$1\\r\\na\\r\\n`, and nothing else is sent.
"""

from __future__ import annotations

__all__ = ["Commands"]

_EOL = b"\r\n"


class Commands:
    """Follows one connection from a piece on that begins with a command."""

    def __init__(self) -> None:
        self._begun = b""
        """Of a command whose end has not come yet."""

    def ends(self, piece: bytes) -> list[int]:
        """Behind which bytes of `piece` a command is complete; of what is no command, nowhere."""
        data, ends, at = self._begun + piece, [], 0
        while (end := _end_of(data, at)) is not None:
            at = end
            ends.append(end - len(self._begun))
        self._begun = data[at:] if data[at : at + 1] == b"*" else b""
        return ends


def _end_of(data: bytes, at: int) -> int | None:
    """Where the command that begins `at` ends, None if it is not all there."""
    count, at = _number(data, at, b"*")
    for _ in range(count):
        size, at = _number(data, at, b"$")
        at += size + len(_EOL)
    return at if count > 0 and at <= len(data) else None


def _number(data: bytes, at: int, sign: bytes) -> tuple[int, int]:
    """The number of a line that begins with `sign`, and where the next line begins: behind the end if it is not there.

    Answers 0 for what does not begin so.
    """
    end = data.find(_EOL, at)
    if data[at : at + 1] != sign or end < 0:
        return 0, len(data) + 1
    return int(data[at + 1 : end]), end + len(_EOL)
