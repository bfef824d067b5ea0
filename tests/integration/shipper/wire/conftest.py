"""Each promise on asyncio's event loop and the shipper's, and by both wires."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack
from typing import Protocol

import pytest

from common.event_loop import new_event_loop
from shipper.http1 import Http1Wire
from shipper.proxied import HttpxWire
from shipper.wire import Wire
from tests.certificates import Authority
from tests.integration.shipper.wire.peer import Peer, Script


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"asyncio": asyncio.new_event_loop, "ours": new_event_loop}


class MakeWire(Protocol):
    def __call__(
        self, url: str, trust: ssl.SSLContext | None = None, *, timeout_s: float = 5.0, connections: int = 4
    ) -> Wire: ...


class MakePeer(Protocol):
    async def __call__(self, script: Script, tls: ssl.SSLContext | None = None) -> Peer: ...


@pytest.fixture(params=["http1", "httpx"])
async def make_wire(request: pytest.FixtureRequest) -> AsyncIterator[MakeWire]:
    """Wires that are closed with the test."""
    wires: list[Wire] = []

    def make(url: str, trust: ssl.SSLContext | None = None, *, timeout_s: float = 5.0, connections: int = 4) -> Wire:
        trust = trust or ssl.create_default_context()
        if request.param == "http1":
            wires.append(Http1Wire(url, trust, timeout_s=timeout_s, connections=connections))
        else:
            wires.append(HttpxWire(url, trust, timeout_s=timeout_s, connections=connections, proxy=None))
        return wires[-1]

    yield make
    for wire in wires:
        await wire.aclose()


@pytest.fixture
async def make_peer(make_wire: MakeWire) -> AsyncIterator[MakePeer]:
    """Peers that are closed with the test (the wires too: a server waits for its connections)."""
    async with AsyncExitStack() as stack:

        async def make(script: Script, tls: ssl.SSLContext | None = None) -> Peer:
            return await stack.enter_async_context(Peer(script, tls))

        yield make


@pytest.fixture(scope="session")
def authority() -> Authority:
    return Authority()
