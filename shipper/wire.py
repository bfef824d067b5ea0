"""What the two ways to put a request to Coder have in common. Chosen between in `shipper.coder`.

`Http1Wire` (shipper.http1) speaks to Coder itself; `HttpxWire` (shipper.proxied) goes through an HTTP proxy.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from shipper.outcome import Reply

__all__ = [
    "BODY_MAX_BYTES",
    "CONNECT_TIMEOUT_S",
    "HEADERS",
    "KEEP_ALIVE_S",
    "KEPT_HEADERS",
    "TOKEN_HEADER",
    "WHY_MAX_CHARS",
    "Begin",
    "Wire",
    "at_once",
]

TOKEN_HEADER: Final = "Coder-Session-Token"
HEADERS: Final = {
    "User-Agent": "coder-logstream",
    "Accept": "application/json",
    "Accept-Encoding": "identity",
    "Content-Type": "application/json",
}
"""Of every request, besides Host, the token and Content-Length."""
KEPT_HEADERS: Final = {
    name.encode(): name
    for name in ("date", "location", "retry-after", "x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset")
}
"""Headers of an answer that somebody reads, by their bytes in lower case."""
KEEP_ALIVE_S: Final = 30.0
"""Shorter than the idle time-out of usual proxies (60 s): a connection closed under a request leaves it in doubt."""
CONNECT_TIMEOUT_S: Final = 10.0
BODY_MAX_BYTES: Final = 16 * 1024
"""So much of an answer's body is kept; a connection with more of it is closed."""
WHY_MAX_CHARS: Final = 200

Begin = Callable[[], Awaitable[None]]
"""Returns if a request may be written now, and raises what keeps it. Costs next to nothing if nothing does."""


async def at_once() -> None:
    """A request that nothing can keep."""


class Wire(Protocol):
    """Connections to one Coder. Any number of requests at once; redirects are answers, cookies are not kept."""

    async def ask(self, method: str, path: str, token: str, body: bytes, begin: Begin = at_once) -> Reply:
        """Put one request, once. `path` is below the URL's own. The token ("" for none) is printable ASCII.

        `begin` is asked when nothing has left yet, as late as possible; what it raises is raised. What else went wrong
        is a `NoAnswer`; nothing of the request is in its text.
        """
        ...

    async def aclose(self) -> None:
        """Close all connections. Requests must have ended."""
        ...
