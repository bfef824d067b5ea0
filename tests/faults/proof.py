"""Whether tests notice a deliberate bug: they pass without it, and one fails with it, each time in a copy of the tree.

What else may go wrong with a run is no proof: a file that is not there, no test that is selected, an error before a
test's body or after it, a time-out.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import takewhile
from pathlib import Path, PurePosixPath
from typing import Final
from xml.etree import ElementTree

import msgspec

from tests.faults.bug import Bug

__all__ = [
    "ROOT", "Ran", "Unproved", "copied", "healthy", "judged", "mutated", "noticed_by", "put_into", "run_tests",
    "run_to_its_end",
]  # fmt: skip

ROOT: Final = Path(__file__).parents[2]
PACKAGES: Final = ("common", "watcher", "shipper", "console", "bench", "tests")
FILES: Final = ("pyproject.toml", "Makefile", "README.md")
TEST_WITHIN_S: Final = 60
"""One test."""
TESTS_WITHIN_S: Final = 240
"""All tests of a bug."""
_LATE: Final = "Failed: Timeout (>"
"""How the message of a test begins that pytest-timeout ended."""


class Unproved(Exception):
    """Nothing is known of the bug: its tests fail without it, or did not get so far as to judge it."""


class Ran(msgspec.Struct, frozen=True):
    """What a run of some tests came to, up to the first that failed."""

    passed: int = 0
    failed: tuple[str, ...] = ()
    """Names of tests of the files asked for that failed."""
    late: tuple[str, ...] = ()
    """Names of those that did not end in time."""
    trouble: str = ""
    """Whatever else went wrong."""


@contextmanager
def copied() -> Iterator[Path]:
    """A copy of the tree, as far as tests need it, until the end of the block."""
    with tempfile.TemporaryDirectory(prefix="mutant-") as name:
        copy = Path(name)
        for package in PACKAGES:
            shutil.copytree(ROOT / package, copy / package)  # what is compiled, too
        for file in FILES:
            shutil.copy(ROOT / file, copy / file)
        yield copy


def mutated(bug: Bug, text: str) -> str:
    """`text` with the bug in it. Raises ValueError unless the text it replaces is there exactly once."""
    if text.count(bug.old) != 1:
        raise ValueError(f"{bug.file} holds the text of «{bug.name}» {text.count(bug.old)} times, not once")
    return text.replace(bug.old, bug.new)


def put_into(bug: Bug, copy: Path) -> None:
    source = copy / bug.file
    source.write_text(mutated(bug, source.read_text()))
    for compiled in (source.parent / "__pycache__").glob(f"{source.stem}.*"):
        compiled.unlink()  # it is told from the source by a time in seconds and a size


def healthy(tests: Sequence[str], *, at_least: int = 1) -> None:
    """Return if `tests` pass without any bug, and are at least so many. Raises Unproved."""
    with copied() as copy:
        ran = run_tests(tests, copy)
    wrong = ran.trouble or ", ".join((*ran.failed, *(f"{each} does not end" for each in ran.late)))
    if wrong or ran.passed < at_least:
        raise Unproved(f"without a bug: {wrong or f'{ran.passed} passed, not {at_least}'}")


def noticed_by(bug: Bug, tests: Sequence[str] = ()) -> str:
    """Which of the bug's `tests`, all if none is given, fails with it in the tree; "" if all pass. Raises Unproved."""
    with copied() as copy:
        put_into(bug, copy)
        return judged(bug, run_tests(tests or bug.tests, copy))


def judged(bug: Bug, ran: Ran) -> str:
    """The test that noticed `bug`. Raises Unproved."""
    if ran.failed:
        return f"`{ran.failed[0]}`"
    if ran.late and bug.stalls:
        return f"`{ran.late[0]}`, which does not end"
    if ran.late:
        raise Unproved(f"{ran.late[0]} does not end, and the bug does not say so")
    if ran.trouble:
        raise Unproved(ran.trouble)
    return ""


def run_tests(
    tests: Sequence[str], folder: Path, *, test_within_s: float = TEST_WITHIN_S, within_s: float = TESTS_WITHIN_S
) -> Ran:
    """Give `tests`, arguments for pytest that begin with files, to it in `folder`."""
    report = folder / "junit.xml"
    how = ("-x", "-q", "-p", "no:cacheprovider", "-o", f"timeout={test_within_s:g}", "-o", "junit_family=xunit1")
    code, output = run_to_its_end(["pytest", *how, f"--junit-xml={report}", *tests], folder, within_s)
    if code is None:
        return Ran(trouble=f"the tests do not end within {within_s:g} s")
    if code not in (0, 1) or not report.exists():
        last = next(reversed(output.strip().splitlines()), "")
        return Ran(trouble=f"pytest ended with {code}: {last}")
    files = tuple(PurePosixPath(each) for each in takewhile(lambda word: not word.startswith("-"), tests))
    return _read(report.read_text(), files)


def _read(report: str, files: Sequence[PurePosixPath]) -> Ran:
    """What pytest's `report` says of the tests in `files`."""
    passed, troubles = 0, list[str]()
    failed, late = list[str](), list[str]()
    for case in ElementTree.fromstring(report).iter("testcase"):  # noqa: S314 — pytest has just written it
        name = case.get("name", "").partition("[")[0]
        path = PurePosixPath(case.get("file", ""))
        if (error := case.find("error")) is not None or not any(path.is_relative_to(each) for each in files):
            troubles.append(f"error in {name or path}: {'' if error is None else error.get('message')}")
        elif (failure := case.find("failure")) is not None:
            (late if failure.get("message", "").startswith(_LATE) else failed).append(name)
        else:
            passed += case.find("skipped") is None
    return Ran(passed, tuple(failed), tuple(late), "; ".join(troubles))


def run_to_its_end(words: Sequence[str], folder: Path, within_s: float) -> tuple[int | None, str]:
    """Exit code and output of `python -m words` in `folder`; no code if it had to be killed, with all it started."""
    with (folder / "output").open("w+") as output:
        running = subprocess.Popen(
            [sys.executable, "-m", *words], cwd=folder, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            code: int | None = running.wait(within_s)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            if running.poll() is None:
                os.killpg(running.pid, signal.SIGKILL)
                running.wait()
        output.seek(0)
        return code, output.read()
