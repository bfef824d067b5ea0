"""Which command an argument list means."""

import pytest

from console.__main__ import with_command


@pytest.mark.parametrize(
    "arguments",
    [[], ["--coder-url", "https://coder.example.com"], ["-n", "a,b"], ["--namespaces=run"]],
)
def test_bare_flags_mean_run(arguments: list[str]) -> None:
    assert with_command(arguments) == ["run", *arguments]


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "-n", "a"],
        ["watcher"],
        ["shipper", "--processes", "2"],
        ["part", "watcher", "-n", "a"],
        ["demo"],
        ["version"],
        ["--help"],
        ["-h"],
        ["--version"],
        ["wacher"],
    ],
)
def test_everything_else_stays_as_it_is(arguments: list[str]) -> None:
    assert with_command(arguments) == arguments
