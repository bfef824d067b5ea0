"""Who died here, by name."""

import os
import subprocess
import sys

from common.ids import WatcherId
from watcher.identity import died_here, lives, new_name

ME = WatcherId("host/7/aaaa")


def dead(*others: str) -> list[str]:
    return list(died_here(ME, map(WatcherId, others), {7, 8}.__contains__))


def test_a_predecessor_with_our_own_process_id_is_dead() -> None:
    assert dead("host/7/bbbb", "host/7/aaaa") == ["host/7/bbbb"]


def test_a_process_of_this_host_that_is_no_more_is_dead() -> None:
    assert dead("host/9/cccc", "host/8/dddd") == ["host/9/cccc"]


def test_of_other_hosts_and_strange_names_nothing_is_known() -> None:
    assert dead("other/9/cccc", "host", "host/x/y", "a/b/c/d", "") == []


def test_a_host_may_have_a_slash_in_its_name() -> None:
    assert died_here(WatcherId("a/b/7/x"), [WatcherId("a/b/9/y"), WatcherId("b/9/y")], lambda _: False) == ["a/b/9/y"]


def test_a_process_lives_until_it_has_ended() -> None:
    assert lives(os.getpid())
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    assert not lives(process.pid)
    assert lives(1 << 80)


def test_names_are_never_the_same() -> None:
    assert new_name() != new_name()
    assert died_here(new_name(), [new_name()], lives)
