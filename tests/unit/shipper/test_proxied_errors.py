"""Every way in which a request through httpx can fail to be answered, and whether it may have been obeyed."""

import ssl
from collections.abc import Iterator

import aiohttp
import httpx
import pytest
from aiohttp.client_reqrep import ConnectionKey

from shipper.outcome import NoAnswer, Sent
from shipper.proxied import HttpxWire

SENT = {
    httpx.ConnectError: Sent.NO,
    httpx.ConnectTimeout: Sent.NO,
    httpx.PoolTimeout: Sent.NO,
    httpx.UnsupportedProtocol: Sent.NO,
    httpx.TransportError: Sent.MAYBE,
    httpx.TimeoutException: Sent.MAYBE,
    httpx.ReadTimeout: Sent.MAYBE,
    httpx.WriteTimeout: Sent.MAYBE,
    httpx.NetworkError: Sent.MAYBE,
    httpx.ReadError: Sent.MAYBE,
    httpx.WriteError: Sent.MAYBE,
    httpx.CloseError: Sent.MAYBE,
    httpx.ProtocolError: Sent.MAYBE,
    httpx.LocalProtocolError: Sent.MAYBE,
    httpx.RemoteProtocolError: Sent.MAYBE,
    httpx.ProxyError: Sent.MAYBE,
}


def all_kinds(kind: type[httpx.TransportError]) -> Iterator[type[httpx.TransportError]]:
    yield kind
    for below in kind.__subclasses__():
        yield from all_kinds(below)


class Failing(httpx.AsyncBaseTransport):
    def __init__(self, error: Exception) -> None:
        self._error = error

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        raise self._error


async def reply_when(error: Exception) -> NoAnswer:
    wire = HttpxWire("http://coder", ssl.create_default_context(), timeout_s=5, connections=1, proxy=None)
    wire._transport = Failing(error)  # type: ignore[assignment]  # noqa: SLF001 - the seam below httpx
    reply = await wire.ask("POST", "/", "5e1f2c52-0000-4000-8000-000000000000", b"{}")
    assert isinstance(reply, NoAnswer)
    return reply


@pytest.mark.parametrize("kind", list(all_kinds(httpx.TransportError)))
async def test_every_transport_error_is_known_as_not_sent_or_in_doubt(kind: type[httpx.TransportError]) -> None:
    assert (await reply_when(kind("x"))).sent is SENT[kind]


def caused(kind: type[httpx.TransportError], cause: Exception) -> httpx.TransportError:
    error = kind(str(cause))
    error.__cause__ = cause
    return error


KEY = ConnectionKey("coder", 443, True, True, None, None, None)


@pytest.mark.parametrize(
    ("cause", "sent"),
    [
        (aiohttp.ServerDisconnectedError(), Sent.MAYBE),
        (aiohttp.ClientOSError(104, "reset"), Sent.MAYBE),
        (aiohttp.ClientConnectionResetError(), Sent.MAYBE),
        (aiohttp.SocketTimeoutError(), Sent.MAYBE),
        (aiohttp.ClientConnectorError(KEY, OSError(111, "refused")), Sent.NO),
        (aiohttp.ClientConnectorDNSError(KEY, OSError(-2, "unknown")), Sent.NO),
        (aiohttp.ClientProxyConnectionError(KEY, OSError(111, "refused")), Sent.NO),
        (aiohttp.ClientConnectorCertificateError(KEY, Exception("self-signed")), Sent.NO),
        (aiohttp.ConnectionTimeoutError(), Sent.NO),
    ],
)
async def test_what_the_transport_calls_a_connect_timeout_is_judged_by_its_cause(cause: Exception, sent: Sent) -> None:
    assert (await reply_when(caused(httpx.ConnectTimeout, cause))).sent is sent


async def test_an_error_that_httpx_does_not_know_is_in_doubt() -> None:
    assert (await reply_when(aiohttp.ClientPayloadError("cut"))).sent is Sent.MAYBE


async def test_the_reason_of_a_tls_failure_says_so_and_is_short() -> None:
    cause = aiohttp.ClientConnectorCertificateError(KEY, Exception("certificate verify failed " + "x" * 999))
    why = (await reply_when(caused(httpx.ConnectTimeout, cause))).why
    assert why.startswith("TLS: ")
    assert len(why) <= 200
