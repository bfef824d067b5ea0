"""What our own wire promises beyond the contract."""

import asyncio
import socket
import ssl
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

import shipper.http1
from shipper.http1 import Http1Wire
from shipper.outcome import Answer, NoAnswer, Sent
from tests.integration.shipper.rig import until
from tests.integration.shipper.wire.peer import OK, Line, Peer, obliging

FINE = Answer(200, {}, b"{}")


@asynccontextmanager
async def wired(url: str, *, timeout_s: float = 5.0, connections: int = 4) -> AsyncIterator[Http1Wire]:
    wire = Http1Wire(url, ssl.create_default_context(), timeout_s=timeout_s, connections=connections)
    try:
        yield wire
    finally:
        await wire.aclose()


@pytest.mark.parametrize("unasked", [OK, b"rubbish", b"\r\n"])
async def test_what_nobody_asked_for_ends_an_idle_connection_at_once(unasked: bytes) -> None:
    answered, seen = asyncio.Event(), asyncio.Event()

    async def script(line: Line) -> None:
        await line.request()
        await line.say(OK)
        if line.number == 1:
            await answered.wait()
            await line.say(unasked)
            await line.end()
            seen.set()

    async with Peer(script) as peer, wired(peer.url) as wire, asyncio.timeout(5):
        assert await wire.ask("GET", "/", "", b"") == FINE
        answered.set()
        await seen.wait()
        assert await wire.ask("GET", "/", "", b"") == FINE
        assert peer.connections == 2


async def test_a_connection_with_half_of_another_answer_is_not_used_again() -> None:
    async def script(line: Line) -> None:
        await line.request()
        await line.say(OK + b"HTTP/1.1 500 Unasked\r\nContent-Le")
        await line.end()

    async with Peer(script) as peer, wired(peer.url) as wire:
        assert await wire.ask("GET", "/", "", b"") == await wire.ask("GET", "/", "", b"") == FINE
        assert peer.connections == 2


async def test_a_connection_that_is_lost_before_its_first_use_has_sent_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = asyncio.get_running_loop()
    create_connection = loop.create_connection

    async def create_late(*args: Any, **kwargs: Any) -> Any:
        transport, connection = await create_connection(*args, **kwargs)
        await until(lambda: bool(connection.lost))
        return transport, connection

    async def script(line: Line) -> None:
        await line.hang_up()

    async with Peer(script) as peer, wired(peer.url) as wire:
        monkeypatch.setattr(loop, "create_connection", create_late)
        reply = await wire.ask("GET", "/", "", b"")
        assert reply == NoAnswer(Sent.NO, "closed by the peer as soon as it was open")
        monkeypatch.undo()


async def test_whether_a_request_may_be_written_is_asked_when_the_connection_is_there() -> None:
    async with Peer(obliging) as peer, wired(peer.url) as wire:

        async def keep() -> None:
            await until(lambda: peer.connections == 1, 5.0)
            raise LookupError

        with pytest.raises(LookupError):
            await wire.ask("GET", "/", "", b"", keep)


async def test_a_kept_connection_outlasts_a_request_that_is_not_written() -> None:
    async def keep() -> None:
        raise LookupError

    async with Peer(obliging) as peer, wired(peer.url) as wire:
        assert await wire.ask("GET", "/", "", b"") == FINE
        with pytest.raises(LookupError):
            await wire.ask("GET", "/", "", b"", keep)
        assert await wire.ask("GET", "/", "", b"") == FINE
        assert (peer.connections, len(peer.requests)) == (1, 2)


async def test_a_close_that_the_event_loop_has_not_seen_yet_costs_no_request() -> None:
    closed = threading.Event()

    def serve(listener: socket.socket) -> None:
        for number in (1, 2):
            connection, _ = listener.accept()
            with connection:
                connection.recv(65_536)
                connection.sendall(OK)
            if number == 1:
                closed.set()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(5)
        server = threading.Thread(target=serve, args=(listener,))
        server.start()
        async with wired(f"http://127.0.0.1:{listener.getsockname()[1]}") as wire:
            assert await wire.ask("GET", "/", "", b"") == FINE
            assert closed.wait(5)  # without letting the event loop run
            assert await wire.ask("PATCH", "/", "", b"[]") == FINE
        server.join(5)
        assert not server.is_alive()


async def test_an_idle_connection_is_closed_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shipper.http1, "KEEP_ALIVE_S", 0.1)
    both, left_s = asyncio.Barrier(2), []

    async def script(line: Line) -> None:
        await line.request()
        await both.wait()
        await line.say(OK)
        began_s = time.monotonic()
        await line.end()
        left_s.append(time.monotonic() - began_s)
        over.release()

    over = asyncio.Semaphore(0)
    async with Peer(script) as peer, wired(peer.url) as wire, asyncio.timeout(5):
        await asyncio.gather(wire.ask("GET", "/", "", b""), wire.ask("GET", "/", "", b""))
        await over.acquire()
        await over.acquire()
    assert min(left_s) > 0.05


async def test_a_connection_past_its_time_is_not_used_even_if_the_event_loop_was_late(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shipper.http1, "KEEP_ALIVE_S", 0.05)
    async with Peer(obliging) as peer, wired(peer.url) as wire:
        assert await wire.ask("GET", "/", "", b"") == FINE
        time.sleep(0.06)  # noqa: ASYNC251 - the timer cannot run
        assert await wire.ask("GET", "/", "", b"") == FINE
        assert peer.connections == 2


