"""A whole release: real watchers and shippers on one Redis, between the doubles of Kubernetes and Coder."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from console.doubles.coder import CoderDouble
from console.doubles.kube import KubeDouble
from tests.integration.shipper.process import Shipper, shipper
from tests.integration.watcher.rig import Process, Rig, until
from tests.unit.watcher.rig import agent_env, event, pod


class Release:
    """Programs to start, workspaces to put, and what their logs say."""

    def __init__(self, rig: Rig, coder: CoderDouble, folder: Path) -> None:
        self.rig = rig
        self.coder = coder
        self._folder = folder

    def watcher(self, *flags: str, **environ: str) -> contextlib.AbstractAsyncContextManager[Process]:
        return self.rig.watcher(*flags, **environ)

    def shipper(self, *, module: str = "shipper", **environ: str) -> contextlib.AbstractAsyncContextManager[Shipper]:
        rig = self.rig
        return shipper(self._folder, self.coder.url, rig.redis_url, rig.keys.prefix, rig.token_key, environ, module)

    def workspace(self, name: str, namespace: str = "ns", **pod_words: Any) -> str:
        """A pod with an agent that Coder knows; answers its token."""
        token = str(uuid.uuid4())
        self.coder.state.add_agent(token)
        self.rig.put("pods", pod(name, namespace=namespace, env=agent_env(token), **pod_words))
        return token

    def happen(self, about: str, message: str, namespace: str = "ns", **words: Any) -> None:
        """A Kubernetes Event about the pod `about`."""
        value = event(f"event-{uuid.uuid4()}", about=about, namespace=namespace, message=message, reason="", **words)
        self.rig.put("events", value)

    def heard(self, token: str) -> list[str]:
        """The agent's log in Coder, late lines without their own time."""
        return [
            log.output.rpartition(" (on 2026-11-22")[0] or log.output
            for agent in self.coder.agents(token)
            for log in agent.logs
        ]

    async def until_heard(self, token: str, *lines: str) -> None:
        """Until exactly `lines` stand in the agent's log."""

        async def there() -> bool:
            return self.heard(token) == list(lines)

        try:
            await until(there)
        except TimeoutError:
            raise AssertionError(f"heard {self.heard(token)}, not {list(lines)}") from None


@contextlib.asynccontextmanager
async def released(redis_url: str, prefix: str, folder: Path) -> AsyncIterator[Release]:
    async with KubeDouble(bookmark_every_s=0.2) as kube, CoderDouble() as coder:
        rig = Rig(kube, redis_url, prefix, folder)
        try:
            yield Release(rig, coder, folder)
        finally:
            await rig.client.aclose()
