"""What a Redis tells of itself, judged."""

from typing import Any

import pytest

from common.checkup import Finding, Mark
from common.store.fitness import (
    eviction_finding,
    history_finding,
    memory_finding,
    persistence_finding,
    rights_finding,
    role_finding,
)

MIB = 1024 * 1024


def mark(finding: Finding | None) -> Mark | None:
    return finding.mark if finding is not None else None


@pytest.mark.parametrize(
    ("info", "expected"),
    [
        ({"aof_enabled": 1, "aof_last_write_status": "ok"}, Mark.FINE),
        ({"aof_enabled": 0}, Mark.DOUBT),
        ({"aof_enabled": 1, "aof_last_write_status": "err"}, Mark.BAD),
        ({}, Mark.DOUBT),
    ],
)
def test_persistence(info: dict[str, Any], expected: Mark) -> None:
    assert mark(persistence_finding(info)) is expected


@pytest.mark.parametrize(
    ("info", "expected"),
    [
        ({"maxmemory_policy": "noeviction", "maxmemory": 1}, Mark.FINE),
        ({"maxmemory_policy": "allkeys-lru", "maxmemory": 1}, Mark.BAD),
        ({"maxmemory_policy": "allkeys-lru", "maxmemory": 0}, Mark.DOUBT),
        ({}, Mark.DOUBT),
    ],
)
def test_eviction(info: dict[str, Any], expected: Mark) -> None:
    assert mark(eviction_finding(info)) is expected


@pytest.mark.parametrize(
    ("info", "expected", "said"),
    [
        ({"used_memory": 10 * MIB}, Mark.FINE, "10.0 MiB used, no limit"),
        ({"used_memory": 79 * MIB, "maxmemory": 100 * MIB}, Mark.FINE, "79.0 MiB of 100.0 MiB used"),
        ({"used_memory": 80 * MIB, "maxmemory": 100 * MIB}, Mark.DOUBT, "80.0 MiB of 100.0 MiB used"),
        ({"used_memory": 100 * MIB, "maxmemory": 100 * MIB}, Mark.BAD, "100.0 MiB of 100.0 MiB used: it is full"),
        ({}, Mark.DOUBT, "it does not tell"),
    ],
)
def test_memory(info: dict[str, Any], expected: Mark, said: str) -> None:
    finding = memory_finding(info)
    assert finding.mark is expected
    assert finding.said.startswith(said)


def test_only_a_server_that_hides_its_history_is_told_of_it() -> None:
    assert history_finding({"master_replid": "8f2c"}) is None
    assert mark(history_finding({"role": "master"})) is Mark.DOUBT


def test_only_a_replica_has_a_role_to_speak_of() -> None:
    assert role_finding({"role": "master"}) is role_finding({}) is None
    assert mark(role_finding({"role": "slave"})) is Mark.BAD


def test_rights_of_one_program_are_enough_and_those_of_none_are_not() -> None:
    assert rights_finding({"watcher": [], "shipper": []}).said == "this user may do what watcher and shipper do"
    assert rights_finding({"watcher": ["xadd"], "shipper": []}).said.startswith("this user may do what a shipper does")
    lacking = rights_finding({"watcher": list("abcdefgh"), "shipper": ["xtrim"]})
    assert lacking.mark is Mark.BAD
    assert lacking.said == "this user lacks what a shipper needs: xtrim"
    assert rights_finding({"watcher": list("abcdefgh")}).said.endswith("a, b, c, d, e, f and 2 more")
