"""A dry run whose reader goes (`shipper --dry-run | head -1`): it ends, says so, and takes nothing away unshown."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import msgspec

from common.settings.flags import EXIT_UNREAD
from console.doubles.coder import CoderDouble
from shipper.dry_run import ShownLine
from tests.integration.shipper.process import feeding, shipper
from tests.integration.shipper.rig import until_async

DRY: dict[str, str] = {"CODER_LOGSTREAM_DRY_RUN": "true", "PYTHONUNBUFFERED": ""}
"""As an interpreter is by default: it holds for stdout what could not be written."""


class Reader:
    """Of a pipe; `writing` is its other end."""

    def __init__(self) -> None:
        self._reading, self.writing = os.pipe()
        self._seen = b""
        os.set_blocking(self._reading, False)

    async def line(self) -> str:
        """The next one that is shown."""

        async def there() -> bool:
            with contextlib.suppress(BlockingIOError):  # nothing yet
                self._seen += os.read(self._reading, 1 << 16)
            return b"\n" in self._seen

        await until_async(there, 60.0)
        line, _, self._seen = self._seen.partition(b"\n")
        return msgspec.json.decode(line, type=ShownLine).line

    def begun(self) -> None:
        """The program has the writing end; ours would keep the pipe open."""
        os.close(self.writing)

    def leave(self) -> None:
        os.close(self._reading)


async def test_a_reader_that_leaves_ends_a_dry_run_and_what_was_not_shown_waits(
    tmp_path: Path, redis_url: str, prefix: str
) -> None:
    prefix += "-dry-run"
    async with CoderDouble() as double, feeding(redis_url, prefix, double) as feed:
        token, reader = await feed.rig.agent(), Reader()
        async with shipper(tmp_path, double.url, redis_url, prefix, feed.key, DRY, stdout=reader.writing) as dry:
            reader.begun()
            await feed.say(token, "one")
            assert await reader.line() == "one"
            reader.leave()
            await feed.say(token, "two", "three")
            assert await dry.ended() == EXIT_UNREAD
            last = dry.events()[-1]
            assert (last["level"], last["prefix"]) == ("error", prefix)
            assert str(last["event"]).startswith("stdout was closed; what is not shown yet waits")
            assert dry.log().count("\n") == len(dry.events()), "nothing but log lines"
        assert await feed.rig.waiting(token) == 2
        assert (await feed.rig.state(token))["lines"] == "1"
        again = Reader()
        async with shipper(tmp_path, double.url, redis_url, prefix, feed.key, DRY, stdout=again.writing) as dry:
            again.begun()
            assert [await again.line(), await again.line()] == ["two", "three"]
            await dry.stop()
            again.leave()
        assert double.totals().requests == {}
