"""One /livez and one /readyz for several processes: each child answers on a socket of its own, all answers become one.

Called in the threads of the telemetry listeners, so a child that hangs delays nobody but the one who asks.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Final

from common.telemetry.http import Check
from console.supervise import ProcessState, ProcessView

__all__ = ["MergedProbes"]

_ANSWERS_WITHIN_S: Final = 0.8  # less than the second that a kubelet grants by default
_ASKED_AT_ONCE: Final = 16


class MergedProbes:
    """The checks of a supervisor. `view` answers with its children as they are now."""

    def __init__(self, view: Callable[[], Sequence[ProcessView]]) -> None:
        self._view = view

    def alive(self) -> Check:
        """Whether no process hangs. One that ended or only begins is the supervisor's care, not its own end."""
        return _merged(self._view(), _lifeless)

    def ready(self) -> Check:
        """Whether each process runs and says that it is ready."""
        return _merged(self._view(), _unready)


def _merged(views: Sequence[ProcessView], trouble_of: Callable[[ProcessView], str]) -> Check:
    with ThreadPoolExecutor(max_workers=min(len(views), _ASKED_AT_ONCE) or 1) as threads:
        troubles = [trouble for trouble in threads.map(trouble_of, views) if trouble]
    return Check(ok=not troubles, reason="; ".join(troubles) or "ok")


def _lifeless(view: ProcessView) -> str:
    if view.state is not ProcessState.RUNNING or view.probe is None:
        return ""
    answer = _ask(view.probe, "/livez")
    return f"{view.name}: {answer.reason}" if answer is not None and not answer.ok else ""


def _unready(view: ProcessView) -> str:
    if view.state is not ProcessState.RUNNING:
        return f"{view.name} is {view.state}"
    if view.probe is None:
        return ""
    answer = _ask(view.probe, "/readyz") or Check(ok=False, reason="starting")
    return "" if answer.ok else f"{view.name}: {answer.reason}"


def _ask(probe: Path, page: str) -> Check | None:
    """What the child says; None if it does not listen yet, or no more."""
    connection = _Connection(probe)
    try:
        connection.request("GET", page)
        response = connection.getresponse()
        return Check(ok=response.status == HTTPStatus.OK, reason=response.read().decode(errors="replace").strip())
    except TimeoutError:
        return Check(ok=False, reason=f"no answer within {_ANSWERS_WITHIN_S:g} s")
    except (OSError, HTTPException):
        return None
    finally:
        connection.close()


class _Connection(HTTPConnection):
    """HTTP over the unix socket at `path`."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=_ANSWERS_WITHIN_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(_ANSWERS_WITHIN_S)
        self.sock.connect(str(self._path))
