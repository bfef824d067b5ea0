"""Read a program's settings: flag > environment > file > default, and say in one line what is wrong with one.

The outside (flags, environment, file path) comes as arguments. The file is TOML with field names as keys; one file
may serve all programs: each takes its own keys, and a key that none of them knows is an error.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from common.meant import closest, did_you_mean
from common.settings.declare import Declared, ProgramSettings, declared
from common.settings.run import RunSettings
from common.settings.shipper import ShipperSettings
from common.settings.values import hide_passwords
from common.settings.watcher import WatcherSettings

__all__ = ["PROGRAMS", "SettingsError", "load", "toml_example"]

PROGRAMS: Mapping[str, type[ProgramSettings]] = {
    "run": RunSettings,
    "watcher": WatcherSettings,
    "shipper": ShipperSettings,
}
"""The models of all programs that read settings."""

S = TypeVar("S", bound=ProgramSettings)

_Error = Mapping[str, Any]
"""One of `ValidationError.errors()`."""

_MAX_SHOWN_CHARS = 80


class SettingsError(Exception):
    """A setting is wrong. The text is one line: which one, why, and a right example."""


@dataclass(frozen=True)
class _Layer:
    """The values that one source holds, and how that source writes a setting."""

    values: Mapping[str, Any]
    name: Callable[[Declared], str]
    example: Callable[[Declared], str]


def load(model: type[S], *, flags: Mapping[str, str], environ: Mapping[str, str], config_file: Path | None = None) -> S:
    """The settings of `model`. `flags` holds texts by field name. Raises SettingsError."""
    layers = [_flag_layer(flags), _environ_layer(model, environ), _file_layer(model, config_file)]
    merged: dict[str, Any] = {}
    for layer in reversed(layers):
        merged.update(layer.values)
    try:
        return model(**merged)
    except ValidationError as error:
        # Not chained: pydantic's error holds the values, secrets among them.
        raise SettingsError(_explain(model, layers, error.errors(include_url=False))) from None


def _flag_layer(flags: Mapping[str, str]) -> _Layer:
    return _Layer(flags, lambda d: d.setting.flag, lambda d: f"{d.setting.flag} {_quoted_for_shell(d.setting.example)}")


def _environ_layer(model: type[ProgramSettings], environ: Mapping[str, str]) -> _Layer:
    values = {
        name: environ[item.setting.env]
        for name, item in declared(model).items()
        if environ.get(item.setting.env) or (item.setting.env in environ and item.setting.blank_is_value)
    }
    return _Layer(values, lambda d: d.setting.env, lambda d: f"{d.setting.env}={_quoted_for_shell(d.setting.example)}")


def _file_layer(model: type[ProgramSettings], path: Path | None) -> _Layer:
    table = {} if path is None else _read_file(path)
    known = {name for program in PROGRAMS.values() for name in program.model_fields} | set(model.model_fields)
    for key in table:
        if key not in known:
            raise SettingsError(
                f"{path}: {key}: no such setting{did_you_mean(closest(key, sorted(known)))}; see --help for all of them"
            )
    values = {key: value for key, value in table.items() if key in model.model_fields}
    return _Layer(values, lambda d: f"{path}: {d.name}", toml_example)


def _read_file(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(
            f"--config: {path} cannot be read: {error.strerror}; example: --config /etc/coder-logstream/config.toml"
        ) from error
    except UnicodeDecodeError as error:
        raise SettingsError(f'--config: {path} is not UTF-8 text; example of a line: log_level = "info"') from error
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f'--config: {path} is not TOML: {error}; example of a line: log_level = "info"') from error


def _explain(model: type[ProgramSettings], layers: list[_Layer], errors: Sequence[_Error]) -> str:
    """One line about the first error that pydantic found: a wrong value before a missing one."""
    error = min(errors, key=lambda error: error["type"] == "missing")
    if not error["loc"]:  # about several settings together: our own validators name them
        return _why(error)
    item = declared(model)[str(error["loc"][0])]
    setting = item.setting
    layer = next((layer for layer in layers if item.name in layer.values), None)
    if layer is None:
        flag = f"{setting.flag} or " if setting.flag else ""
        if error["type"] != "missing":
            return f"{flag}{setting.env}: the default {_why(error)}; example: {layers[0].example(item)}"
        return f"{flag}{setting.env} is required: {setting.meaning.rstrip('.')}; example: {layers[0].example(item)}"
    unit = f" ({setting.unit})" if setting.unit else ""
    shown = "" if setting.secret else f"{_shown(layer.values[item.name])} "
    return f"{layer.name(item)}: {shown}{_why(error)}{unit}; example: {layer.example(item)}"


def _why(error: _Error) -> str:
    context = error.get("ctx", {})
    match error["type"]:
        case "value_error":
            return str(context["error"])
        case "int_parsing" | "int_type" | "int_from_float":
            return "is not a whole number"
        case "float_parsing" | "float_type" | "finite_number":
            return "is not a number"
        case "bool_parsing" | "bool_type":
            return "is neither true nor false"
        case "greater_than":
            return f"must be more than {context['gt']:g}"
        case "greater_than_equal":
            return f"must be at least {context['ge']:g}"
        case "less_than_equal":
            return f"must be at most {context['le']:g}"
        case "enum" | "literal_error":
            return f"must be {context['expected']}"
        case _:
            return f"is wrong: {error['msg'][:1].lower()}{error['msg'][1:]}"


def _shown(value: Any) -> str:
    text = hide_passwords(value if isinstance(value, str) else repr(value))
    cut = text if len(text) <= _MAX_SHOWN_CHARS else text[:_MAX_SHOWN_CHARS] + "…"
    return '"' + cut.encode("unicode_escape").decode("ascii") + '"'  # a line break must not make two lines of it


def _quoted_for_shell(example: str) -> str:
    return f"'{example}'" if " " in example and not example.startswith('"') else example


def toml_example(item: Declared) -> str:
    """A line of the file that is right for `item`."""
    setting = item.setting
    return setting.toml or f"{item.name} = " + (setting.example if setting.unit else f'"{setting.example}"')
