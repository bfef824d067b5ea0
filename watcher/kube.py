"""The only door to the Kubernetes API: authenticated requests in, raw bytes or `KubeError` out.

The `kubernetes` package's `aio` client supplies what is hard to get right: kubeconfig, exec plug-ins, client
certificates, the service account and its rotating token, TLS and proxies. Its models and its watch are not used:
bodies are handed on as bytes and decoded by msgspec elsewhere, and a watch's lines may have any length.

Credentials are read anew when the server answers 401 or its certificate does not verify (rotation of tokens,
client certificates and CAs), at most once in `RELOAD_EVERY_S`; requests under way keep their old connection.
"""

from __future__ import annotations

import asyncio
import os
import re
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, TypeAlias
from urllib.parse import quote, urlencode

import aiohttp
from aiohttp.connector import AddrInfoType

from common.clock import Clock
from common.service_account import SERVICE_ACCOUNT_DIR
from watcher.kube_errors import (
    Forbidden,
    Gone,
    Invalid,
    KubeError,
    NoCluster,
    NotFound,
    ServerFault,
    Throttled,
    Unauthorized,
    Unreachable,
)
from watcher.lean import import_unexecuted
from watcher.lines import LineSplitter, Oversized
from watcher.objects import decode_failure, is_expired

for _package in ("kubernetes", "kubernetes.aio"):
    import_unexecuted(_package)
from kubernetes.aio.client.configuration import Configuration  # noqa: E402
from kubernetes.aio.client.rest import RESTClientObject  # noqa: E402
from kubernetes.aio.config import ConfigException, kube_config, load_kube_config  # noqa: E402
from kubernetes.aio.config.incluster_config import InClusterConfigLoader  # noqa: E402

__all__ = ["KubeClient", "translate"]

_GOOD: Final = (200, 201, 204)
"""201 is what was posted, 204 the log of a pod without a node."""
_Posted: TypeAlias = Mapping[str, object] | None
"""What is put to the server; None asks for what is there."""
RELOAD_EVERY_S: Final = 10.0
MESSAGE_MAX_CHARS: Final = 500
ERROR_BODY_MAX_BYTES: Final = 64 * 1024
_HEADERS: Final = {"Accept": "application/json", "Accept-Encoding": "identity"}
"""Unpacking costs this process more than a loopback or cluster network does."""


class _Connection:
    """One set of credentials and the session that uses it; closed when it was replaced and its last request ended."""

    def __init__(self, configuration: Configuration) -> None:
        # Go's TLS does not know OpenSSL's strict mode (default from Python 3.13), which refuses many cluster CAs.
        configuration.disable_strict_ssl_verification = True
        configuration.connection_pool_maxsize = 0  # no limit: every watch holds one connection
        configuration.client_session_kwargs = {}
        self.configuration = configuration
        self.rest = _Rest(configuration)
        self.users = 0
        self.replaced = False

    async def close_if_unused(self) -> None:
        if self.replaced and self.users == 0:
            await self.rest.close()


class _Rest(RESTClientObject):
    """The package's session, its sockets probed by TCP so that a dead peer is noticed in a minute, not in hours."""

    def _create_connector(self) -> aiohttp.TCPConnector:
        return aiohttp.TCPConnector(limit=self.maxsize, ssl=self.ssl_context, socket_factory=_probed_socket)


def _probed_socket(address: AddrInfoType) -> socket.socket:
    family, kind, protocol, _, _ = address
    made = socket.socket(family, kind, protocol)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3)):
        if hasattr(socket, option):  # absent on some systems
            made.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
    return made


