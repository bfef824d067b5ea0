"""Children are started, watched and ended, and none stays behind."""

import sys
from pathlib import Path

import psutil
import pytest

from bench.processes import Child, ChildFailed

WAITS = "import time; print('ready', flush=True); time.sleep(60)"


def child(folder: Path, code: str) -> Child:
    return Child("child", [sys.executable, "-c", code], {}, folder)


async def test_a_child_is_gone_when_the_block_ends_even_by_an_error(tmp_path: Path) -> None:
    pids = []

    async def fail() -> None:
        async with child(tmp_path, WAITS) as waits:
            assert await waits.first_line(10.0) == "ready"
            pids.append(waits.pid)
            assert psutil.pid_exists(waits.pid)
            raise RuntimeError("on purpose")

    with pytest.raises(RuntimeError, match="on purpose"):
        await fail()
    assert [psutil.pid_exists(pid) for pid in pids] == [False]


async def test_a_child_that_ends_by_itself_is_noticed_with_what_it_said(tmp_path: Path) -> None:
    async with child(tmp_path, "raise SystemExit('no such cluster')") as fails:
        with pytest.raises(ChildFailed, match="no such cluster"):
            await fails.first_line(10.0)


async def test_cpu_and_memory_of_a_child_are_its_own(tmp_path: Path) -> None:
    code = "held = bytearray(50_000_000); sum(range(3_000_000)); " + WAITS
    other = tmp_path / "other"
    other.mkdir()
    async with child(tmp_path, code) as busy, child(other, WAITS) as lazy:
        await busy.first_line(10.0)
        await lazy.first_line(10.0)
        assert busy.rss_bytes() - lazy.rss_bytes() > 40_000_000
        assert busy.cpu().total_s > lazy.cpu().total_s


async def test_what_a_child_complains_of_is_not_taken_for_its_answer(tmp_path: Path) -> None:
    code = "import sys; sys.stderr.write('a warning\\n'); sys.stderr.flush(); " + WAITS
    async with child(tmp_path, code) as warns:
        assert await warns.first_line(10.0) == "ready"
        assert "a warning" in warns.said()


async def test_the_token_key_of_the_surroundings_does_not_reach_a_child(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CODER_LOGSTREAM_TOKEN_KEY", "secret")
    code = "import os; print('CODER_LOGSTREAM_TOKEN_KEY' in os.environ, flush=True); " + WAITS
    async with child(tmp_path, code) as looks:
        assert await looks.first_line(10.0) == "False"
