"""The pages keep up with the program: links lead somewhere, names exist, commands would be understood."""

import re
import shlex
from collections import Counter
from pathlib import Path

import click
import pytest

from common.settings.declare import declared
from common.settings.in_cluster import IN_CLUSTER
from common.settings.load import PROGRAMS
from console.__main__ import cli, with_command
from tests.unit.docs.pages import PAGES, ROOT, anchors, code_words, fences, links, name_of

COMMAND = "coder-logstream"
FOREIGN_VARIABLES = {"CODER_API_RATE_LIMIT", "CODER_AGENT_TOKEN", "CODER_AGENT_TOKEN_FILE", "CODER_AGENT_URL"}
"""Coder's own."""
TARGETS = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def test_each_target_of_make_says_one_thing() -> None:
    """Of two with one name the first would be dropped, with a warning that few read."""
    defined = Counter(re.findall(r"^([a-z]+):(?!=)", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert [target for target, times in defined.items() if times > 1] == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    dead = []
    for link in links(page):
        target, _, fragment = link.partition("#")
        if target.startswith(("http://", "https://")):
            continue
        file = (page.parent / target).resolve() if target else page
        if not file.exists() or (fragment and fragment not in anchors(file)):
            dead.append(link)
    assert dead == []


def test_every_page_can_be_reached_from_the_readme() -> None:
    seen, ahead = set(), [ROOT / "README.md"]
    while ahead:
        page = ahead.pop()
        if page.suffix == ".md" and page not in seen:
            seen.add(page)
            ahead += [
                (page.parent / link.partition("#")[0]).resolve()
                for link in links(page)
                if not link.startswith(("http", "#"))
            ]
    assert set(PAGES) - seen == set()


def shell_commands(page: Path) -> list[list[str]]:
    """The words of each command in the page's `sh` blocks, leading assignments left out."""
    commands = []
    for block in fences(page, "sh"):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
                words.pop(0)
            if words:
                commands.append(words)
    return commands


def understood(words: list[str]) -> None:
    """Parse flags and values as the program does, short of reading what they name. Raises click.UsageError."""
    name, *arguments = with_command(words)
    command = cli.commands[name]
    known = {flag for option in command.params for flag in option.opts}
    help_text = command.get_help(click.Context(command))
    command.make_parser(click.Context(command)).parse_args(arguments)
    assert [word for word in arguments if word.startswith("-") and word not in known | {"--help"}] == []
    assert [flag for flag in arguments if flag in known and flag not in help_text] == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_commands_on_a_page_are_understood_by_the_program(page: Path) -> None:
    for words in shell_commands(page):
        if words[0] == COMMAND:
            understood(words[1:])
        elif words[0] == "make":
            assert words[1] in TARGETS
            extra = next((word.removeprefix("ARGS=") for word in words if word.startswith("ARGS=")), "")
            if words[1] == "run":
                understood(["run", *shlex.split(extra)])


def test_a_flag_that_does_not_exist_is_not_understood() -> None:
    with pytest.raises(click.UsageError):
        understood(["--coder-urls", "https://coder.example.com"])


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_variable_that_is_named_exists(page: Path) -> None:
    models = (*PROGRAMS.values(), *IN_CLUSTER.values())
    known = {item.setting.env for model in models for item in declared(model).values()}
    named = code_words(page, r"\bCODER_[A-Z][A-Z_]*[A-Z]\b")
    assert named - known - FOREIGN_VARIABLES == set()


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_flag_in_the_text_exists(page: Path) -> None:
    known = {flag for command in cli.commands.values() for option in command.params for flag in option.opts}
    named = code_words(page, r"`(--[a-z][a-z-]+)")
    assert named - known - {"--help", "--version"} == set()


def test_every_test_that_is_named_exists() -> None:
    there = set()
    for file in (ROOT / "tests").rglob("test_*.py"):
        there |= set(re.findall(r"def (test_\w+)", file.read_text())) | {file.stem}
    for page in PAGES:
        missing = {name for name in code_words(page, r"\btest_\w+") if name not in there}
        assert missing == set(), name_of(page)


def test_every_module_that_cites_a_fact_cites_a_section_that_exists() -> None:
    sections = {name.partition("-")[0] for name in anchors(ROOT / "docs" / "explanation" / "facts.md")}
    for package in ("common", "watcher", "shipper", "console"):
        for file in (ROOT / package).rglob("*.py"):
            assert set(re.findall(r"FACTS (\d+)", file.read_text())) <= sections, file
