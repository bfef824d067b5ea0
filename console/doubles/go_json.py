"""Read request bodies as Coder's server does, Go's `encoding/json` with its UUID and time types. Pure.

Only what a client can notice is imitated: invalid UTF-8 and lone surrogates become U+FFFD, null leaves a field at its
zero value, unknown fields and what follows the first JSON value are ignored.
Source: FACTS 1 (measured on the decoder).
"""

from __future__ import annotations

import calendar
import codecs
import json
import re
import uuid
from typing import Final, NoReturn, TypeVar

import msgspec

__all__ = [
    "NIL_UUID",
    "LogLine",
    "LogSourceBody",
    "LogsBody",
    "UnreadableBody",
    "parse_uuid",
    "read_log_source",
    "read_logs",
]

_T = TypeVar("_T")

NIL_UUID: Final = str(uuid.UUID(int=0))

_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_ONE_PER_BYTE: Final = "console.doubles.one-per-byte"
_RFC3339: Final = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.\d+)?(?:Z|[+-](\d\d):(\d\d))", re.ASCII)
_LEAP_YEAR: Final = 2_000  # stands for Go's year 0, which Python's calendar lacks


class UnreadableBody(Exception):
    """The decoder's complaint, as it goes into `detail` of a 400."""


class LogLine(msgspec.Struct):
    """One line of a batch, fields absent or null at their zero values."""

    created_at: str | None = None
    level: str | None = None
    output: str | None = None


class LogsBody(msgspec.Struct):
    """Body of `PATCH .../logs`."""

    log_source_id: str | None = None
    logs: list[LogLine] | None = None


class LogSourceBody(msgspec.Struct):
    """Body of `POST .../log-source`."""

    id: str | None = None
    display_name: str | None = None
    icon: str | None = None


_logs_decoder = msgspec.json.Decoder(LogsBody)
_log_source_decoder = msgspec.json.Decoder(LogSourceBody)


def read_logs(body: bytes) -> LogsBody:
    """The batch in `body`, its times checked and its source id in canonical form. Raises UnreadableBody."""
    read = _decode(body, _logs_decoder)
    read.log_source_id = NIL_UUID if read.log_source_id is None else parse_uuid(read.log_source_id)
    for line in read.logs or ():
        if line.created_at is not None and not _is_rfc3339(line.created_at):
            raise UnreadableBody(f"parsing time {json.dumps(line.created_at)}: cannot parse it as RFC 3339")
    return read


def read_log_source(body: bytes) -> LogSourceBody:
    """The log source in `body`, its id in canonical form. Raises UnreadableBody."""
    read = _decode(body, _log_source_decoder)
    read.id = NIL_UUID if read.id is None else parse_uuid(read.id)
    return read


def parse_uuid(text: str) -> str:
    """`text` in canonical form. Raises UnreadableBody.

    Taken are 36 characters, those within braces or after `urn:uuid:`, and 32 digits.
    """
    bare = text[9:] if text[:9].lower() == "urn:uuid:" else text
    if len(text) == 38 and text[0] + text[-1] == "{}":
        bare = text[1:-1]
    canonical = re.fullmatch(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", bare)
    if canonical is None and re.fullmatch(r"[0-9a-fA-F]{32}", text) is None:
        raise UnreadableBody(f"invalid UUID length: {len(text)}")
    return str(uuid.UUID(bare))


def _decode(body: bytes, decoder: msgspec.json.Decoder[_T]) -> _T:
    try:
        return decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        # Rare: either it is wrong, or it is one of the things that Go mends and msgspec refuses.
        return _decode_leniently(body, decoder)


def _decode_leniently(body: bytes, decoder: msgspec.json.Decoder[_T]) -> _T:
    text = body.decode("utf-8", errors=_ONE_PER_BYTE).lstrip(" \t\r\n")
    try:
        value, _end = json.JSONDecoder(parse_constant=_refuse_constant).raw_decode(text)
        mended = _SURROGATE.sub("\ufffd", json.dumps(value, ensure_ascii=False))
        return decoder.decode(mended)
    except (ValueError, RecursionError) as error:
        raise UnreadableBody(str(error)) from error


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"invalid value {name}")


def _one_mark_per_byte(error: UnicodeError) -> tuple[str, int]:
    # Go replaces each invalid byte, Python's own handler each invalid sequence.
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return "\ufffd" * (error.end - error.start), error.end


codecs.register_error(_ONE_PER_BYTE, _one_mark_per_byte)


def _is_rfc3339(text: str) -> bool:
    match = _RFC3339.fullmatch(text)
    if match is None:
        return False
    year, month, day, hour, minute, second, zone_hour, zone_minute = (int(part or 0) for part in match.groups())
    if not 1 <= month <= 12 or hour > 23 or minute > 59 or second > 59 or zone_hour > 24 or zone_minute > 59:
        return False
    return 1 <= day <= calendar.monthrange(year or _LEAP_YEAR, month)[1]
