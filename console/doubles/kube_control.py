"""What an operator of the Kubernetes double can ask of it: commands and what it shows. Pure data, the same in-process
(`KubeDouble.apply`) and over HTTP (`POST /_double` with one command or a list of them as JSON).
"""

from __future__ import annotations

from typing import Any

import msgspec

from console.doubles.faults import Injection

__all__ = [
    "AnswerGoneOverHttp",
    "Command",
    "Compact",
    "CutWatches",
    "Delete",
    "Disturbance",
    "Forbid",
    "HoldBack",
    "Inject",
    "Play",
    "Put",
    "PutLog",
    "Reset",
    "SendBookmarks",
    "SendLine",
    "Step",
    "Totals",
    "Write",
    "decode_commands",
]


class Put(msgspec.Struct, frozen=True, tag="put"):
    """Create an object, or replace the one of its name; another UID than before: delete and create.

    Namespace, UID and creation time are filled in if absent. A namespace that does not exist is created.
    """

    resource: str
    object: dict[str, Any]


class Delete(msgspec.Struct, frozen=True, tag="delete"):
    """Take an object away, at once."""

    resource: str
    name: str
    namespace: str = ""


class Step(msgspec.Struct, frozen=True):
    """One write of a script."""

    at_s: float
    """Seconds after the script's start."""
    write: Put | Delete


class Play(msgspec.Struct, frozen=True, tag="play"):
    """Carry out a script beside everything else; steps that are late follow without a pause."""

    steps: list[Step]
    speed: float = 1.0


class Inject(msgspec.Struct, frozen=True, tag="inject"):
    """Facts to choose by: `verb` (list, watch, get, create, update, patch, delete), `resource` and `namespace`."""

    injection: Injection


class Forbid(msgspec.Struct, frozen=True, tag="forbid"):
    """Answer 403 from now on; "*" is any, an empty namespace the whole cluster. `allowed` takes such a rule back."""

    user: str = "*"
    verb: str = "*"
    resource: str = "*"
    namespace: str = "*"
    allowed: bool = False


class PutLog(msgspec.Struct, frozen=True, tag="put_log"):
    """What a container wrote, by its id as pods' statuses have it. Without any log there is no kubelet to be asked."""

    container_id: str
    text: str


class Compact(msgspec.Struct, frozen=True, tag="compact"):
    """Forget the history: going on from an earlier version gives 410."""


class AnswerGoneOverHttp(msgspec.Struct, frozen=True, tag="answer_gone_over_http"):
    """Whether a watch's 410 is the HTTP status; else it is an ERROR in the stream, as Kubernetes does today."""

    on: bool


class CutWatches(msgspec.Struct, frozen=True, tag="cut_watches"):
    """Break open watches, of one resource or of all."""

    resource: str = ""


class HoldBack(msgspec.Struct, frozen=True, tag="hold_back"):
    """Keep changes of one resource from its open watches, until that is taken back: watches of two resources have no
    order among each other. Lists and new watches show what is there.
    """

    resource: str
    on: bool = True


class SendLine(msgspec.Struct, frozen=True, tag="send_line"):
    """Write this text as it is to open watches, of one resource or of all."""

    line: str
    resource: str = ""


class SendBookmarks(msgspec.Struct, frozen=True, tag="send_bookmarks"):
    """Send a bookmark now to every watch that takes them."""


class Reset(msgspec.Struct, frozen=True, tag="reset"):
    """Another, empty cluster: everything goes, watches are cut, users stay."""


Disturbance = Inject | Compact | AnswerGoneOverHttp | CutWatches | HoldBack | SendLine | SendBookmarks
Command = Put | PutLog | Delete | Play | Forbid | Reset | Disturbance


class Write(msgspec.Struct, frozen=True):
    """One change and when it was written, before any watch was told."""

    unix_ns: int
    kind: str
    """ADDED, MODIFIED or DELETED."""
    resource: str
    namespace: str
    name: str
    uid: str
    version: int


class Totals(msgspec.Struct, frozen=True):
    """Counts since the start or the last reset."""

    requests: dict[str, int]
    """`<verb> <resource> <status>` -> number; a watch is counted when it opens."""
    open_watches: int
    unplayed_steps: int


_decoder = msgspec.json.Decoder(Command | list[Command])


def decode_commands(body: bytes) -> list[Command]:
    """The commands in `body`, in order. Raises msgspec.DecodeError."""
    read = _decoder.decode(body)
    return read if isinstance(read, list) else [read]
