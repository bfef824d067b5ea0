"""Where a token is to be had from, as an expression over Secrets and ConfigMaps, and what that comes to. Pure.

An expression says all that the kubelet would do with a container's variable, so it outlives the specification it was
made from. It is worked out from what was read so far and asks for one source after the other: a source that cannot
change the answer is never read. Made by `watcher/environment.py` and `watcher/mounts.py`; kept in Redis sealed
(`watcher/packed.py`), since a text may be a token.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Final, TypeAlias, assert_never
from uuid import UUID

from msgspec import Struct

from watcher.mounts import Kind, Mount, Place, find

__all__ = [
    "ABSENT",
    "UNREAD",
    "Elsewhere",
    "Expression",
    "Failure",
    "File",
    "First",
    "Gap",
    "Joined",
    "Key",
    "NoToken",
    "Outcome",
    "Read",
    "Reading",
    "Sought",
    "Source",
    "SourceData",
    "Text",
    "at_places",
    "read_token",
    "token_of",
    "weight",
]


class NoToken(StrEnum):
    """Why an object has no agent (a metric label)."""

    NONE = "none"
    """No container has the variable: an ordinary pod, counted but not worth a log line."""
    NOT_A_UUID = "not_a_uuid"
    UNSUPPORTED = "unsupported_source"
    SECRET_MISSING = "secret_missing"
    SECRET_KEY_MISSING = "secret_key_missing"
    SECRET_FORBIDDEN = "secret_forbidden"
    SECRET_UNREADABLE = "secret_unreadable"
    CONFIGMAP_MISSING = "configmap_missing"
    CONFIGMAP_KEY_MISSING = "configmap_key_missing"
    CONFIGMAP_FORBIDDEN = "configmap_forbidden"
    CONFIGMAP_UNREADABLE = "configmap_unreadable"


class Failure(StrEnum):
    """Why a source has no data for us."""

    MISSING = "missing"
    FORBIDDEN = "forbidden"
    UNREADABLE = "unreadable"

    def about(self, kind: Kind) -> NoToken:
        return NoToken(f"{kind}_{self}")


class Source(Struct, frozen=True, gc=False):
    """A Secret or ConfigMap in the object's namespace."""

    kind: Kind
    name: str


class SourceData(Struct, frozen=True):
    """`data`: of a Secret still base64."""

    data: Mapping[str, str]

    def __repr__(self) -> str:
        return "SourceData(…)"


Reading: TypeAlias = SourceData | Failure
Read: TypeAlias = Callable[[Source], Reading | None]
"""What is known of a source; None if it has to be read first."""


class Text(Struct, frozen=True, array_like=True, tag="text"):
    text: str

    def __repr__(self) -> str:  # it may be a token
        return "Text(…)"


class Key(Struct, frozen=True, array_like=True, tag="key"):
    """The value under `key`. What may lack is no error: then the value is undefined."""

    kind: Kind
    name: str
    key: str
    source_may_lack: bool = False
    key_may_lack: bool = False


class First(Struct, frozen=True, array_like=True, tag="first"):
    """The first of them that is defined."""

    of: tuple[Expression, ...]


class Joined(Struct, frozen=True, array_like=True, tag="joined"):
    """One after the other."""

    parts: tuple[Expression, ...]


class File(Struct, frozen=True, array_like=True, tag="file"):
    """What is in the file at a path that has to be read itself."""

    path: Expression
    mounts: tuple[Mount, ...]


class Elsewhere(Struct, frozen=True, array_like=True, tag="elsewhere"):
    """Defined by something that is not read: a field of the pod, a volume of another type."""


Expression: TypeAlias = Text | Key | First | Joined | File | Elsewhere


class Sought(Struct, frozen=True, array_like=True):
    """How the agent in one container comes to its token: by the variable or, if that is empty, from a file."""

    token: Expression | None
    file: Expression | None = None
    named: bool = True
    """The container names the variable itself; else a source that it takes all variables from may have it."""


class Gap(StrEnum):
    """Why an expression has no value yet, or has none."""

    ABSENT = "absent"
    UNREAD = "unread"


ABSENT: Final = Gap.ABSENT
UNREAD: Final = Gap.UNREAD
Outcome: TypeAlias = str | Gap | NoToken
"""A value, or why there is none. Told apart by `isinstance`: `Gap` and `NoToken` are strings, too."""


def token_of(sought: Sought, read: Read) -> Outcome:
    """The token in its canonical spelling, or why there is none."""
    outcome = _value(sought.token, read)
    if not _is_blank(outcome):
        return _as_token(outcome)
    if sought.file is None:
        return ABSENT if outcome is ABSENT else NoToken.NOT_A_UUID
    return _as_token(_value(sought.file, read))


def read_token(text: str) -> str | None:
    """The agent token in `text` in its canonical spelling, or None if it is not a UUID."""
    try:
        return str(UUID(text.strip()))
    except ValueError:
        return None


def at_places(places: tuple[Place, ...]) -> Expression:
    """The first of `places` that has the file; at the last one a key that lacks is waited for."""
    if not places:
        return Elsewhere()
    last = len(places) - 1
    keys = tuple(
        Key(each.kind, each.name, each.key, each.optional, each.optional or number < last)
        for number, each in enumerate(places)
    )
    return keys[0] if last == 0 else First(keys)


def weight(expression: Expression) -> int:
    """How many expressions it is made of: one that refers to itself over and over grows without limit."""
    match expression:
        case First(parts) | Joined(parts):
            return 1 + sum(map(weight, parts))
        case File(path):
            return 1 + weight(path)
        case _:
            return 1


def _is_blank(outcome: Outcome) -> bool:
    return outcome is ABSENT or (not isinstance(outcome, Gap | NoToken) and not outcome.strip())


def _as_token(outcome: Outcome) -> Outcome:
    if isinstance(outcome, Gap | NoToken):
        return outcome
    return read_token(outcome) or NoToken.NOT_A_UUID


def _value(expression: Expression | None, read: Read) -> Outcome:
    match expression:
        case None:
            return ABSENT
        case Text(text):
            return text
        case Key():
            return _under(expression, read(Source(expression.kind, expression.name)))
        case First(of):
            return next((outcome for each in of if (outcome := _value(each, read)) is not ABSENT), ABSENT)
        case Joined(parts):
            return _joined([_value(each, read) for each in parts])
        case File(path, mounts):
            found = _value(path, read)
            if isinstance(found, Gap | NoToken):
                return found
            return _value(at_places(find(found, mounts)), read) if found.strip() else ABSENT
        case Elsewhere():
            return NoToken.UNSUPPORTED
        case _:
            assert_never(expression)


def _joined(outcomes: list[Outcome]) -> Outcome:
    gap = next((each for each in outcomes if isinstance(each, Gap | NoToken)), None)
    return "".join(outcomes) if gap is None else gap


def _under(key: Key, reading: Reading | None) -> Outcome:
    if reading is None:
        return UNREAD
    if isinstance(reading, Failure):
        return ABSENT if reading is Failure.MISSING and key.source_may_lack else reading.about(key.kind)
    text = reading.data.get(key.key)
    if text is None:
        return ABSENT if key.key_may_lack else NoToken(f"{key.kind}_key_missing")
    if key.kind is Kind.CONFIG_MAP:
        return text
    try:
        return base64.b64decode(text, validate=True).decode()
    except (binascii.Error, ValueError):
        return NoToken.NOT_A_UUID
