"""What every wire promises of TLS: whom it believes, and what it knows when that ends."""

import asyncio

import pytest

from shipper.outcome import Answer, Sent
from tests.certificates import Authority
from tests.integration.shipper.wire.asked import answer, no_answer
from tests.integration.shipper.wire.conftest import MakePeer, MakeWire
from tests.integration.shipper.wire.peer import OK, Line, Script, obliging, saying


async def test_a_certificate_of_a_trusted_authority_is_accepted(
    make_wire: MakeWire, make_peer: MakePeer, authority: Authority
) -> None:
    peer = await make_peer(obliging, authority.server_context("localhost"))
    wire = make_wire(peer.url, authority.trust())
    assert await answer(wire) == await answer(wire) == Answer(200, {}, b"{}")
    assert peer.connections == 1
    assert peer.requests[0].headers["host"] == peer.url.removeprefix("https://")


async def test_an_address_can_be_certified_too(make_wire: MakeWire, make_peer: MakePeer, authority: Authority) -> None:
    peer = await make_peer(obliging, authority.server_context("127.0.0.1"))
    wire = make_wire(peer.url.replace("localhost", "127.0.0.1"), authority.trust())
    assert await answer(wire) == Answer(200, {}, b"{}")


async def test_an_idle_secure_connection_that_the_peer_closed_is_not_used_again(
    make_wire: MakeWire, make_peer: MakePeer, authority: Authority
) -> None:
    seen = asyncio.Event()

    async def script(line: Line) -> None:
        await line.request()
        await line.say(OK)
        await line.hang_up()
        seen.set()

    peer = await make_peer(script, authority.server_context("localhost"))
    wire = make_wire(peer.url, authority.trust())
    for number in (1, 2):
        await answer(wire)
        async with asyncio.timeout(5):
            await seen.wait()
        assert peer.connections == number
        seen.clear()


@pytest.mark.parametrize("script", [saying(), saying(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{}")])
async def test_a_secure_connection_that_ends_too_soon_leaves_the_request_in_doubt(
    make_wire: MakeWire, make_peer: MakePeer, authority: Authority, script: Script
) -> None:
    peer = await make_peer(script, authority.server_context("localhost"))
    await no_answer(make_wire(peer.url, authority.trust()), Sent.MAYBE)


@pytest.mark.parametrize("host", ["coder.example.com", "127.0.0.1"])
async def test_a_certificate_of_another_host_gets_nothing(
    make_wire: MakeWire, make_peer: MakePeer, authority: Authority, host: str
) -> None:
    peer = await make_peer(obliging, authority.server_context(host))
    reply = await no_answer(make_wire(peer.url, authority.trust()), Sent.NO)
    assert reply.why.startswith("TLS: ")
    assert peer.requests == []


async def test_a_certificate_of_an_unknown_authority_gets_nothing(
    make_wire: MakeWire, make_peer: MakePeer, authority: Authority
) -> None:
    peer = await make_peer(obliging, authority.server_context("localhost"))
    reply = await no_answer(make_wire(peer.url), Sent.NO)
    assert reply.why.startswith("TLS: ")
    assert peer.requests == []


async def test_a_server_without_tls_gets_nothing(make_wire: MakeWire, make_peer: MakePeer) -> None:
    async def script(line: Line) -> None:
        await line.reader.read(1)
        await line.say(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    peer = await make_peer(script)
    reply = await no_answer(make_wire(peer.url.replace("http:", "https:")), Sent.NO)
    assert reply.why.startswith("TLS: ")
