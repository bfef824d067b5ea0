"""What `commands.yaml` says of single commands, and which commands nobody accounts for."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec
import yaml

from tests.docs.blocks import PROGRAMS, Block, head_of

__all__ = ["FILE", "Accounts", "Unrun", "read_accounts", "unaccounted"]

FILE: Final = Path(__file__).parent / "commands.yaml"


class Unrun(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A command that is not run as it stands."""

    command: str
    reason: str
    instead: str


class Beside(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is done before or after a command."""

    command: str
    do: str


class Shows(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A regular expression that what a command prints matches."""

    command: str
    pattern: str


class Accounts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file."""

    unrun: list[Unrun]
    before: list[Beside]
    after: list[Beside]
    shows: list[Shows]

    def named(self) -> set[str]:
        """All commands that it knows."""
        beside = {each.command for each in (*self.before, *self.after)}
        return beside | {each.command for each in self.unrun} | {each.command for each in self.shows}

    def done_for(self, command: str) -> list[str]:
        """The lines of a shell that are run for `command`."""
        instead = [each.instead for each in self.unrun if each.command == command]
        before = [each.do for each in self.before if each.command == command]
        after = [each.do for each in self.after if each.command == command]
        return [*before, *(instead or [command]), *after]

    def patterns(self, block: Block) -> list[re.Pattern[str]]:
        """What the output of `block` has to match."""
        return [re.compile(each.pattern) for each in self.shows if each.command in block.commands]


def read_accounts(text: str) -> Accounts:
    """Raises msgspec.ValidationError."""
    return msgspec.convert(yaml.safe_load(text), Accounts)


def unaccounted(blocks: Iterable[Block], accounts: Accounts) -> list[str]:
    """What is wrong: commands that can neither be run nor are excused, and what the file says of none."""
    blocks, excused = list(blocks), {each.command for each in accounts.unrun}
    wrong = [
        f"{block.place}: `{command}` is not accounted for. The {block.stage} tests run commands that begin with "
        f"{', '.join(sorted(PROGRAMS[block.stage]))}: teach them (tests/docs/blocks.py), or say in "
        f"tests/docs/{FILE.name} why it is not run and what is run in its place"
        for block in blocks
        for command in block.commands
        if command not in excused and head_of(command) not in PROGRAMS[block.stage]
    ]
    there = {command for block in blocks for command in block.commands}
    return wrong + [f"tests/docs/{FILE.name}: `{each}` is on no page" for each in sorted(accounts.named() - there)]
