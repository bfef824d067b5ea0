"""Where an agent's token is looked for in Kubernetes, and why it may not be found. Pure.

The words between `status` and the watcher's module that looks for it, which writes them as JSON to its stdout. No token
is in them.
"""

from __future__ import annotations

import msgspec

__all__ = ["ObjectSeen", "TokenPlace", "Whereabouts", "decode_whereabouts"]


class TokenPlace(msgspec.Struct, frozen=True):
    """One container that may have an agent. `problem` is empty if its token is there."""

    container: str
    where: str
    problem: str = ""
    remedy: str = ""


class ObjectSeen(msgspec.Struct, frozen=True):
    """A pod or ReplicaSet as it is now."""

    kind: str
    namespace: str
    name: str
    uid: str
    created_at_ms: int
    workspace: str = ""
    owner: str = ""
    unit: str = ""
    """What watchers share that it belongs to."""
    left_out: str = ""
    """Why it is not followed, whatever its tokens; empty if it is."""
    remedy: str = ""
    places: tuple[TokenPlace, ...] = ()
    agent_urls: tuple[str, ...] = ()
    """The addresses of the Coder that its agents report to, as far as its containers say so."""


class Whereabouts(msgspec.Struct, frozen=True):
    """What was found under a name."""

    objects: tuple[ObjectSeen, ...]
    troubles: tuple[str, ...] = ()
    """What could not be looked into."""


_decoder = msgspec.json.Decoder(Whereabouts)


def decode_whereabouts(raw: bytes) -> Whereabouts:
    """Raises `msgspec.DecodeError`."""
    try:
        return _decoder.decode(raw)
    except (UnicodeDecodeError, RecursionError) as error:
        raise msgspec.DecodeError(str(error)) from error
