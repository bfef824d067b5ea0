"""What every wire promises, with real sockets: an answer, or whether the request can have left."""

import asyncio
import socket

import pytest

from shipper.outcome import Answer, Sent
from shipper.wire import BODY_MAX_BYTES
from tests.integration.shipper.wire.asked import TOKEN, answer, no_answer
from tests.integration.shipper.wire.conftest import MakePeer, MakeWire
from tests.integration.shipper.wire.peer import OK, Line, obliging, saying


class Kept(Exception):
    """Somebody wants a request not to be made."""


def unused_url() -> str:
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{unheard.getsockname()[1]}"


async def test_a_request_arrives_as_it_was_meant(make_wire: MakeWire, make_peer: MakePeer) -> None:
    peer = await make_peer(obliging)
    await make_wire(f"{peer.url}/coder/").ask("PATCH", "/api/logs", TOKEN, b"\x00\xff body")
    (request,) = peer.requests
    assert request.line == "PATCH /coder/api/logs HTTP/1.1"
    assert request.body == b"\x00\xff body"
    assert request.headers == {
        "host": peer.url.removeprefix("http://"),
        "user-agent": "coder-logstream",
        "accept": "application/json",
        "accept-encoding": "identity",
        "content-type": "application/json",
        "content-length": "7",
        "coder-session-token": TOKEN,
    }


async def test_what_keeps_a_request_is_raised_and_nothing_of_it_has_left(
    make_wire: MakeWire, make_peer: MakePeer
) -> None:
    async def keep() -> None:
        raise Kept

    peer = await make_peer(obliging)
    wire = make_wire(peer.url)
    with pytest.raises(Kept):
        await wire.ask("PATCH", "/logs", TOKEN, b"[]", keep)
    assert isinstance(await answer(wire, b"[]"), Answer)
    with pytest.raises(Kept):
        await wire.ask("PATCH", "/logs", TOKEN, b"[]", keep)
    await answer(wire, b"[]")
    assert len(peer.requests) == 2


async def test_what_may_keep_a_request_is_asked_once_it_is_connected(make_wire: MakeWire, make_peer: MakePeer) -> None:
    """Connecting may take long, and what was true before may not be so after."""
    peer = await make_peer(obliging)
    asked = 0

    async def connected() -> None:
        nonlocal asked
        asked += 1
        while peer.connections == 0:  # noqa: ASYNC110 - the peer hears of a connection after the one who makes it
            await asyncio.sleep(0.001)

    wire = make_wire(peer.url)
    for _ in range(2):
        assert isinstance(await wire.ask("PATCH", "/logs", TOKEN, b"[]", connected), Answer)
    assert (asked, peer.connections) == (2, 1)


async def test_a_request_without_token_and_body_is_answered(make_wire: MakeWire, make_peer: MakePeer) -> None:
    peer = await make_peer(obliging)
    reply = await make_wire(peer.url).ask("GET", "/buildinfo", "", b"")
    assert reply == Answer(200, {}, b"{}")
    (request,) = peer.requests
    assert request.line == "GET /buildinfo HTTP/1.1"
    assert "coder-session-token" not in request.headers


async def test_an_answer_comes_with_the_headers_that_are_read(make_wire: MakeWire, make_peer: MakePeer) -> None:
    rows = b"X-RateLimit-Remaining: 7\r\nRetry-After: 60\r\nX-Other: no\r\nContent-Length: 4\r\n\r\n"
    peer = await make_peer(saying(b"HTTP/1.1 429 Too Many Requests\r\n" + rows + b"null"))
    assert await answer(make_wire(peer.url)) == Answer(
        429, {"x-ratelimit-remaining": "7", "retry-after": "60"}, b"null"
    )


async def test_a_redirect_is_an_answer(make_wire: MakeWire, make_peer: MakePeer) -> None:
    peer = await make_peer(saying(b"HTTP/1.1 308 Moved\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n"))
    assert await answer(make_wire(peer.url)) == Answer(308, {"location": "/elsewhere"}, b"")
    assert len(peer.requests) == 1


