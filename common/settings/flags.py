"""A program's command line, made from its settings model: flags, grouped `--help`, errors in one line, exit code 2.

`run_program` is what a `__main__` calls; `command` is for a click group that holds the program as a subcommand.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from common.meant import did_you_mean
from common.settings.declare import Declared, ProgramSettings, declared
from common.settings.load import SettingsError, load
from common.settings.misspelt import misspelt
from common.telemetry.redact import redact_text

__all__ = ["EXIT_FAILURE", "EXIT_UNREAD", "EXIT_USAGE", "HELP_NAMES", "command", "main", "run_program"]

EXIT_FAILURE: Final = 1
EXIT_USAGE: Final = 2
"""Exit code of a wrong setting. A supervisor does not start such a program again."""
EXIT_UNREAD: Final = 128 + 13
"""Of a program whose stdout was closed, as a shell tells of one that SIGPIPE has ended. It is not started again."""

HELP_NAMES: Final = {"help_option_names": ["-h", "--help"]}
"""Context settings of every click command."""

S = TypeVar("S", bound=ProgramSettings)


def run_program(name: str, model: type[S], body: Callable[..., int], own: Sequence[click.Parameter] = ()) -> int:
    """Read `model` from this process's arguments and environment, run `body`; its answer is the exit code.

    `own`: see `command`.
    """
    return main(command(name, model, body, own), sys.argv[1:], name)


def command(
    name: str,
    model: type[S],
    body: Callable[..., int],
    own: Sequence[click.Parameter] = (),
    *,
    passed_over: type[ProgramSettings] | None = None,
) -> click.Command:
    """A click command that reads `model` and calls `body` with it. Its help text is `body`'s or the model's docstring.

    `own`: what it takes besides settings, handed to `body` by name. Flags that only `passed_over` has are taken, with
    any value, and mean nothing.
    """

    def invoke(config: Path | None, **values: Any) -> int:
        more = {parameter.name: values.pop(parameter.name) for parameter in own}
        flags = {key: _joined(value) for key, value in values.items() if value not in (None, ())}
        settings = load(model, flags=flags, environ=os.environ, config_file=config)
        for odd, meant in misspelt(os.environ).items():
            hint = did_you_mean(meant) or "."
            click.echo(f"{name}: {odd}: no such setting{hint} It is passed over", err=True)
        return body(settings, **more)

    options: list[click.Parameter] = [_option(item) for item in declared(model).values() if item.setting.flag]
    if passed_over is not None:
        others = [item for name, item in declared(passed_over).items() if name not in model.model_fields]
        options += [_option(item, unread=True) for item in others if item.setting.flag]
    options += own
    options.append(
        click.Option(
            ["--config"],
            type=click.Path(path_type=Path),
            metavar="FILE",
            help="TOML file with settings by name. A flag wins over the environment, that over this file.",
        )
    )
    return _GroupedCommand(
        name, model, callback=invoke, params=options, help=body.__doc__ or model.__doc__, context_settings=HELP_NAMES
    )


def main(program: click.Command, arguments: Sequence[str], name: str) -> int:
    """Run `program`; a wrong flag or setting is one line on stderr and exit code 2."""
    try:
        answer = program.main(list(arguments), prog_name=name, standalone_mode=False)
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.Abort:
        return 130
    except click.ClickException as error:
        return _complain(name, _one_line(error))
    except SettingsError as error:
        return _complain(name, str(error))
    return answer if isinstance(answer, int) else 0


class _GroupedCommand(click.Command):
    """A command whose help lists the settings by group, with their variables and defaults."""

    def __init__(self, name: str, model: type[ProgramSettings], **rest: Any) -> None:
        super().__init__(name, **rest)
        self._model = model

    def format_options(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        rows: dict[str, list[tuple[str, str]]] = {}
        for item in declared(self._model).values():
            names = ", ".join(part for part in (item.setting.short, item.setting.flag) if part) or "(environment only)"
            rows.setdefault(item.setting.group.value, []).append((names, _help_of(item)))
        own = {item.setting.flag for item in declared(self._model).values()}
        for parameter in self.get_params(context):
            record = parameter.get_help_record(context)
            if record is not None and not own.intersection(parameter.opts):
                rows.setdefault("General", []).append(record)
        for heading, records in rows.items():
            with formatter.section(heading):
                formatter.write_dl(records)


def _option(item: Declared, *, unread: bool = False) -> click.Option:
    """`unread`: neither shown in the help nor handed on."""
    names = [*filter(None, (item.setting.short, item.setting.flag)), item.name]
    help_text, heard = item.setting.meaning, not unread
    if isinstance(item.default, bool):
        return click.Option(names, flag_value="true", default=None, help=help_text, hidden=unread, expose_value=heard)
    return click.Option(names, type=str, multiple=_is_list(item), help=help_text, hidden=unread, expose_value=heard)


def _is_list(item: Declared) -> bool:
    return isinstance(item.default, tuple)


def _joined(value: str | tuple[str, ...] | None) -> str:
    return ",".join(value) if isinstance(value, tuple) else value or ""


def _help_of(item: Declared) -> str:
    notes = [f"env {item.setting.env}"]
    if item.setting.unit:
        notes.append(item.setting.unit)
    default = item.default
    if item.field.is_required():
        notes.append("required")
    elif default not in (None, "", ()) and default is not False:
        notes.append(f"default {default:g}" if isinstance(default, float) else f"default {default}")
    return f"{item.setting.meaning} [{'; '.join(notes)}]"


def _one_line(error: click.ClickException) -> str:
    match error:
        case click.NoSuchOption(option_name=flag, possibilities=close):
            hint = did_you_mean(min(close)) if close else ""
            return f"{flag}: no such flag{hint}; see --help for all of them"
        case click.UsageError():
            return f"{error.format_message().rstrip('.')}; see --help"
        case _:
            return error.format_message()


def _complain(name: str, line: str) -> int:
    click.echo(redact_text(f"{name}: {line}"), err=True)  # click quotes words that it does not know
    return EXIT_USAGE