async def test_a_handshake_that_never_ends_has_sent_nothing() -> None:
    seen = asyncio.Event()

    async def script(line: Line) -> None:
        await line.end()
        seen.set()

    async with Peer(script) as peer, wired(peer.url.replace("http:", "https:"), timeout_s=0.2) as wire:
        reply = await wire.ask("GET", "/", "", b"")
        async with asyncio.timeout(5):
            await seen.wait()
    assert isinstance(reply, NoAnswer)
    assert reply.sent is Sent.NO
    assert "no connection within 0.2 s" in reply.why


async def test_a_request_that_waits_too_long_for_a_connection_has_sent_nothing() -> None:
    async def script(line: Line) -> None:
        await line.request()
        await line.end()

    async with Peer(script) as peer, wired(peer.url, timeout_s=0.3, connections=1) as wire:
        replies = await asyncio.gather(*(wire.ask("GET", "/", "", b"") for _ in range(2)))
        assert [reply.sent for reply in replies if isinstance(reply, NoAnswer)] == [Sent.MAYBE, Sent.NO]
        assert len(peer.requests) == 1


@pytest.mark.parametrize(
    "piece",
    [
        b"HTTP/1.1 100 Continue\r\n\r\n" * 100,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: " + b"x" * 4096,
        b"X-More: " + b"x" * 4096 + b"\r\n",
    ],
    ids=["interim answers", "trailer", "headers"],
)
async def test_an_answer_without_end_is_ended(piece: bytes) -> None:
    async def script(line: Line) -> None:
        await line.request()
        await line.say(b"HTTP/1.1 200 OK\r\n" if piece.startswith(b"X") else piece)
        while True:  # until the client closes
            await line.say(piece if piece.startswith((b"X", b"HTTP/1.1 1")) else b"x" * 4096)

    async with Peer(script) as peer, wired(peer.url) as wire:
        reply = await wire.ask("GET", "/", "", b"")
    assert reply == NoAnswer(Sent.MAYBE, "the answer is too long")


async def test_a_status_that_is_none_is_no_answer_however_much_follows() -> None:
    async def script(line: Line) -> None:
        await line.request()
        await line.say(b"HTTP/1.1 000 \r\n\r\n" + b"x" * 100_000)

    async with Peer(script) as peer, wired(peer.url) as wire:
        reply = await wire.ask("GET", "/", "", b"")
    assert reply == NoAnswer(Sent.MAYBE, "the answer is not HTTP: its status is 0")


async def test_a_reset_is_not_the_end_of_an_answer_without_a_length() -> None:
    async def script(line: Line) -> None:
        await line.request()
        await line.say(b"HTTP/1.1 200 OK\r\n\r\nnull")
        for _ in range(8):
            await asyncio.sleep(0)  # the client reads it
        line.reset()

    async with Peer(script) as peer, wired(peer.url) as wire:
        reply = await wire.ask("GET", "/", "", b"")
    assert reply == NoAnswer(Sent.MAYBE, "the connection was lost in mid-answer")


async def test_another_protocol_is_no_answer() -> None:
    async def script(line: Line) -> None:
        await line.request()
        await line.say(b"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n\x00")
        await line.end()

    async with Peer(script) as peer, wired(peer.url) as wire:
        assert await wire.ask("GET", "/", "", b"") == NoAnswer(Sent.MAYBE, "the answer changes the protocol")


async def test_a_host_that_is_no_name_is_a_connection_that_failed() -> None:
    async with wired("http://a..b") as wire:
        reply = await wire.ask("GET", "/", "", b"")
    assert isinstance(reply, NoAnswer)
    assert reply.sent is Sent.NO
    assert reply.why.startswith("cannot connect to a..b:80: ")


async def test_an_ipv6_address_is_asked_and_named_in_brackets() -> None:
    try:
        peer = await Peer(obliging, address="::1").__aenter__()
    except OSError:
        pytest.skip("no IPv6 on this machine")
    async with wired(peer.url) as wire:
        assert await wire.ask("GET", "/", "", b"") == FINE
        assert peer.requests[0].headers["host"] == peer.url.removeprefix("http://")
    await peer.__aexit__()


@pytest.mark.parametrize("url", ["ftp://coder", "coder", "https://", "http://coder:99999"])
async def test_only_a_url_of_http_is_taken(url: str) -> None:
    with pytest.raises(ValueError, match=r"http|[Pp]ort"):
        Http1Wire(url, ssl.create_default_context(), timeout_s=1, connections=1)


async def test_whatever_becomes_of_requests_no_slot_is_lost() -> None:
    async def script(line: Line) -> None:
        while (await line.request()).body not in (b"close", b"hang"):
            await line.say(OK)
        if peer.requests[-1].body == b"hang":
            await line.end()

    async with Peer(script) as peer, wired(peer.url, timeout_s=0.3, connections=4) as wire, asyncio.timeout(20):
        for body in (b"close", b"hang", b"fine"):
            tasks = [asyncio.create_task(wire.ask("PATCH", "/", "", body)) for _ in range(8)]
            await asyncio.sleep(0)
            tasks[0].cancel()
            tasks[-1].cancel()  # one that has a slot, and one that waits for it
            replies = await asyncio.gather(*tasks, return_exceptions=True)
            assert [type(reply) for reply in (replies[0], replies[-1])] == [asyncio.CancelledError] * 2
            assert {type(reply) for reply in replies[1:-1]} == {Answer if body == b"fine" else NoAnswer}
        assert await asyncio.gather(*(wire.ask("PATCH", "/", "", b"fine") for _ in range(16))) == [FINE] * 16
