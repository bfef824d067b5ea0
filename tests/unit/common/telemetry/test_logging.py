"""What a program's stderr looks like. Real processes: logging is set up once in a process's life."""

import json
import subprocess
import sys
from typing import Any

import pytest

TOKEN = "11111111-2222-3333-4444-555555555555"

PROGRAM = f"""
import logging, sys, threading, warnings
import structlog
from common.telemetry.logging import configure_logging
configure_logging("watcher", json={{json}}, level="{{level}}")
log = structlog.get_logger()
log.debug("fine print")
log.info("hello", token="{TOKEN}", uid="u-1")
logging.getLogger("rq.worker").info("job 1")
logging.getLogger("rq.worker").warning("Coder-Session-Token: %s", "{TOKEN}")
warnings.warn("careful", stacklevel=1)
try:
    raise ValueError("CODER_AGENT_TOKEN={TOKEN}")
except ValueError:
    log.exception("it broke")
thread = threading.Thread(target=lambda: 1 / 0)
thread.start()
thread.join()
raise RuntimeError("redis://u:hunter2@host")
"""


def run(*, json_lines: bool, level: str) -> str:
    code = PROGRAM.format(json=json_lines, level=level)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False)
    assert done.stdout == ""
    assert done.returncode == 1
    return done.stderr


@pytest.mark.parametrize("json_lines", [True, False])
def test_no_secret_is_in_any_line(json_lines: bool) -> None:
    output = run(json_lines=json_lines, level="debug")
    assert "hello" in output
    assert TOKEN not in output
    assert "hunter2" not in output


def test_every_line_is_a_json_object_with_time_level_and_program() -> None:
    lines: list[dict[str, Any]] = [json.loads(line) for line in run(json_lines=True, level="info").splitlines()]
    assert all({"timestamp", "level", "program", "event"} <= line.keys() for line in lines)
    assert {line["program"] for line in lines} == {"watcher"}
    events = [str(line["event"]) for line in lines]
    assert events[0] == "hello"
    assert any("careful" in event for event in events)
    assert events.count("uncaught exception") == 2
    assert "ZeroDivisionError" in lines[-2]["exception"]
    assert "RuntimeError" in lines[-1]["exception"]


def test_the_level_is_obeyed_and_chatty_libraries_are_heard_from_warning_on() -> None:
    informed = run(json_lines=True, level="info")
    assert "fine print" not in informed
    assert "job 1" not in informed
    assert "Coder-Session-Token" in informed
    assert "fine print" in run(json_lines=True, level="debug")
    assert '"hello"' not in run(json_lines=True, level="error")


def test_text_has_key_and_value() -> None:
    output = run(json_lines=False, level="info")
    assert "uid=u-1" in output
    assert "\x1b" not in output
