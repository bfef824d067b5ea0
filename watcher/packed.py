"""The form in which the Ledger keeps known objects: msgpack arrays that only grow at their ends. Pure.

A plain reference to a Secret's key stands where it has always stood. Every other way to a token is in one sealed
field at the end, since its expression may hold a token; a program that does not know the field reads such an object as
one whose containers have started, and so leaves its agents alone.
"""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import Struct

from common.crypto import TokenVault, UnreadableToken
from common.ids import AgentId, Uid
from watcher.directory import Known, Seat
from watcher.mounts import Kind
from watcher.neighbours import Tie
from watcher.pulls import Pull
from watcher.series import UNTRIED, Tried
from watcher.sought import Key, Sought

__all__ = ["Unpacked", "pack", "unpack"]

_VERSION: Final = 1


class _InSecret(Struct, frozen=True, array_like=True):
    name: str
    key: str


class _Seat(Struct, frozen=True, array_like=True):
    agent: AgentId
    sealed_token: bytes
    source: _InSecret | None = None


class _Known(Struct, frozen=True, array_like=True):
    kind: str
    namespace: str
    name: str
    uid: Uid
    created_at_ms: int
    told: bool
    seats: tuple[_Seat, ...] = ()
    awaited: tuple[_InSecret, ...] = ()
    settled: bool = False
    failed: bool = False
    workspace: str = ""
    owner: str = ""
    sealed_more: bytes = b""
    quiet: tuple[str, ...] = ()
    ties: tuple[Tie, ...] = ()
    pulls: tuple[Pull, ...] = ()
    begun: bool | None = None
    tries: Tried = UNTRIED


class _More(Struct, frozen=True, array_like=True):
    """What the fields before cannot say. `sources`: of the seats, by their place."""

    settled: bool
    sources: dict[int, Sought]
    awaited: tuple[Sought, ...]


class _Packed(Struct, frozen=True, array_like=True):
    version: int
    known: _Known


class _Version(Struct, frozen=True, array_like=True):
    version: int


class Unpacked(Struct, frozen=True):
    known: Known
    is_current: bool = True
    """All is sealed as it would be today."""
    is_whole: bool = True
    """False: how its agents get their tokens was sealed under a key that is lost; it is to be met anew."""


_encoder: Final = msgspec.msgpack.Encoder()
_decoder: Final = msgspec.msgpack.Decoder(_Packed)
_version: Final = msgspec.msgpack.Decoder(_Version)
_more: Final = msgspec.msgpack.Decoder(_More)


def pack(known: Known, vault: TokenVault) -> bytes:
    """What the Ledger keeps of `known`."""
    seats = tuple(_Seat(seat.agent, seat.sealed_token, _plain(seat.source)) for seat in known.seats)
    more = _More(
        known.settled,
        {
            place: seat.source
            for place, seat in enumerate(known.seats)
            if seat.source is not None and seats[place].source is None
        },
        tuple(sought for sought in known.awaited if _plain(sought) is None),
    )
    has_more = bool(more.sources or more.awaited)
    packed = _Known(
        known.kind,
        known.namespace,
        known.name,
        known.uid,
        known.created_at_ms,
        known.told,
        seats,
        tuple(plain for sought in known.awaited if (plain := _plain(sought)) is not None),
        known.settled or has_more,
        known.failed,
        known.workspace,
        known.owner,
        vault.seal_text(_encoder.encode(more)) if has_more else b"",
        known.quiet,
        known.ties,
        known.pulls,
        known.begun,
        known.tries,
    )
    return _encoder.encode(_Packed(_VERSION, packed))


def unpack(packed: bytes, vault: TokenVault) -> Unpacked | None:
    """What `pack` wrote; None if another program version did: the object is then met anew."""
    try:
        if _version.decode(packed).version != _VERSION:
            return None
        read = _decoder.decode(packed).known
        if not read.sealed_more:
            return Unpacked(_known(read, _More(read.settled, {}, ())))
        try:
            text, is_current = vault.unseal_text(read.sealed_more)
        except UnreadableToken:
            return Unpacked(_known(read, _More(settled=False, sources={}, awaited=())), is_whole=False)
        return Unpacked(_known(read, _more.decode(text)), is_current)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def _known(read: _Known, more: _More) -> Known:
    seats = tuple(
        Seat(seat.agent, seat.sealed_token, _sought(seat.source) if seat.source else more.sources.get(place))
        for place, seat in enumerate(read.seats)
    )
    awaited = (*(_sought(plain) for plain in read.awaited), *more.awaited)
    return Known(
        read.kind,
        read.namespace,
        read.name,
        read.uid,
        read.created_at_ms,
        read.told,
        seats,
        awaited,
        # Without any of them there is nothing to keep: an older program has lost what it could not read.
        more.settled and bool(seats or awaited),
        read.failed,
        read.workspace,
        read.owner,
        read.quiet,
        read.ties,
        read.pulls,
        # An older program told no starts: nobody waits for that of a pod whose containers run already.
        read.settled if read.begun is None else read.begun,
        read.tries,
    )


def _plain(sought: Sought | None) -> _InSecret | None:
    match sought:
        case Sought(Key(Kind.SECRET, name, key, False, False), None, True):
            return _InSecret(name, key)
        case _:
            return None


def _sought(plain: _InSecret) -> Sought:
    return Sought(Key(Kind.SECRET, plain.name, plain.key))
