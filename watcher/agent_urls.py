"""Which Coder an object's agents report to, as far as its containers say so. Pure.

The start script that Coder puts into a container's command has the address in it; a template may also set the variable
itself (read: coder/coder, `provisionersdk/scripts/bootstrap_linux.sh`). Read for `status` only: the watcher has no use
for commands, which are long.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

import msgspec
from msgspec import Struct

__all__ = ["agent_urls"]

_VARIABLE: Final = "CODER_AGENT_URL"
_IN_SCRIPT: Final = re.compile(rf"\b{_VARIABLE}=[\"']?(https?://[^\s\"';]{{1,200}})")


class _Variable(Struct, frozen=True):
    name: str = ""
    value: str | None = None


class _Container(Struct, frozen=True):
    command: list[str] | None = None
    args: list[str] | None = None
    env: list[_Variable] | None = None


class _Spec(Struct, frozen=True):
    containers: list[_Container] | None = None


class _Template(Struct, frozen=True):
    spec: _Spec = _Spec()


class _ObjectSpec(_Spec, frozen=True):
    template: _Template = _Template()


class _Object(Struct, frozen=True):
    spec: _ObjectSpec = _ObjectSpec()


_objects: Final = msgspec.json.Decoder(_Object)


def agent_urls(body: bytes) -> tuple[str, ...]:
    """The addresses in the pod, or in the pod template, in `body`; each once. None if it cannot be read."""
    try:
        spec = _objects.decode(body).spec
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return ()
    containers = [*(spec.containers or ()), *(spec.template.spec.containers or ())]
    return tuple(dict.fromkeys(url.rstrip("/") for each in containers for url in _urls(each)))


def _urls(container: _Container) -> Iterator[str]:
    for variable in container.env or ():
        if variable.name == _VARIABLE and variable.value:
            yield variable.value
    for text in (*(container.command or ()), *(container.args or ())):
        yield from _IN_SCRIPT.findall(text)
