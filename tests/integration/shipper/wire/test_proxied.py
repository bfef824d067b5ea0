"""Coder behind a proxy: tunnels to https, as a proxy makes them."""

import asyncio
import ssl

import pytest

from shipper.coder import Coder
from shipper.outcome import Answer, NoAnswer, Sent
from shipper.proxied import HttpxWire
from tests.certificates import Authority
from tests.integration.shipper.wire.peer import Line, Peer, obliging

TOKEN = "5e1f2c52-0000-4000-8000-000000000000"


async def tunnel(line: Line) -> None:
    """The script of a proxy that knows CONNECT."""
    request = await line.request()
    method, target, _ = request.line.split(" ")
    assert method == "CONNECT"
    _, _, port = target.rpartition(":")
    reader, writer = await asyncio.open_connection("127.0.0.1", int(port))

    async def there() -> None:
        while data := await line.reader.read(65_536):
            writer.write(data)
        writer.close()

    await line.say(b"HTTP/1.1 200 Connected\r\n\r\n")
    out = asyncio.get_running_loop().create_task(there())
    try:
        while data := await reader.read(65_536):
            await line.say(data)
    finally:
        out.cancel()
        writer.close()


async def test_requests_go_through_a_tunnel_that_sees_nothing_of_them(authority: Authority) -> None:
    async with Peer(obliging, authority.server_context("localhost")) as peer, Peer(tunnel) as proxy:
        async with Coder(peer.url, authority.trust(), timeout_s=5, connections=2, proxy=proxy.url) as coder:
            assert await coder.register_source(TOKEN) == await coder.register_source(TOKEN) == Answer(200, {}, b"{}")
        assert [request.headers.get("coder-session-token") for request in peer.requests] == [TOKEN, TOKEN]
        assert peer.connections == 1
        (connect,) = proxy.requests
        assert TOKEN not in repr(vars(connect))


async def test_what_may_keep_a_request_is_asked_behind_the_tunnel(authority: Authority) -> None:
    class Kept(Exception):
        """Somebody wants the request not to be made."""

    async with Peer(obliging, authority.server_context("localhost")) as peer, Peer(tunnel) as proxy:

        async def keep() -> None:
            while peer.connections == 0:  # noqa: ASYNC110 - after its handshake
                await asyncio.sleep(0.001)
            raise Kept

        wire = HttpxWire(peer.url, authority.trust(), timeout_s=5, connections=1, proxy=proxy.url)
        try:
            with pytest.raises(Kept):
                await wire.ask("PATCH", "/logs", TOKEN, b"[]", keep)
            assert isinstance(await wire.ask("PATCH", "/logs", TOKEN, b"[]"), Answer)
            assert len(peer.requests) == 1
        finally:
            await wire.aclose()


async def test_a_proxy_that_opens_no_tunnel_has_sent_nothing() -> None:
    async def script(line: Line) -> None:
        await line.request()
        await line.say(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")

    trust = ssl.create_default_context()
    async with Peer(script) as proxy:
        async with Coder("https://localhost:1", trust, timeout_s=5, connections=1, proxy=proxy.url) as coder:
            reply = await coder.register_source(TOKEN)
        assert isinstance(reply, NoAnswer)
        assert reply.sent is Sent.NO
        assert TOKEN not in reply.why


async def test_a_token_that_would_make_a_header_of_its_own_is_not_sent() -> None:
    async with Peer(obliging) as peer:
        for proxy in (None, peer.url):
            async with Coder(peer.url, ssl.create_default_context(), timeout_s=5, connections=1, proxy=proxy) as coder:
                for token in (f"{TOKEN}\r\nX-Other: 1", f"{TOKEN}\n", f"{TOKEN}\0", "tökén"):
                    assert await coder.register_source(token) == NoAnswer(Sent.NO, "the token cannot stand in a header")
        assert peer.connections == 0
