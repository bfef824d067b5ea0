"""What Events say of the images of a pod's containers: when each was asked for and was there, how large it is. Pure.

The kubelet writes `Pulling` before a pull and `Pulled` after it, or `Pulled` alone if the image is on the node. No
status holds any of it. What is kept of a container is the first of each, so the Events of a later start of the same
container change nothing, and the order in which Events are read does not matter. Source: recorded streams, messages in
public logs of Kubernetes 1.24 to 1.35.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from watcher.objects import Event

__all__ = ["CONTAINERS_MAX", "Pull", "merged", "pull_in"]

CONTAINERS_MAX: Final = 64
"""Whoever may create Events may name any number of them."""
_KUBELET: Final = "kubelet"
_CONTAINER: Final = re.compile(r"spec\.(?:initC|c)ontainers\{([^{}]+)\}")
_SPAN: Final = r"[0-9.]{1,16}(?:[hmsnuµ]{1,2}[0-9.]{0,16}){1,3}"
_PULLED: Final = re.compile(
    rf'Successfully pulled image "([^"]*)"(?: in ({_SPAN})(?: \(({_SPAN}) including waiting\))?)?'
    r"(?:\. Image size: ([0-9]{1,15}) bytes\.)?"
)
_PRESENT: Final = re.compile(r'Container image "([^"]*)" already present on machine')
_PARTS: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)(h|ms|us|µs|ns|m|s)")
_PART_MS: Final = {"h": 3_600_000.0, "m": 60_000.0, "s": 1_000.0, "ms": 1.0, "us": 1e-3, "µs": 1e-3, "ns": 1e-6}


class Pull(Struct, frozen=True, array_like=True):
    """The first pull of one container, as far as it is known. It is kept in Redis: fields are only appended."""

    container: str
    asked_at_ms: int = 0
    """When it was first asked for (Unix, by the second), 0 if unknown."""
    had_at_ms: int = 0
    """When it was there (Unix, by the second), 0 if unknown."""
    took_ms: int = 0
    """How long the pull took that succeeded, with its wait for other pulls; 0 if unknown or none was needed."""
    size_bytes: int = 0
    image: str = ""
    """As the container names it."""
    cached: bool = False
    """It was on the node."""

    @property
    def is_whole(self) -> bool:
        """Whether nothing more is to come: before a pull it was asked for."""
        return bool(self.had_at_ms and (self.cached or self.asked_at_ms))


def pull_in(event: Event) -> Pull | None:
    """What `event`, which is about a pod, says of the image of one of its containers; None if nothing."""
    if event.reason not in ("Pulling", "Pulled") or event.component != _KUBELET:
        return None
    container = _CONTAINER.fullmatch(event.involved_object.field_path or "")
    at_ms = event.since_ms
    if container is None or not at_ms:
        return None
    if event.reason == "Pulling":
        return Pull(container[1], asked_at_ms=at_ms)
    message = event.message or ""
    if (present := _PRESENT.match(message)) is not None:
        return Pull(container[1], had_at_ms=at_ms, image=present[1], cached=True)
    if (pulled := _PULLED.match(message)) is not None:
        took_ms = _span_ms(pulled[3] or pulled[2] or "")
        size_bytes = int(pulled[4] or 0)
        return Pull(container[1], had_at_ms=at_ms, took_ms=took_ms, size_bytes=size_bytes, image=pulled[1])
    return None


def merged(pulls: Sequence[Pull], pull: Pull) -> tuple[Pull, ...]:
    """`pulls` with what `pull` adds to them, in the order of the containers' names; of `CONTAINERS_MAX` at most."""
    if len(pulls) >= CONTAINERS_MAX and all(each.container != pull.container for each in pulls):
        return tuple(pulls)
    known = next((each for each in pulls if each.container == pull.container), Pull(pull.container))
    asked_at_ms = min(known.asked_at_ms or pull.asked_at_ms, pull.asked_at_ms or known.asked_at_ms)
    had = pull if _is_first(pull, known) else known
    others = [each for each in pulls if each.container != pull.container]
    return tuple(sorted((*others, replace(had, asked_at_ms=asked_at_ms)), key=lambda each: each.container))


def _is_first(pull: Pull, known: Pull) -> bool:
    """Whether the image was there by `pull` before it was by `known`. Within a second the pull came before the find."""
    if not pull.had_at_ms or not known.had_at_ms:
        return bool(pull.had_at_ms)
    return _age(pull) < _age(known)


def _age(pull: Pull) -> tuple[int, bool, int, int, str]:
    return pull.had_at_ms, pull.cached, -pull.took_ms, -pull.size_bytes, pull.image


def _span_ms(text: str) -> int:
    """Milliseconds of a duration as Go writes it, `1m2.5s`."""
    return round(sum(float(number) * _PART_MS[unit] for number, unit in _PARTS.findall(text)))
