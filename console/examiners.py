"""Have a program look for us: the console imports neither watcher nor shipper, and each of them has its own door.

An examiner is a module of theirs that takes settings by environment, answers on stdout and ends.
"""

from __future__ import annotations

import asyncio
import os
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Sequence
from typing import Final

from common.settings.declare import ProgramSettings
from common.settings.environ import child_environ
from common.telemetry.redact import redact_text
from console.programs import module_command, module_environ

__all__ = ["ExaminerFailed", "ask_examiner"]

ANSWERS_WITHIN_S: Final = 120.0
"""Each request has a time-out of its own, and a large cluster takes many."""


class ExaminerFailed(Exception):
    """It gave no answer; the text is its last words."""


async def ask_examiner(module: str, settings: ProgramSettings, arguments: Sequence[str] = ()) -> bytes:
    """What `python -m module` answers. Raises ExaminerFailed."""
    environ = module_environ(child_environ(settings, os.environ))
    process = await asyncio.create_subprocess_exec(
        *module_command(module), *arguments, env=environ, stdin=DEVNULL, stdout=PIPE, stderr=PIPE
    )
    try:
        async with asyncio.timeout(ANSWERS_WITHIN_S):
            answer, said = await process.communicate()
    except TimeoutError:
        raise ExaminerFailed(f"no answer within {ANSWERS_WITHIN_S:.0f} s") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        last = said.decode(errors="replace").strip().rpartition("\n")[2]
        raise ExaminerFailed(redact_text(last) or f"it ended with {process.returncode}")
    return answer