class KubeClient:
    """Requests to one API server. `kubeconfig` "" = KUBECONFIG, the pod's service account, else ~/.kube/config."""

    def __init__(
        self, kubeconfig: str, *, clock: Clock, request_timeout_s: float, service_account: Path = SERVICE_ACCOUNT_DIR
    ) -> None:
        self._kubeconfig = kubeconfig
        self._service_account = service_account
        self._clock = clock
        self._request_timeout_s = request_timeout_s
        self._connection: _Connection | None = None
        self._loaded_at_s = 0.0
        self._reloading = asyncio.Lock()

    @property
    def host(self) -> str:
        """The API server's address, "" before `open`."""
        return str(self._connection.configuration.host) if self._connection else ""

    async def open(self) -> None:
        """Read the configuration. Raises `NoCluster`."""
        self._connection = _Connection(await _load(self._kubeconfig, self._service_account))
        self._loaded_at_s = self._clock.monotonic_s()

    async def close(self) -> None:
        if self._connection is not None:
            self._connection.replaced, self._connection.users = True, 0
            await self._connection.close_if_unused()

    async def get(self, path: str, query: Mapping[str, str] | None = None) -> bytes:
        """The body of one whole answer. Raises `KubeError`."""
        limits = aiohttp.ClientTimeout(total=self._request_timeout_s)
        async with self._respond(path, query or {}, limits) as response:
            return await response.read()

    async def post(self, path: str, value: Mapping[str, object]) -> bytes:
        """The body of the answer to a question that is itself an object. Raises `KubeError`."""
        limits = aiohttp.ClientTimeout(total=self._request_timeout_s)
        async with self._respond(path, {}, limits, value) as response:
            return await response.read()

    async def get_beginning(self, path: str, query: Mapping[str, str], max_bytes: int) -> bytes:
        """The body of an answer that need not be JSON, or its first `max_bytes`. Raises `KubeError`."""
        limits = aiohttp.ClientTimeout(total=self._request_timeout_s)
        read = bytearray()
        async with self._respond(path, query, limits) as response:
            while len(read) < max_bytes and (chunk := await response.content.read(max_bytes - len(read))):
                read += chunk
        return bytes(read)

    async def watch(
        self, path: str, query: Mapping[str, str], *, inactivity_s: float
    ) -> AsyncGenerator[list[bytes | Oversized], None]:
        """The lines of a watch, as many at a time as one read brings; ends when the server closes. Raises `KubeError`.

        `inactivity_s` bounds the silence between two reads: past it the connection counts as lost.
        """
        limits = aiohttp.ClientTimeout(sock_connect=self._request_timeout_s, sock_read=inactivity_s)
        splitter = LineSplitter()
        async with self._respond(path, {**query, "watch": "true"}, limits) as response:
            yield []  # accepted: the server has our position
            async for chunk in response.content.iter_any():
                if lines := splitter.feed(chunk):
                    yield lines

    @asynccontextmanager
    async def _respond(
        self, path: str, query: Mapping[str, str], limits: aiohttp.ClientTimeout, posted: _Posted = None
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        try:
            connection, response = await self._send(path, query, limits, posted)
        except (Unauthorized, _Untrusted):
            if not await self._reload():
                raise
            connection, response = await self._send(path, query, limits, posted)
        try:
            yield response
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise translate(error) from error
        finally:
            if response.content.at_eof():
                response.release()
            else:
                response.close()
            await self._release(connection)

    async def _send(
        self, path: str, query: Mapping[str, str], limits: aiohttp.ClientTimeout, posted: _Posted
    ) -> tuple[_Connection, aiohttp.ClientResponse]:
        if self._connection is None:
            raise NoCluster("the client was not opened")
        connection = self._connection
        connection.users += 1
        try:
            response = await _request(connection, path, query, limits, posted)
        except BaseException:
            await self._release(connection)
            raise
        return connection, response

    async def _release(self, connection: _Connection) -> None:
        connection.users -= 1
        await connection.close_if_unused()

    async def _reload(self) -> bool:
        """Read the credentials anew; False if that was tried only just now."""
        seen = self._connection
        async with self._reloading:
            if self._connection is not seen:
                return True  # someone else did it meanwhile
            if self._clock.monotonic_s() - self._loaded_at_s < RELOAD_EVERY_S:
                return False
            self._loaded_at_s = self._clock.monotonic_s()
            fresh = _Connection(await _load(self._kubeconfig, self._service_account))
            old, self._connection = self._connection, fresh
            if old is not None:
                old.replaced = True
                await old.close_if_unused()
            return True


class _Untrusted(Unreachable):
    """The server's certificate does not verify: perhaps the CA was rotated."""


async def _request(
    connection: _Connection, path: str, query: Mapping[str, str], limits: aiohttp.ClientTimeout, posted: _Posted
) -> aiohttp.ClientResponse:
    """A good answer with its body unread. Raises `KubeError`."""
    try:
        headers = dict(_HEADERS)
        if "BearerToken" in connection.configuration.api_key:  # asking runs the hook that renews it
            token = await connection.configuration.get_api_key_with_prefix("BearerToken")
            headers["Authorization"] = token or ""
        url = connection.configuration.host.rstrip("/") + quote(path)
        if query:
            url += "?" + urlencode(query)
        answer = await connection.rest.request(  # type: ignore[no-untyped-call]
            "GET" if posted is None else "POST", url, headers=headers, body=posted, _request_timeout=limits
        )
        response: aiohttp.ClientResponse = answer.response
        if response.status not in _GOOD:
            try:
                body = await response.content.read(ERROR_BODY_MAX_BYTES)
            finally:
                response.close()
            raise _refusal(response.status, response.headers, body)
        return response
    except (aiohttp.ClientError, OSError, TimeoutError, ConfigException, ValueError) as error:
        raise translate(error) from error


def translate(error: Exception) -> KubeError:
    """The `KubeError` for what aiohttp, the socket or the credentials' source raised."""
    match error:
        case aiohttp.ClientConnectorCertificateError() | aiohttp.ClientConnectorSSLError():
            return _Untrusted(f"TLS: {_short(str(error))}")
        case aiohttp.InvalidURL():
            return Invalid(f"not a URL: {_short(str(error))}")
        case aiohttp.ClientHttpProxyError():
            return Unreachable(f"the proxy refuses: {_short(error.message)}")
        case aiohttp.ClientResponseError():
            return ServerFault(f"no HTTP answer that can be read: {_short(error.message)}")
        case TimeoutError():
            return Unreachable("timed out")
        case ConfigException():
            return Unauthorized(f"credentials: {_short(str(error))}")
        case aiohttp.ClientError() | OSError():
            return Unreachable(_short(str(error)) or type(error).__name__)
        case _:
            return ServerFault(f"{type(error).__name__}: {_short(str(error))}")


def _refusal(status: int, headers: Mapping[str, str], body: bytes) -> KubeError:
    """The `KubeError` for an answer that is not 200."""
    said = decode_failure(body)
    message = _short(said.message or body.decode("utf-8", "replace").strip() or f"HTTP {status}")
    retry_after_s = _retry_after_s(headers, said.details.retry_after_s if said.details else None)
    if status == 410 or is_expired(said):
        return Gone(message)
    match status:
        case 401:
            return Unauthorized(message)
        case 403:
            return Forbidden(message)
        case 404:
            return NotFound(message)
        case 429:
            return Throttled(message, retry_after_s)
        case _ if 400 <= status < 500:
            return Invalid(message)
        case _:
            return ServerFault(f"HTTP {status}: {message}", retry_after_s)


def _retry_after_s(headers: Mapping[str, str], body_s: float | None) -> float:
    text = headers.get("Retry-After", "")
    if text.isdigit():
        return float(text)
    return max(0.0, body_s or 0.0)


def _short(text: str) -> str:
    """`text` as a part of one line: no control characters, not too long."""
    line = " ".join("".join(each if each.isprintable() else " " for each in text).split())
    return line if len(line) <= MESSAGE_MAX_CHARS else line[:MESSAGE_MAX_CHARS] + "…"


async def _load(kubeconfig: str, service_account: Path) -> Configuration:
    """The configuration that `KubeClient` names. Raises `NoCluster`."""
    configuration = Configuration()
    path = kubeconfig or os.environ.get("KUBECONFIG", "")
    in_cluster = not path and "KUBERNETES_SERVICE_HOST" in os.environ
    path = path or "~/.kube/config"
    if not in_cluster and not _any_exists(path):
        raise NoCluster(
            f"no kubeconfig at {path!r} and no service account here: name one with --kubeconfig or KUBECONFIG"
        )
    try:
        if in_cluster:
            account = InClusterConfigLoader(  # type: ignore[no-untyped-call]
                token_filename=service_account / "token", cert_filename=service_account / "ca.crt"
            )
            account.load_and_set(configuration)  # type: ignore[no-untyped-call]
        else:
            loader = await load_kube_config(  # type: ignore[no-untyped-call]
                path, client_configuration=configuration, persist_config=False
            )
            _renew_exec_tokens(configuration, loader)
    except Exception as error:  # the loader lets parser, file and type errors through as they are
        if in_cluster:
            raise NoCluster(f"the service account cannot be used: {_short(str(error))}") from error
        raise _no_kubeconfig(path, _why_unusable(error)) from error
    if not configuration.host:
        raise _no_kubeconfig(path, "its cluster has no `server`")
    return configuration


def _no_kubeconfig(path: str, why: str) -> NoCluster:
    return NoCluster(
        f"{path!r} cannot be used as a kubeconfig: {why}. Name another with --kubeconfig or KUBECONFIG; "
        "`kubectl config view --raw --minify` prints a right one"
    )


def _why_unusable(error: Exception) -> str:
    """Without what the loader quotes from the file: credentials may be among it."""
    if isinstance(error, (TypeError, AttributeError, LookupError)):
        return "it is no YAML mapping with `clusters`, `contexts` and `users`"
    return _short(re.sub(r"\{.*\}", "{…}", str(error), flags=re.DOTALL))


def _any_exists(paths: str) -> bool:
    """Whether one of the files exists; KUBECONFIG may name several."""
    return any(_exists(part) for part in paths.split(os.pathsep) if part)


def _exists(path: str) -> bool:
    try:
        return Path(path).expanduser().exists()
    except (RuntimeError, ValueError):  # no such home directory; a NUL
        return False


def _renew_exec_tokens(configuration: Configuration, loader: kube_config.KubeConfigLoader) -> None:
    """Ask an exec plug-in again before its credential expires; the loader itself knows when that is."""
    if not hasattr(loader, "exec_plugin_expiry"):
        return  # no expiry: kept until a 401, as kubectl does

    renewing = asyncio.Lock()  # once, however many requests ask at that moment

    async def renew(target: Configuration) -> None:
        async with renewing:
            await loader.load_from_exec_plugin()  # type: ignore[no-untyped-call]
        target.api_key["BearerToken"] = loader.token

    configuration.refresh_api_key_hook = renew  # type: ignore[assignment]
