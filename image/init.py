#!/opt/coder-logstream/bin/python -IS
"""Process 1 of the image: starts coder-logstream, hands on what signals come, and buries every process that ends.

The kernel treats process 1 apart. A signal that it does not handle has no effect, and an orphan becomes its child: what
a health check or a shell in the container leaves behind would stay a zombie until the container ends. `docker run
--init` adds such a process, Kubernetes has no such switch.

Runs without site-packages, so it imports nothing but the standard library and costs milliseconds.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from typing import Final, NoReturn

__all__ = ["run"]

PROGRAM: Final = "/opt/coder-logstream/bin/coder-logstream"
EXIT_NOT_FOUND: Final = 127  # as a shell says it
EXIT_KILLED: Final = 128  # and the signal's number, likewise

_OURS: Final = {signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD}
_FAULTS: Final = {
    signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGSEGV, signal.SIGSYS, signal.SIGTRAP,
}  # fmt: skip
_TERMINAL: Final = {signal.SIGTTIN, signal.SIGTTOU}
"""Ours to ignore: they would stop process 1 while the program has the terminal."""


def run(command: Sequence[str]) -> int:
    """Run `command` until it ends. Its exit code; 128 + N if signal N ended it."""
    forwarded = signal.valid_signals() - _OURS - _FAULTS - _TERMINAL
    awaited = forwarded | {signal.SIGCHLD}
    # Blocked before the child exists, so that nothing is missed: each is taken from the queue below.
    signal.pthread_sigmask(signal.SIG_BLOCK, awaited | _TERMINAL)
    child = os.fork()
    if child == 0:
        _become(command)
    while True:
        number = signal.sigwait(awaited)
        if number != signal.SIGCHLD:
            os.kill(child, number)
        elif (code := _bury(child)) is not None:
            return code


def _become(command: Sequence[str]) -> NoReturn:
    """In the child: lead a process group, so that a terminal's Ctrl-C comes once and not also by way of process 1."""
    try:
        os.setpgid(0, 0)
        if os.isatty(0):
            os.tcsetpgrp(0, os.getpgrp())
        for number in (signal.SIGINT, signal.SIGPIPE, signal.SIGXFSZ):  # those that Python has changed
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        os.execv(command[0], list(command))  # noqa: S606 - no shell is wanted
    except OSError as error:
        os.write(2, f"{command[0]}: {error.strerror}\n".encode())
    finally:
        os._exit(EXIT_NOT_FOUND)


def _bury(child: int) -> int | None:
    """Take leave of all that have ended. The exit code of `child`, if it is among them."""
    code = None
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:  # none is left
            return code
        if pid == 0:
            return code
        if pid == child:
            code = os.waitstatus_to_exitcode(status)
            code = EXIT_KILLED - code if code < 0 else code


if __name__ == "__main__":
    sys.exit(run([PROGRAM, *sys.argv[1:]]))
