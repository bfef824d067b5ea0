"""The event loop of watcher and shipper: uvloop's, because it halves the cost of a read.

Whoever gives up on a connection while its host's name is being resolved leaves the answer to nobody there, and uvloop
complains of it («Future exception was never retrieved», read and seen: 0.23). Here names are resolved first, by a
call that nothing outlives.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from typing import Any

import uvloop

__all__ = ["new_event_loop"]


def new_event_loop() -> uvloop.Loop:
    """One that nobody runs yet."""
    return _Loop()


class _Loop(uvloop.Loop):
    async def create_connection(
        self, protocol_factory: Callable[[], Any], host: str | None = None, port: Any = None, **options: Any
    ) -> tuple[Any, Any]:
        """As uvloop's: the addresses of `host` are tried one after the other."""
        if host is None:
            return await super().create_connection(protocol_factory, **options)
        if options.get("ssl"):
            options["server_hostname"] = options.get("server_hostname") or host
        failures: list[OSError] = []
        for address in await self._addresses(host, port, options):
            try:
                return await super().create_connection(protocol_factory, address, port, **options)
            except ssl.SSLError:
                raise  # somebody was there
            except OSError as error:
                failures.append(error)
        texts = list(dict.fromkeys(map(str, failures)))
        raise failures[0] if len(texts) == 1 else OSError(f"each address fails: {', '.join(texts)}")

    async def _addresses(self, host: str, port: Any, options: dict[str, Any]) -> list[str]:
        """In figures. Raises OSError if there are none."""
        wanted = {name: options[name] for name in ("family", "proto", "flags") if name in options}
        found = await self.getaddrinfo(host, port, type=socket.SOCK_STREAM, **wanted)
        if not found:
            raise OSError(f"{host} has no address")
        return [_in_figures(*sockaddr) for *_, sockaddr in found]


def _in_figures(address: str | bytes, _port: int, _flow: int = 0, zone: int = 0) -> str:
    text = address.decode() if isinstance(address, bytes) else address
    return f"{text}%{zone}" if zone else text