async def test_a_cookie_is_not_sent_back(make_wire: MakeWire, make_peer: MakePeer) -> None:
    async def script(line: Line) -> None:
        while True:
            await line.request()
            await line.say(b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b; Path=/\r\nContent-Length: 0\r\n\r\n")

    peer = await make_peer(script)
    wire = make_wire(peer.url)
    await answer(wire)
    await answer(wire)
    assert [request.headers.get("cookie") for request in peer.requests] == [None, None]


# -- connections


async def test_a_connection_is_used_again(make_wire: MakeWire, make_peer: MakePeer) -> None:
    peer = await make_peer(obliging)
    wire = make_wire(peer.url)
    for _ in range(3):
        await answer(wire)
    assert (peer.connections, len(peer.requests)) == (1, 3)


async def test_no_more_connections_are_open_than_allowed(make_wire: MakeWire, make_peer: MakePeer) -> None:
    both = asyncio.Barrier(2)

    async def script(line: Line) -> None:
        while True:
            await line.request()
            await both.wait()
            await line.say(OK)

    peer = await make_peer(script)
    wire = make_wire(peer.url, connections=2)
    await asyncio.gather(*(answer(wire) for _ in range(6)))
    assert (peer.most_open, peer.connections, len(peer.requests)) == (2, 2, 6)


async def test_a_connection_that_is_to_be_closed_is_not_used_again(make_wire: MakeWire, make_peer: MakePeer) -> None:
    async def script(line: Line) -> None:
        await line.request()
        await line.say(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}")
        await line.end()

    peer = await make_peer(script)
    wire = make_wire(peer.url)
    assert [(await answer(wire)).body, (await answer(wire)).body] == [b"{}", b"{}"]
    assert peer.connections == 2


async def test_an_idle_connection_that_the_peer_closed_is_not_used_again(
    make_wire: MakeWire, make_peer: MakePeer
) -> None:
    seen = asyncio.Event()

    async def script(line: Line) -> None:
        await line.request()
        await line.say(OK)
        line.half_close()
        await line.end()
        seen.set()

    peer = await make_peer(script)
    wire = make_wire(peer.url)
    await answer(wire)
    async with asyncio.timeout(5):
        await seen.wait()
    await answer(wire)
    assert peer.connections == 2


async def test_an_answer_that_nobody_asked_for_is_nobodys(make_wire: MakeWire, make_peer: MakePeer) -> None:
    async def script(line: Line) -> None:
        await line.request()
        await line.say(OK + b"HTTP/1.1 500 Unasked\r\nContent-Length: 0\r\n\r\n")
        await line.request()
        await line.say(OK)

    peer = await make_peer(script)
    wire = make_wire(peer.url)
    assert [(await answer(wire)).status, (await answer(wire)).status] == [200, 200]


async def test_a_cancelled_request_closes_its_connection(make_wire: MakeWire, make_peer: MakePeer) -> None:
    asked, seen = asyncio.Event(), asyncio.Event()

    async def script(line: Line) -> None:
        await line.request()
        if line.number == 1:
            asked.set()
            await line.end()
            seen.set()
        await line.say(OK)

    peer = await make_peer(script)
    wire = make_wire(peer.url, connections=1)
    request = asyncio.get_running_loop().create_task(answer(wire))
    async with asyncio.timeout(5):
        await asked.wait()
        request.cancel()
        with pytest.raises(asyncio.CancelledError):
            await request
        await seen.wait()
    assert await answer(wire) == Answer(200, {}, b"{}")


# -- answers of every form


@pytest.mark.parametrize(
    "pieces",
    [
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"4\r\nnul", b"l\r\n1;x=y\r\n \r\n0\r\n\r\n"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nnull \r\n0\r\nRetry-After: 9\r\n\r\n",),
        (b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nnull "),
        (b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nnull ",),
        (b"HTTP/1.1 200 OK\r\n\r\nnul", b"l "),
        (b"HTTP/1.0 200 OK\r\n\r\nnull ",),
        tuple(b"%c" % byte for byte in b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nnull "),
    ],
    ids=["chunked", "trailer", "100", "103", "until it closes", "HTTP/1.0", "byte by byte"],
)
async def test_every_form_of_answer_is_read(
    make_wire: MakeWire, make_peer: MakePeer, pieces: tuple[bytes, ...]
) -> None:
    peer = await make_peer(saying(*pieces))
    assert await answer(make_wire(peer.url)) == Answer(200, {}, b"null ")


async def test_an_answer_without_a_body_ends_with_its_headers(make_wire: MakeWire, make_peer: MakePeer) -> None:
    async def script(line: Line) -> None:
        while True:
            await line.request()
            await line.say(b"HTTP/1.1 204 No Content\r\n\r\n")

    peer = await make_peer(script)
    wire = make_wire(peer.url)
    assert await answer(wire) == await answer(wire) == Answer(204, {}, b"")
    assert peer.connections == 1


@pytest.mark.parametrize("framing", [b"Content-Length: 1000000000", b"Transfer-Encoding: chunked", b"X-None: 1"])
async def test_of_a_huge_body_a_little_is_kept_and_the_rest_is_not_waited_for(
    make_wire: MakeWire, make_peer: MakePeer, framing: bytes
) -> None:
    async def script(line: Line) -> None:
        await line.request()
        if line.number == 2:
            await line.say(OK)
            return
        await line.say(b"HTTP/1.1 200 OK\r\n" + framing + b"\r\n\r\n")
        while True:  # until the client closes
            await line.say((b"1000\r\n" if b"chunked" in framing else b"") + b"x" * 4096)
            await line.say(b"\r\n" if b"chunked" in framing else b"")

    peer = await make_peer(script)
    wire = make_wire(peer.url, connections=1)
    assert await answer(wire) == Answer(200, {}, b"x" * BODY_MAX_BYTES)
    assert await answer(wire) == Answer(200, {}, b"{}")


async def test_a_refusal_in_mid_request_is_heard(make_wire: MakeWire, make_peer: MakePeer) -> None:
    async def script(line: Line) -> None:
        await line.reader.readuntil(b"\r\n\r\n")
        await line.say(b"HTTP/1.1 413 Too Large\r\nContent-Length: 4\r\n\r\nnull" if line.number == 1 else OK)
        await line.end()

    peer = await make_peer(script)
    wire = make_wire(peer.url, connections=1)
    assert await answer(wire, b"x" * 2**24) == Answer(413, {}, b"null")
    assert await answer(wire, b"[]") == Answer(200, {}, b"{}")
    assert peer.connections == 2


# -- no answer


async def test_a_refused_connection_has_sent_nothing(make_wire: MakeWire) -> None:
    await no_answer(make_wire(unused_url()), Sent.NO)


@pytest.mark.parametrize(
    "pieces",
    [
        (),
        (b"HTTP/1.1 200 O",),
        (b"HTTP/1.1 200 OK\r\nContent-Le",),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{}",),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n",),
        (b"HTTP/1.1 100 Continue\r\n\r\n",),
        (b"SSH-2.0-OpenSSH_9.6\r\n",),
        (b"HTTP/1.1 2xx OK\r\n\r\n",),
        (b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n",),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",),
    ],
    ids=[
        "nothing", "half a status", "half a header", "half a body", "half the chunks", "only 100", "no HTTP",
        "no status", "no length", "no chunk size",
    ],
)  # fmt: skip
async def test_half_an_answer_leaves_the_request_in_doubt(
    make_wire: MakeWire, make_peer: MakePeer, pieces: tuple[bytes, ...]
) -> None:
    peer = await make_peer(saying(*pieces))
    wire = make_wire(peer.url)
    await no_answer(wire, Sent.MAYBE)
    assert len(peer.requests) == 1  # it is not sent again


@pytest.mark.parametrize("heard", [True, False])
async def test_a_reset_leaves_the_request_in_doubt(make_wire: MakeWire, make_peer: MakePeer, heard: bool) -> None:
    async def script(line: Line) -> None:
        if heard:
            await line.request()
        else:
            await line.reader.read(1)
        line.reset()

    peer = await make_peer(script)
    await no_answer(make_wire(peer.url), Sent.MAYBE)


async def test_no_answer_in_time_closes_the_connection(make_wire: MakeWire, make_peer: MakePeer) -> None:
    seen = asyncio.Event()

    async def script(line: Line) -> None:
        await line.request()
        await line.say(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnul")
        await line.end()
        seen.set()

    peer = await make_peer(script)
    reply = await no_answer(make_wire(peer.url, timeout_s=0.2), Sent.MAYBE)
    assert "0.2 s" in reply.why
    async with asyncio.timeout(5):
        await seen.wait()


async def test_headers_without_end_are_not_kept(make_wire: MakeWire, make_peer: MakePeer) -> None:
    async def script(line: Line) -> None:
        await line.request()
        await line.say(b"HTTP/1.1 200 OK\r\nRetry-After: ")
        while True:  # until the client closes
            await line.say(b"x" * 4096)

    peer = await make_peer(script)
    reply = await no_answer(make_wire(peer.url), Sent.MAYBE)
    assert "within" not in reply.why  # before the time is over
