"""Serve /metrics, /livez and /readyz from a thread of its own, so that a busy event loop does not delay a probe.

The metrics address serves all three paths, the probe address the two probes only; either may be empty (off). Nobody
has chosen a probe address that is `AUTO`, so it is never a reason not to start.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final, Self

import structlog
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from common.settings.load import SettingsError
from common.settings.values import AUTO, UNIX, parse_address
from common.telemetry.redact import redact_text

__all__ = ["AddressUnavailable", "Check", "TelemetryServer"]

_CLIENT_TIMEOUT_S: Final = 10.0  # a client that sends nothing must not hold a thread for longer
_TEXT: Final = "text/plain; charset=utf-8"

_AUTO_ADDRESSES: Final = ("127.0.0.1:9101", "127.0.0.1:0")

log = structlog.get_logger()


@dataclass(frozen=True)
class Check:
    """Answer to a probe. `reason` is for the person who reads it: what is wrong, or a word on what is right."""

    ok: bool
    reason: str = "ok"


class AddressUnavailable(SettingsError):
    """The address of a listener cannot be used on this machine."""


@dataclass(frozen=True)
class _Answer:
    status: HTTPStatus
    content_type: str
    body: bytes


_Page = Callable[[str], _Answer]
"""Makes an answer; the argument is the request's Accept header."""


class TelemetryServer:
    """The listeners of one process. `live` and `ready` are called in the listeners' threads: they must not block.

    A check that raises counts as failed.
    """

    def __init__(
        self,
        metrics_addr: str,
        registry: CollectorRegistry,
        live: Callable[[], Check],
        ready: Callable[[], Check],
        probe_addr: str = "",
    ) -> None:
        probes: dict[str, _Page] = {"/livez": _probe(live), "/readyz": _probe(ready)}
        self._wanted: list[tuple[str, str, dict[str, _Page]]] = []
        if metrics_addr:
            self._wanted.append(("--metrics-addr", metrics_addr, {"/metrics": _metrics(registry), **probes}))
        self._unasked = {} if metrics_addr or probe_addr != AUTO else probes
        if probe_addr not in ("", AUTO, metrics_addr):
            self._wanted.append(("--probe-addr", probe_addr, probes))
        self._servers: list[ThreadingHTTPServer] = []

    def start(self) -> Self:
        """Bind and serve. Raises AddressUnavailable; nothing is left bound then."""
        try:
            for flag, address, pages in self._wanted:
                self._servers.append(_listen(flag, address, pages))
        except AddressUnavailable:
            for server in self._servers:
                server.server_close()
            raise
        if self._unasked:
            self._servers += _listen_somewhere(self._unasked)
        for server in self._servers:
            threading.Thread(target=server.serve_forever, args=(0.1,), name="telemetry", daemon=True).start()
        return self

    def stop(self) -> None:
        """Close the listeners."""
        for server in self._servers:
            server.shutdown()
            server.server_close()
            if server.socket.family == socket.AF_UNIX:
                Path(str(server.server_address)).unlink(missing_ok=True)
        self._servers.clear()

    @property
    def ports(self) -> list[int]:
        """The ports that are bound, that of the metrics first."""
        return [int(server.server_address[1]) for server in self._servers if server.socket.family != socket.AF_UNIX]

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()


def _probe(check: Callable[[], Check]) -> _Page:
    def page(_accept: str) -> _Answer:
        try:
            answer = check()
        except Exception:  # whatever is wrong with the check, the probe must say so, not hang up
            log.exception("a probe's check failed")
            answer = Check(ok=False, reason="the check itself failed, see the log")
        status = HTTPStatus.OK if answer.ok else HTTPStatus.SERVICE_UNAVAILABLE
        return _Answer(status, _TEXT, redact_text(answer.reason).encode() + b"\n")

    return page


def _metrics(registry: CollectorRegistry) -> _Page:
    def page(accept: str) -> _Answer:
        encode, content_type = choose_encoder(accept)
        return _Answer(HTTPStatus.OK, content_type, encode(registry))

    return page


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 - the base class calls it so
        """A client that hung up is none; what is wrong with us goes into the log, not to stderr as it is."""
        error = sys.exception()
        if isinstance(error, OSError):
            log.debug("a telemetry client is gone", error=str(error))
        else:
            log.error("a telemetry request failed", exc_info=error)


def _listen(flag: str, address: str, pages: dict[str, _Page]) -> ThreadingHTTPServer:
    server = _Server(("", 0), _handler(pages), bind_and_activate=False)
    server.socket.close()
    try:
        server.socket = _bind_unix(address.removeprefix(UNIX)) if address.startswith(UNIX) else _bind(address)
    except OSError as error:
        # gaierror's number is no errno; create_server adds words of its own to strerror.
        why = error.strerror if isinstance(error, socket.gaierror) else os.strerror(error.errno or 0)
        raise AddressUnavailable(f'{flag}: "{address}" cannot be used: {why}; example: {flag} :9100') from error
    server.server_address = server.socket.getsockname()
    return server


def _listen_somewhere(pages: dict[str, _Page]) -> list[ThreadingHTTPServer]:
    """A listener that only this machine reaches, if any port can be had."""
    for address in _AUTO_ADDRESSES:
        with contextlib.suppress(AddressUnavailable):
            server = _listen("--probe-addr", address, pages)
            log.info("probes are served", address="{}:{}".format(*server.server_address))
            return [server]
    log.warning("probes are not served: no port on 127.0.0.1 can be had")
    return []


def _bind(address: str) -> socket.socket:
    host, port = parse_address(address)
    if not host and socket.has_dualstack_ipv6():
        return socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True)
    family = socket.getaddrinfo(host or "0.0.0.0", port, type=socket.SOCK_STREAM)[0][0]  # noqa: S104 - ":port" asks for it
    return socket.create_server((host, port), family=family)


def _bind_unix(path: str) -> socket.socket:
    """Listens on `path`, in place of a socket there that nobody listens on any more."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if Path(path).is_socket():
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as caller:
                if caller.connect_ex(path) == errno.ECONNREFUSED:
                    Path(path).unlink()
        listener.bind(path)
        listener.listen()
    except OSError:
        listener.close()
        raise
    return listener


def _handler(pages: dict[str, _Page]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = _CLIENT_TIMEOUT_S
        server_version = "coder-logstream"
        sys_version = ""

        def do_GET(self) -> None:
            page = pages.get(self.path.partition("?")[0])
            answer = page(self.headers.get("Accept", "")) if page else _not_found(pages)
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.content_type)
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(answer.body)

        do_HEAD = do_GET  # noqa: N815 - the base class names it so

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it so
            log.debug("telemetry request", line=format % args)

    return Handler


def _not_found(pages: dict[str, _Page]) -> _Answer:
    return _Answer(HTTPStatus.NOT_FOUND, _TEXT, f"here are: {' '.join(pages)}\n".encode())
