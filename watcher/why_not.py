"""Say in words where an agent's token is looked for, and why there is none. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, assert_never

from watcher.mounts import Kind
from watcher.sought import Elsewhere, Expression, File, First, Joined, Key, NoToken, Sought, Text
from watcher.tokens import FILE_VARIABLE, VARIABLE, InValue

__all__ = ["PROBLEMS", "described", "remedy_for"]

_KINDS: Final = {Kind.SECRET: "Secret", Kind.CONFIG_MAP: "ConfigMap"}
_NAME_IT: Final = f"give the container the agent's token as {VARIABLE}, as the Coder templates for Kubernetes do"
PROBLEMS: Final = {
    NoToken.NONE: f"no container has {VARIABLE} or {FILE_VARIABLE}",
    NoToken.NOT_A_UUID: "what stands there is no agent token",
    NoToken.UNSUPPORTED: "it comes from where it is not looked for: a field of the pod, or another type of volume",
    NoToken.SECRET_MISSING: "there is no such Secret",
    NoToken.SECRET_KEY_MISSING: "the Secret has no such key",
    NoToken.SECRET_FORBIDDEN: "the Secret may not be read",
    NoToken.SECRET_UNREADABLE: "the Secret could not be read just now",
    NoToken.CONFIGMAP_MISSING: "there is no such ConfigMap",
    NoToken.CONFIGMAP_KEY_MISSING: "the ConfigMap has no such key",
    NoToken.CONFIGMAP_FORBIDDEN: "the ConfigMap may not be read",
    NoToken.CONFIGMAP_UNREADABLE: "the ConfigMap could not be read just now",
}
"""What is wrong, by reason."""


def remedy_for(why: NoToken, namespace: str) -> str:
    """What to do about it."""
    match why:
        case NoToken.NONE | NoToken.UNSUPPORTED:
            return _NAME_IT
        case NoToken.NOT_A_UUID:
            return "let the template give it the token of its coder_agent as it is"
        case NoToken.SECRET_FORBIDDEN | NoToken.CONFIGMAP_FORBIDDEN:
            resource = f"{why.partition('_')[0]}s"
            return f"grant get on {resource} in a Role in namespace {namespace} or in a ClusterRole"
        case NoToken.SECRET_UNREADABLE | NoToken.CONFIGMAP_UNREADABLE:
            return "ask again; the watcher does, too"
        case (
            NoToken.SECRET_MISSING
            | NoToken.SECRET_KEY_MISSING
            | NoToken.CONFIGMAP_MISSING
            | NoToken.CONFIGMAP_KEY_MISSING
        ):
            return "make it: it is found within 20 s, until the container has started"
        case _:
            assert_never(why)


def described(where: InValue | Sought | NoToken) -> str:
    """Where a token lies; nothing of the token."""
    match where:
        case InValue():
            return f"the value of {VARIABLE}"
        case NoToken():
            return f"{VARIABLE} or {FILE_VARIABLE}"
        case Sought(token, file):
            keys = [*_keys(token), *_keys(file)]
            places = dict.fromkeys(f"{_KINDS[key.kind]} {key.name}, key {key.key}" for key in keys)
            return " or ".join(places) or "a place that is not read"
        case _:
            assert_never(where)


def _keys(expression: Expression | None) -> Iterator[Key]:
    match expression:
        case Key():
            yield expression
        case First(parts) | Joined(parts):
            for each in parts:
                yield from _keys(each)
        case File(path, mounts):
            yield from _keys(path)
            for mount in mounts:
                for projection in mount.projections:
                    yield Key(projection.kind, projection.name, "of the file")
        case Text() | Elsewhere() | None:
            return
        case _:
            assert_never(expression)
