"""Hand settings to a child process by its environment: no secret is ever on a command line."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

from common.settings.declare import ProgramSettings, declared
from common.settings.load import PROGRAMS
from common.settings.misspelt import misspelt
from common.settings.token_keys import TokenKeyFile, TokenKeys

__all__ = ["child_environ", "derive"]

_OURS: Final = "CODER_"

S = TypeVar("S", bound=ProgramSettings)


def derive(model: type[S], source: ProgramSettings, **changes: Any) -> S:
    """Settings of `model` that take from `source` what both have, with `changes` on top."""
    shared = {name: getattr(source, name) for name in model.model_fields if name in type(source).model_fields}
    known = {name: value for name, value in {**shared, **changes}.items() if value is not None}
    return model(**known)


def child_environ(settings: ProgramSettings, base: Mapping[str, str]) -> dict[str, str]:
    """`base` with exactly `settings` in it: variables of other settings are taken out, so nothing else seeps in.

    A variable that is not ours alone stays: SSL_CERT_FILE means something to every TLS client, the watcher's too.
    """
    declarations = [item for model in PROGRAMS.values() for item in declared(model).values()]
    ours = {item.setting.env for item in declarations if item.setting.env.startswith(_OURS)}
    ours.update(misspelt(base))  # said by whoever starts the child
    environ = {name: value for name, value in base.items() if name not in ours}
    for name, item in declared(type(settings)).items():
        text = _text(getattr(settings, name))
        if text is not None:
            environ[item.setting.env] = text
    return environ


def _text(value: Any) -> str | None:
    """How an environment variable writes `value`; None: not at all."""
    match value:
        case None:
            return None
        case TokenKeys(values=keys):
            return ",".join(keys)
        case TokenKeyFile(path=path):
            return str(path.absolute())
        case tuple():
            return ",".join(value)
        case bool():
            return "true" if value else None
        case Path():
            return str(value.absolute())
        case float():
            return repr(value)
        case _:
            return str(value)
