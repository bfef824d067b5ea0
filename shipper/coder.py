"""Ask Coder: its paths and bodies. How they travel is a `Wire`'s business, and every failure of it is a value.

Tokens travel in one header and nowhere else: no error text, repr or log line of this file can hold one (guarantee 6).
Source of paths, bodies and headers: FACTS 1. Bodies are not compressed: the handler reads them as they are.
"""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final, Self

import msgspec

from common.store.model import Lease
from shipper.http1 import Http1Wire
from shipper.outcome import NoAnswer, Reply, Sent
from shipper.text import Line
from shipper.wire import Begin, Wire, at_once

__all__ = ["LOG_SOURCE_ID", "Coder"]

LOG_SOURCE_ID: Final = "cabdacf8-7c90-425c-9815-cae3c75d1169"
"""The Go peer's, so that a workspace that was served by it keeps one source of logs."""

_SOURCE_PATH: Final = "/api/v2/workspaceagents/me/log-source"
_LOGS_PATH: Final = "/api/v2/workspaceagents/me/logs"
_BUILDINFO_PATH: Final = "/api/v2/buildinfo"

_SOURCE_BODY: Final = msgspec.json.encode({"id": LOG_SOURCE_ID, "display_name": "Kubernetes", "icon": "/icon/k8s.png"})


class _Log(msgspec.Struct, frozen=True):
    created_at: str
    level: str
    output: str


class _Logs(msgspec.Struct, frozen=True):
    log_source_id: str
    logs: list[_Log]


_encoder = msgspec.json.Encoder()


class Coder:
    """One Coder, for the life of the process. `async with` closes its connections."""

    def __init__(
        self, url: str, trust: ssl.SSLContext, *, timeout_s: float, connections: int, proxy: str | None = None
    ) -> None:
        """`timeout_s` is for a whole request; `connections` are kept open at most; `proxy` is a URL."""
        self._wire = _wire(url, trust, timeout_s, connections, proxy)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._wire.aclose()

    def for_agent(self, _lease: Lease) -> Self:
        """The same for all."""
        return self

    async def register_source(self, token: str, begin: Begin = at_once) -> Reply:
        """Make our log source known for the agent of `token`; any number of times."""
        return await self._ask("POST", _SOURCE_PATH, token, _SOURCE_BODY, begin)

    async def send_logs(self, token: str, lines: Sequence[Line], begin: Begin = at_once) -> Reply:
        """Append `lines` (at least one) to the log of the agent of `token`. Not idempotent."""
        # Coder stamps lines itself when they arrive, but refuses them without a time.
        now = datetime.now(UTC).isoformat()
        logs = [_Log(now, line.level.value, line.text) for line in lines]
        return await self._ask("PATCH", _LOGS_PATH, token, _encoder.encode(_Logs(LOG_SOURCE_ID, logs)), begin)

    async def buildinfo(self) -> Reply:
        """Ask what Coder it is; needs no token."""
        return await self._ask("GET", _BUILDINFO_PATH, "", b"", at_once)

    async def _ask(self, method: str, path: str, token: str, body: bytes, begin: Begin) -> Reply:
        if not (token.isascii() and token.isprintable()):  # a line break in it would begin a header of its own
            return NoAnswer(Sent.NO, "the token cannot stand in a header")
        return await self._wire.ask(method, path, token, body, begin)


def _wire(url: str, trust: ssl.SSLContext, timeout_s: float, connections: int, proxy: str | None) -> Wire:
    if proxy is None:
        return Http1Wire(url, trust, timeout_s=timeout_s, connections=connections)
    from shipper.proxied import HttpxWire  # costs 11 MiB, and few need it

    return HttpxWire(url, trust, timeout_s=timeout_s, connections=connections, proxy=proxy)
