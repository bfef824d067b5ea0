"""Run `coder-logstream` and the doubles as a user does: as processes."""

import contextlib
import json
import os
import pty
import re
import signal
import subprocess
import sys
import termios
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import psutil

from console.demo import loopback_environ
from console.doubles import coder_control, kube_control
from console.doubles.kube_control import Put

WITHIN_S = 60.0


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "console", *arguments]


def clean_environ(changes: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process's environment without settings of ours and without proxies."""
    ours = ("CODER_", "SSL_CERT_", "PROMETHEUS_", "KUBECONFIG")
    base = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return loopback_environ(base) | dict(changes or {})


def until(holds: Callable[[], bool], what: str) -> None:
    deadline_s = time.monotonic() + WITHIN_S
    while not holds():
        assert time.monotonic() < deadline_s, f"not within {WITHIN_S:g} s: {what}"
        time.sleep(0.02)


class Running:
    """A `coder-logstream` in the background, its stderr in a file."""

    def __init__(self, process: "subprocess.Popen[bytes]", log: Path) -> None:
        self.process = process
        self._log = log

    def output(self) -> str:
        return self._log.read_text(errors="replace")

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.output().splitlines() if line.startswith("{")]

    def children(self, module: str) -> list[psutil.Process]:
        everyone = psutil.Process(self.process.pid).children()
        return [child for child in everyone if module in child.cmdline() or module in child.name()]

    def stop(self, number: int = signal.SIGINT) -> int:
        self.process.send_signal(number)
        return self.process.wait(30)


@contextlib.contextmanager
def running(log: Path, *arguments: str, environ: Mapping[str, str] | None = None) -> Iterator[Running]:
    with log.open("ab") as file:
        process = subprocess.Popen(
            command(*arguments), env=clean_environ(environ), stdin=subprocess.DEVNULL, stdout=file, stderr=file
        )
    try:
        yield Running(process, log)
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(30)


class Terminal:
    """The far side of a pseudo-terminal: what its user sees, the control sequences left out."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def read_until(self, text: str | None) -> str:
        """What is shown from now until `text` is, or (None) until the program has closed its side."""
        shown = ""
        while text is None or text not in shown:
            try:
                piece = os.read(self._descriptor, 65_536)
            except OSError:  # Linux says so when the other side is closed
                break
            shown += re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", piece.decode(errors="replace"))
        return shown


@contextlib.contextmanager
def in_a_terminal(
    *arguments: str, environ: Mapping[str, str] | None = None, rows: int = 24, columns: int = 80
) -> Iterator[tuple["subprocess.Popen[bytes]", Terminal]]:
    """A `coder-logstream` whose input and output are a terminal; killed at the end if it still runs."""
    ours, its = pty.openpty()
    termios.tcsetwinsize(its, (rows, columns))
    process = subprocess.Popen(
        command(*arguments), env=clean_environ({"TERM": "xterm", **(environ or {})}), stdin=its, stdout=its, stderr=its
    )
    os.close(its)
    try:
        yield process, Terminal(ours)
    finally:
        process.kill()
        process.wait()
        os.close(ours)


@contextlib.contextmanager
def double(module: str, *options: str) -> Iterator[str]:
    """A double in a process of its own; its URL."""
    with announced(f"console.doubles.{module}", *options) as url:
        yield url


@contextlib.contextmanager
def announced(module: str, *options: str) -> Iterator[str]:
    """A program that prints its URL first, in a process; that URL."""
    arguments = [sys.executable, "-m", module, *options]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


class Cluster:
    """The Kubernetes double at `url`, steered from a test."""

    def __init__(self, url: str) -> None:
        self._url = url

    def start_workspace(self, name: str, token: str, annotations: Mapping[str, str] | None = None) -> str:
        """A pod with an agent token appears, and is scheduled; its UID."""
        uid = str(uuid.uuid4())
        pod = {
            "metadata": {"name": name, "namespace": "coder", "uid": uid, "annotations": dict(annotations or {})},
            "spec": {"containers": [{"name": "dev", "env": [{"name": "CODER_AGENT_TOKEN", "value": token}]}]},
            "status": {"phase": "Pending"},
        }
        self.apply(Put("pods", pod))
        self.say(name, uid, "Scheduled", f"assigned {name} to a node")
        return uid

    def say(self, name: str, uid: str, reason: str, message: str, namespace: str = "coder") -> None:
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        event = {
            "metadata": {"name": f"{name}.{uuid.uuid4().hex[:16]}", "namespace": namespace, "uid": str(uuid.uuid4())},
            "involvedObject": {"kind": "Pod", "namespace": namespace, "name": name, "uid": uid},
            "reason": reason, "message": message, "type": "Normal", "count": 1,
            "firstTimestamp": now, "lastTimestamp": now, "source": {"component": "default-scheduler"},
        }  # fmt: skip
        self.apply(Put("events", event))

    def apply(self, *commands: kube_control.Command) -> None:
        body = msgspec.json.encode(commands)
        _ask(f"{self._url}/_double", body)

    def watches(self) -> int:
        return msgspec.json.decode(get(f"{self._url}/_double/totals"), type=kube_control.Totals).open_watches


class Coder:
    """The Coder double at `url`, steered from a test."""

    def __init__(self, url: str) -> None:
        self._url = url

    def apply(self, *commands: coder_control.Command) -> None:
        _ask(f"{self._url}/_double", msgspec.json.encode(commands))

    def answers(self) -> dict[str, int]:
        """How many requests got which answer, by `<endpoint> <status>`."""
        return msgspec.json.decode(get(f"{self._url}/_double/totals"), type=coder_control.Totals).requests


def coder_lines(url: str, token: str) -> list[str]:
    agents = msgspec.json.decode(get(f"{url}/_double/agents?token={token}"), type=Sequence[coder_control.AgentView])
    return [line.output for agent in agents for line in agent.logs]


def get(url: str) -> bytes:
    return _ask(url, None)


def probed(url: str) -> tuple[int, str]:
    """Status and body of a probe; 0 where nobody listens."""
    try:
        return 200, get(url).decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except urllib.error.URLError:
        return 0, ""


def _ask(url: str, body: bytes | None) -> bytes:
    with urllib.request.urlopen(url, body, timeout=10) as answer:  # noqa: S310 - http to loopback
        return bytes(answer.read())
