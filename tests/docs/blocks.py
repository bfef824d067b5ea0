"""The shell commands of the pages: which there are, and which real part each block of them needs."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Final, Self

import msgspec

from tests.unit.docs.pages import PAGES, name_of, text_of

__all__ = ["PROGRAMS", "Block", "Stage", "all_blocks", "blocks_in", "head_of", "pages_on"]

_FENCE: Final = re.compile(r"^ *```(?:sh|bash|shell|console)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
_PROMPT: Final = "$ "
_ASSIGNMENT: Final = re.compile(r"\w+=\S*\s+")
_DOCKER: Final = re.compile(r"\bdocker\b|\bmake image\b|\.env\b")


class Stage(StrEnum):
    """Where a block is done."""

    MACHINE = "machine"
    """Here: the doubles and Redis servers. tests/docs/test_machine.py"""
    CLUSTER = "cluster"
    """A real API server. tests/cluster/test_docs.py"""
    DOCKER = "docker"
    """A real Docker. tests/image/test_docs.py"""


PROGRAMS: Final[Mapping[Stage, frozenset[str]]] = {
    Stage.MACHINE: frozenset(("make", "coder-logstream", "openssl", "cat", "sed", "jq", "export")),
    Stage.CLUSTER: frozenset(("kubectl", "helm")),
    Stage.DOCKER: frozenset(("docker", "make", "cp", "echo")),
}
"""What each stage can run: the first words of commands."""


class Block(msgspec.Struct, frozen=True):
    """One fenced block."""

    page: Path
    line: int
    """Of its first line on the page."""
    commands: tuple[str, ...]
    """Each on one line, as a reader would type it."""

    @property
    def stage(self) -> Stage:
        if any(head_of(command) in PROGRAMS[Stage.CLUSTER] for command in self.commands):
            return Stage.CLUSTER
        if any(_DOCKER.search(command) for command in self.commands):
            return Stage.DOCKER
        return Stage.MACHINE

    def without(self, done: Collection[str]) -> Self | None:
        """What is left of it when some commands are left out; None if nothing is."""
        left = tuple(command for command in self.commands if command not in done)
        return msgspec.structs.replace(self, commands=left) if left else None

    @property
    def place(self) -> str:
        return f"{name_of(self.page)}:{self.line}"


def blocks_in(page: Path, text: str) -> Iterator[Block]:
    """Those of a page, in their order."""
    for found in _FENCE.finditer(text):
        lines = re.sub(r"\\\n\s*", "", found[1]).splitlines()
        if any(line.strip().startswith(_PROMPT) for line in lines):  # with what is answered
            lines = [line.strip().removeprefix(_PROMPT) for line in lines if line.strip().startswith(_PROMPT)]
        commands = tuple(line.strip() for line in lines if line.strip() and not line.strip().startswith("#"))
        yield Block(page, text.count("\n", 0, found.start(1)) + 1, commands)


def all_blocks(pages: Iterable[Path] = PAGES) -> list[Block]:
    return [block for page in pages for block in blocks_in(page, text_of(page))]


def pages_on(stage: Stage) -> list[Path]:
    """The pages with blocks for `stage`."""
    return list(dict.fromkeys(block.page for block in all_blocks() if block.stage is stage))


def head_of(command: str) -> str:
    """The program that `command` begins with."""
    while found := _ASSIGNMENT.match(command):
        command = command[found.end() :]
    return command.split(maxsplit=1)[0]
