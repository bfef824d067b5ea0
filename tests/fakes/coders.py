"""A Coder to be tested, double or real: how to call it."""

from __future__ import annotations

from typing import Final

import aiohttp
import msgspec

from tests.fakes.answered import Answered

SOURCE_ID: Final = "cabdacf8-7c90-425c-9815-cae3c75d1169"
AT: Final = "2026-11-23T09:00:00Z"
LOGS: Final = "/api/v2/workspaceagents/me/logs"
LOG_SOURCE: Final = "/api/v2/workspaceagents/me/log-source"
BUILDINFO: Final = "/api/v2/buildinfo"


class CoderUnderTest:
    """Calls the Coder at `url` as the agent of `token`, unless another token is named."""

    def __init__(self, url: str, token: str, session: aiohttp.ClientSession) -> None:
        self.url = url.rstrip("/")
        self.token = token
        self._session = session

    async def call(
        self, method: str, path: str, body: object = None, *, token: str | None = None, encoding: str = ""
    ) -> Answered:
        """Send `body` (bytes as they are, anything else as JSON). The token "" sends none.

        `encoding` is what the request claims of its body, which goes as it is.
        """
        token = self.token if token is None else token
        headers = {"Coder-Session-Token": token} if token else {}
        if encoding:
            headers["Content-Encoding"] = encoding
        data = body if isinstance(body, bytes) else msgspec.json.encode(body)
        async with self._session.request(
            method, self.url + path, data=None if body is None else data, headers=headers
        ) as answer:
            return await Answered.read(answer)

    async def send(self, *lines: object, source: object = SOURCE_ID, token: str | None = None) -> Answered:
        """PATCH one batch."""
        return await self.call("PATCH", LOGS, {"log_source_id": source, "logs": lines}, token=token)

    async def register(self, name: str = "Kubernetes", *, token: str | None = None) -> Answered:
        """POST the log source."""
        body = {"id": SOURCE_ID, "display_name": name, "icon": "/icon/k8s.png"}
        return await self.call("POST", LOG_SOURCE, body, token=token)


def line(output: str, level: str = "info", at: str = AT) -> dict[str, str]:
    return {"created_at": at, "level": level, "output": output}
