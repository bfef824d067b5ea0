"""Process 1 of the image, here an ordinary process: exit codes and signals. As process 1: tests/image."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

INIT = Path(__file__).resolve().parents[3] / "image" / "init.py"
SIGNALS = [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGRTMIN]


def started(*command: str) -> "subprocess.Popen[bytes]":
    source = f"import sys; sys.path.insert(0, {str(INIT.parent)!r}); import init; sys.exit(init.run(sys.argv[1:]))"
    # As the image starts it: no site-packages, nothing of the environment.
    return subprocess.Popen(
        [sys.executable, "-IS", "-c", source, *command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )  # fmt: skip


def python(source: str) -> list[str]:
    return [sys.executable, "-c", source]


def test_the_programs_exit_code_is_the_containers() -> None:
    assert started("/bin/sh", "-c", "exit 7").wait(10) == 7


def test_a_program_that_a_signal_ended_exits_as_a_shell_says_it() -> None:
    assert started("/bin/sh", "-c", "kill -KILL $$").wait(10) == 128 + signal.SIGKILL


def test_a_program_that_is_not_there_is_named() -> None:
    _, said = (process := started("/no/such/program")).communicate(timeout=10)
    assert (process.returncode, said) == (127, b"/no/such/program: No such file or directory\n")


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_is_handed_on_and_does_not_end_process_one(number: signal.Signals) -> None:
    waits = f"import signal; signal.pthread_sigmask(signal.SIG_BLOCK, [{number}]); print('up', flush=True)"
    process = started(*python(f"{waits}; print(signal.sigwait([{number}]) == {number})"))
    assert process.stdout is not None
    assert process.stdout.readline() == b"up\n"
    process.send_signal(number)
    out, _ = process.communicate(timeout=10)
    assert (process.returncode, out) == (0, b"True\n")


def test_the_program_begins_with_no_signal_blocked_or_ignored_that_was_not_before() -> None:
    # Not Python, which ignores two by itself. Who started the tests may ignore some, as `nohup` does.
    look = ("/bin/grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status")
    out, _ = started(*look).communicate(timeout=10)
    assert out == subprocess.run(look, capture_output=True, check=True).stdout


def test_orphans_are_buried(tmp_path: Path) -> None:
    orphan = tmp_path / "orphan"
    # prctl(PR_SET_CHILD_SUBREAPER): the kernel gives it orphans, as it gives them to process 1.
    adopts = "import ctypes, sys; ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)"
    source = f"{adopts}; sys.path.insert(0, {str(INIT.parent)!r}); import init; sys.exit(init.run(sys.argv[1:]))"
    leaves = f"(sh -c 'echo $$ > {orphan}' &) ; read line"
    process = subprocess.Popen(
        [sys.executable, "-IS", "-c", source, "/bin/sh", "-c", leaves], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
    )
    try:
        gone_within(orphan)
    finally:
        process.communicate(b"\n", timeout=10)
    assert process.returncode == 0


def gone_within(orphan: Path, seconds: float = 10.0) -> None:
    deadline_s = time.monotonic() + seconds
    while time.monotonic() < deadline_s:
        if orphan.exists() and (text := orphan.read_text().strip()) and not Path(f"/proc/{text}").exists():
            return
        time.sleep(0.02)
    pytest.fail("the orphan is still there")
