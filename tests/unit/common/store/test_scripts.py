"""Each script's header says what its body does: keys, arguments, caller."""

import inspect
import re
from importlib import import_module, resources

import pytest

from common.store.scripts import SCRIPT_NAMES, load_script

CALLERS = {
    "AgentWriter": "common.store.writer",
    "Dispatcher": "common.store.dispatcher",
    "Ledger": "common.store.ledger",
    "Tenures": "common.store.tenures",
}


def source(name: str) -> str:
    return resources.files("common.store").joinpath("lua", f"{name}.lua").read_text("utf-8")


def split(name: str) -> tuple[str, str]:
    """Header and body of the script `name`."""
    lines = source(name).splitlines()
    end = next(i for i, line in enumerate(lines) if not line.startswith("-- "))
    return "\n".join(lines[:end]), "\n".join(lines[end:])


def test_every_script_that_ships_is_known() -> None:
    shipped = {path.name for path in resources.files("common.store").joinpath("lua").iterdir()}
    assert shipped == {f"{name}.lua" for name in SCRIPT_NAMES} | {"summon.lua", "progress.lua"}


@pytest.mark.parametrize("name", SCRIPT_NAMES)
def test_the_header_names_the_script_and_what_it_is_for(name: str) -> None:
    header, _ = split(name)
    assert header.startswith(f"-- {name}: ")
    for word in ("KEYS", "ARGV", "Answer", "Cost", "Caller"):
        assert f"-- {word} " in header or f" {word} " in header


@pytest.mark.parametrize("name", SCRIPT_NAMES)
def test_the_declared_keys_are_the_used_ones(name: str) -> None:
    _, body = split(name)
    literal = {int(index) for index in re.findall(r"KEYS\[(\d+)", body)}
    for first in re.findall(r"KEYS\[(\d+) \+ half % 2\]", body):
        literal |= {int(first), int(first) + 1}  # the two halves of seen
    assert literal == set(range(1, load_script(name).key_count + 1))


@pytest.mark.parametrize("name", SCRIPT_NAMES)
def test_the_declared_arguments_are_the_used_ones(name: str) -> None:
    header, body = split(name)
    table = header.split("-- ARGV", 1)[1].split("-- Answer", 1)[0].split("then ", 1)[0]
    declared = {int(index) for index in re.findall(r"(?:^|\s)(\d+) ", table)}
    used = {int(index) for index in re.findall(r"ARGV\[(\d+)\]", body)}
    assert used == declared


@pytest.mark.parametrize("name", SCRIPT_NAMES)
def test_a_script_that_builds_keys_says_so(name: str) -> None:
    header, body = split(name)
    builds = "summon(" in body or "'agent:' .." in body
    assert ("-- Built" in header) == builds


@pytest.mark.parametrize("name", SCRIPT_NAMES)
def test_a_script_with_a_clock_asks_redis_for_it(name: str) -> None:
    header, body = split(name)
    assert ("Clock TIME" in header) == ("now_ms()" in body or "'TIME'" in body)


@pytest.mark.parametrize("name", SCRIPT_NAMES)
def test_the_caller_is_the_one_that_calls(name: str) -> None:
    header, _ = split(name)
    (class_name, method) = re.findall(r"Caller (\w+)\.(\w+)", header)[0]
    module = import_module(CALLERS[class_name])
    assert callable(getattr(getattr(module, class_name), method))
    assert f'"{name}"' in inspect.getsource(module)
