"""A fact: one thing that the status of a pod tells, in a form that is the same at each look that shows it. Pure.

What is told of a fact is decided by four names. `identity` and `version` are Redis' (guarantee 3): whoever looks,
however often, a version is told once. `topic` and `times` are for the folding of repeats (`watcher/repeats.py`):
facts of one topic say the same again, `times` grows with each.
"""

from __future__ import annotations

import re
from hashlib import blake2b
from typing import Final

from msgspec import Struct

from common.record import Details, Level

__all__ = ["Fact", "Look", "digest", "unvarying"]


class Fact(Struct, frozen=True):
    about: str
    """UID of the pod."""
    namespace: str
    identity: str
    version: int
    topic: str
    times: int
    reason: str
    message: str
    level: Level
    details: Details
    at_ms: int = 0
    """Unix time at which it happened, 0 if Kubernetes does not say."""
    container: str = ""
    sign: str = ""
    """Another name of the same thing, by which it is known again should its version have been misjudged."""
    vague: bool = False
    """It says less than any other of its topic, so it is told only if nothing of the topic has been."""
    scope: str = ""
    """Which watch showed it; known only of facts that are to be followed by something else."""
    before: str = ""
    """Position of that watch before it, "" in a list."""

    @property
    def key(self) -> str:
        """This very telling."""
        return f"{self.identity}#{self.version}"


class Look(Struct, frozen=True):
    """At which pod, and when: what all facts of one look share."""

    uid: str
    namespace: str
    order: int
    """Grows from look to look: the pod's resource version."""
    going: bool
    """The pod is on its way out: what its containers do now is a consequence, and no news."""


_VARYING: Final = re.compile(r"[0-9a-f]*[0-9][0-9a-f]*")


def digest(*texts: str) -> str:
    """A short name of `texts`."""
    return blake2b("\0".join(texts).encode("utf-8", "surrogatepass"), digest_size=6).hexdigest()


def unvarying(text: str) -> str:
    """`text` without numbers and ids: ports, durations and names of tries differ each time and are no news."""
    return _VARYING.sub("#", text)
