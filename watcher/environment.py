"""What a variable of a container comes to, by Kubernetes' rules. Pure: expressions, no look-ups.

`env` goes before `envFrom`; of `envFrom` the last source that has the variable wins, of `env` the last entry of its
name. `$(NAME)` stands for a variable that was defined before, stays as it is if there is none, and `$$` is one dollar.
An optional reference that leads nowhere leaves what was defined before. Read in the kubelet's
`makeEnvironmentVariables` and its expansion of references.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from watcher.mounts import Kind
from watcher.sought import Elsewhere, Expression, First, Joined, Key, Text, weight
from watcher.specs import Container, Env, KeyRef

__all__ = ["Environment"]

REFERENCES_MAX: Final = 1_000
SOURCES_MAX: Final = 100
WEIGHT_MAX: Final = 100
TEXT_MAX_CHARS: Final = 4_096
"""The longest path that Linux takes. References can double a text with each variable, without end, and whoever writes
a pod must not be able to stop us by it: what goes beyond these bounds is not read.
"""


class Environment:
    """The variables of one container."""

    def __init__(self, container: Container) -> None:
        self._defined: dict[str, Expression] = {}
        self._sources = list(reversed(container.env_from or ()))
        self._is_excessive = (
            len(self._sources) > SOURCES_MAX or sum(map(_references, container.env or ())) > REFERENCES_MAX
        )
        if not self._is_excessive:
            for env in container.env or ():
                self._defined[env.name] = self._definition(env)

    def get(self, name: str) -> Expression | None:
        """What `name` is after all entries; None if nothing can define it."""
        if self._is_excessive:
            return Elsewhere()
        return self._defined.get(name) or _first(tuple(self._from_sources(name)))

    def expand(self, text: str) -> Expression:
        """`text` with its references filled in."""
        parts = [part if isinstance(part, str) else self._referred(*part) for part in _split(text)]
        return _bounded(_join(parts))

    def text(self, text: str) -> str | None:
        """`text` with its references filled in, None if that needs a look-up."""
        expanded = self.expand(text)
        return expanded.text if isinstance(expanded, Text) else None

    def _definition(self, env: Env) -> Expression:
        if env.value:
            return self.expand(env.value)
        if env.value_from is None:
            return Text("")
        if (reference := env.value_from.secret_key_ref) is not None:
            return self._reference(Kind.SECRET, reference, env.name)
        if (reference := env.value_from.config_map_key_ref) is not None:
            return self._reference(Kind.CONFIG_MAP, reference, env.name)
        return Elsewhere()

    def _reference(self, kind: Kind, reference: KeyRef, name: str) -> Expression:
        if not reference.name or not reference.key:
            return Elsewhere()
        if not reference.optional:
            return Key(kind, reference.name, reference.key)
        key = Key(kind, reference.name, reference.key, source_may_lack=True, key_may_lack=True)
        before = self.get(name)
        return key if before is None else _bounded(First((key, before)))

    def _referred(self, name: str) -> Expression:
        as_it_is = Text(f"$({name})")
        found = self.get(name)
        if found is None:
            return as_it_is
        return found if isinstance(found, Text) else First((found, as_it_is))

    def _from_sources(self, name: str) -> Iterator[Key]:
        for each in self._sources:
            prefix = each.prefix or ""
            key = name[len(prefix) :]
            if not key or not name.startswith(prefix):
                continue
            for kind, source in ((Kind.SECRET, each.secret_ref), (Kind.CONFIG_MAP, each.config_map_ref)):
                if source is not None and source.name:
                    yield Key(kind, source.name, key, bool(source.optional), key_may_lack=True)


def _references(env: Env) -> int:
    return (env.value or "").count("$(") + (env.value_from is not None)


def _first(of: tuple[Expression, ...]) -> Expression | None:
    if len(of) < 2:
        return of[0] if of else None
    return _bounded(First(of))


def _join(parts: list[str | Expression]) -> Expression:
    """One expression, neighbouring texts made one."""
    joined: list[Expression] = []
    for part in parts:
        made = Text(part) if isinstance(part, str) else part
        if isinstance(made, Text) and joined and isinstance(joined[-1], Text):
            joined[-1] = _bounded(Text(joined[-1].text + made.text))
        else:
            joined.append(made)
    return joined[0] if len(joined) == 1 else Joined(tuple(joined))


def _bounded(expression: Expression) -> Expression:
    too_long = isinstance(expression, Text) and len(expression.text) > TEXT_MAX_CHARS
    return Elsewhere() if too_long or weight(expression) > WEIGHT_MAX else expression


def _split(text: str) -> Iterator[str | tuple[str]]:
    """The texts of `text`, and the names it refers to as tuples."""
    at = 0
    while (dollar := text.find("$", at)) >= 0:
        yield text[at:dollar]
        follow = text[dollar + 1 : dollar + 2]
        end = text.find(")", dollar + 2) if follow == "(" else -1
        if end >= 0:
            yield (text[dollar + 2 : end],)
            at = end + 1
        else:
            yield "$" if follow == "$" else "$" + follow
            at = dollar + 2
    yield text[at:]
