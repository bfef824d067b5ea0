"""A workspace about which something is said again and again, and what of it arrives."""

from __future__ import annotations

import asyncio
import re
from typing import Final, Self

from tests.cluster.api import KubeApi
from tests.cluster.harness import WorkspaceLog, eventually
from tests.cluster.objects import container, event, pod
from tests.kubelet.node import SANDBOX_IMAGE
from tests.kubelet.scenarios import RUN

__all__ = ["Talk"]

PACE_S: Final = 0.05
WITHIN_S: Final = 120.0
"""The longest pause between two tries of a shipper, and a bit."""
_WORD: Final = re.compile(r"word (\d+) \(Told")


class Talk:
    """`async with Talk(api, log, namespace) as talk:` an Event each 50 ms until the block ends."""

    def __init__(self, api: KubeApi, log: WorkspaceLog, namespace: str) -> None:
        self._api = api
        self._log = log
        self._namespace = namespace
        self._over = asyncio.Event()
        self.said: list[int] = []
        """Numbers of the Events that there are."""

    async def __aenter__(self) -> Self:
        """Begins when the workspace's pod is known."""
        what = container(self._log.token) | {"image": SANDBOX_IMAGE, "command": ["sh", "-c", RUN]}
        self._about = await self._api.create("pods", self._namespace, pod("talk", what))
        await self._log.gets("🐳 Created pod: talk")
        self._talking = asyncio.create_task(self._talk())
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self._over.set()  # not cancelled: whether the last Event was made would not be known
        await self._talking

    async def goes_on(self) -> None:
        """Wait until something that is said from now on has arrived."""
        await self._arrived(len(self.said) + 1)

    async def heard(self) -> list[int]:
        """When it is over: the numbers that arrived, in the log's order, as soon as the last one has."""
        await self._arrived(len(self.said))
        return self._heard()

    async def say(self) -> None:
        """One Event more."""
        number = len(self.said) + 1
        await self._api.create("events", self._namespace, event(self._about, "Told", f"word {number}"))
        self.said.append(number)

    async def _talk(self) -> None:
        while not self._over.is_set():
            await self.say()
            await asyncio.sleep(PACE_S)

    async def _arrived(self, number: int) -> None:
        async def look() -> list[int]:
            if self._talking.done():
                self._talking.result()  # raises what ended it, if anything did
            return self._heard()

        await eventually(look, lambda heard: number in heard, within_s=WITHIN_S, why=f"word {number}")

    def _heard(self) -> list[int]:
        found = (_WORD.match(line.text) for line in self._log.lines())
        return [int(word[1]) for word in found if word]
