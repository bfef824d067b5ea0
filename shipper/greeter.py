"""Ask Coder who it is until the answer is good, then again now and then; say what changes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, assert_never

import structlog

from common.clock import Clock
from common.telemetry.redact import redact_text
from shipper.hello import Greeted, Greeting, Unmet, greet
from shipper.outcome import Reply

__all__ = ["Greeter"]

MET_AGAIN_S: Final = 15.0
UNMET_AGAIN_S: Final = 3.0
"""An operator who mends something looks at the readiness probe; twenty requests a minute are none too many."""

log = structlog.get_logger()


class Greeter:
    """`run` it in the background. Whatever one question runs into, the next is asked."""

    def __init__(self, ask: Callable[[], Awaitable[Reply]], url: str, clock: Clock) -> None:
        """`ask` asks for the build information of the Coder at `url`."""
        self._ask = ask
        self._url = url
        self._clock = clock
        self._last: Greeting | None = None
        self.trouble = "Coder has not answered yet"
        """What is wrong with Coder in one line, empty if nothing is. For the readiness probe."""

    async def run(self) -> None:
        """Ask until cancelled."""
        while True:
            self._tell(await self._greeting())
            await self._clock.sleep(UNMET_AGAIN_S if self.trouble else MET_AGAIN_S)

    async def _greeting(self) -> Greeting:
        try:
            return greet(await self._ask(), self._url)
        except Exception as error:
            # A fault of ours, or an address that the libraries below choke on.
            unmet = Unmet(redact_text(f"{self._url} cannot be asked: {type(error).__name__}: {error}"))
            if unmet != self._last:
                log.exception("asking Coder failed unexpectedly")
            return unmet

    def _tell(self, greeting: Greeting) -> None:
        if greeting == self._last:
            return
        self._last = greeting
        match greeting:
            case Greeted(version):
                log.info("Coder answers", url=self._url, version=version)
                self.trouble = ""
            case Unmet(trouble):
                log.error("no usable Coder", trouble=trouble)
                self.trouble = trouble
            case _:
                assert_never(greeting)
