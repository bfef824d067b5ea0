"""HTTP relays on loopback between a program and an API server: each hands on the answers to watches in its own way."""

from __future__ import annotations

import base64
import ssl
from pathlib import Path
from typing import Any, Final, Self

import aiohttp
import yaml
from aiohttp import web
from yarl import URL

from console.doubles.server import DoubleServer

_HOP_BY_HOP: Final = ("connection", "host", "keep-alive", "transfer-encoding")


class Relay(DoubleServer):
    """Hands on everything as it comes. Upstream is the server of a kubeconfig whose user, if any, shows a token."""

    def __init__(self, kubeconfig: Path) -> None:
        super().__init__()
        self._kubeconfig: dict[str, Any] = yaml.safe_load(kubeconfig.read_text())
        self._upstream: dict[str, str] = self._kubeconfig["clusters"][0]["cluster"]
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        authority = base64.b64decode(self._upstream.get("certificate-authority-data", "")).decode()
        trust = ssl.create_default_context(cadata=authority) if authority else True
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=trust, limit=0), timeout=aiohttp.ClientTimeout(total=None),
            auto_decompress=False,
        )  # fmt: skip
        return await super().__aenter__()

    async def __aexit__(self, *exc_info: object) -> None:
        await super().__aexit__(*exc_info)
        if self._session is not None:
            await self._session.close()

    def write_kubeconfig(self, path: Path) -> Path:
        """The given one, by way of this relay."""
        named = self._kubeconfig["clusters"][0]["name"]
        path.write_text(
            yaml.safe_dump({**self._kubeconfig, "clusters": [{"name": named, "cluster": {"server": self.url}}]})
        )
        return path

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        assert self._session is not None
        url = URL(self._upstream["server"] + request.raw_path, encoded=True)
        headers = {name: value for name, value in request.headers.items() if name.lower() not in _HOP_BY_HOP}
        body = await request.read()
        async with self._session.request(request.method, url, headers=headers, data=body or None) as answer:
            if "watch" not in request.query:
                return await _hand_on_whole(answer)
            return await self.hand_on_watch(request, answer)

    async def hand_on_watch(self, request: web.BaseRequest, answer: aiohttp.ClientResponse) -> web.StreamResponse:
        begun = await _hand_on_head(request, answer)
        async for chunk in answer.content.iter_any():
            await begun.write(chunk)
        return begun


class Collecting(Relay):
    """Collects an answer and hands it on when it is whole (nginx, unless `proxy_buffering` is off)."""

    async def hand_on_watch(self, request: web.BaseRequest, answer: aiohttp.ClientResponse) -> web.StreamResponse:
        return await _hand_on_whole(answer)


class CollectingBodies(Relay):
    """Hands on the head at once, and the body when it is whole."""

    async def hand_on_watch(self, request: web.BaseRequest, answer: aiohttp.ClientResponse) -> web.StreamResponse:
        begun = await _hand_on_head(request, answer)
        await begun.write(await answer.read())
        return begun


class Cutting(Relay):
    """Breaks off what is no answer in one piece."""

    async def hand_on_watch(self, request: web.BaseRequest, answer: aiohttp.ClientResponse) -> web.StreamResponse:
        begun = await _hand_on_head(request, answer)
        if request.transport is not None:
            request.transport.abort()
        return begun


class Ending(Relay):
    """Ends in good order what is no answer in one piece."""

    async def hand_on_watch(self, request: web.BaseRequest, answer: aiohttp.ClientResponse) -> web.StreamResponse:
        return await _hand_on_head(request, answer)


class Clinging(Relay):
    """Never hands on the end."""

    async def hand_on_watch(self, request: web.BaseRequest, answer: aiohttp.ClientResponse) -> web.StreamResponse:
        begun = await super().hand_on_watch(request, answer)
        await self.stopping.wait()
        return begun


class Swallowing(Relay):
    """Hands on nothing at all."""

    async def hand_on_watch(self, request: web.BaseRequest, answer: aiohttp.ClientResponse) -> web.StreamResponse:
        await self.stopping.wait()
        return await _hand_on_whole(answer)


async def _hand_on_whole(answer: aiohttp.ClientResponse) -> web.Response:
    return web.Response(status=answer.status, headers=_headers(answer), body=await answer.read())


async def _hand_on_head(request: web.BaseRequest, answer: aiohttp.ClientResponse) -> web.StreamResponse:
    begun = web.StreamResponse(status=answer.status, headers=_headers(answer))
    await begun.prepare(request)
    return begun


def _headers(answer: aiohttp.ClientResponse) -> dict[str, str]:
    return {
        name: value for name, value in answer.headers.items() if name.lower() not in (*_HOP_BY_HOP, "content-length")
    }
