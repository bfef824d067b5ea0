"""Steer a double that runs in a process of its own: the same commands as in-process, over its `/_double` paths."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self, TypeVar

import aiohttp
import msgspec

from console.doubles import coder_control, kube_control

__all__ = ["CoderRemote", "DoubleRefused", "KubeRemote"]

_T = TypeVar("_T")


class DoubleRefused(Exception):
    """The double did not carry out a command; the text is its reason."""


class _Remote:
    """One HTTP session to the control paths of the double at `url`. `async with` opens and closes it."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _ask(self, method: str, path: str, body: bytes = b"", query: dict[str, str] | None = None) -> bytes:
        if self._session is None:
            raise RuntimeError("use `async with` around it")
        async with self._session.request(method, f"{self._url}{path}", data=body, params=query) as answer:
            text = await answer.read()
            if answer.status != 200:
                raise DoubleRefused(text.decode(errors="replace"))
            return text

    async def _show(self, path: str, shape: type[_T], query: dict[str, str] | None = None) -> _T:
        return msgspec.json.decode(await self._ask("GET", path, query=query), type=shape)


class CoderRemote(_Remote):
    """A Coder double elsewhere."""

    async def apply(self, commands: Sequence[coder_control.Command]) -> None:
        """Carry out `commands` in order. Raises DoubleRefused at the first that cannot be."""
        await self._ask("POST", "/_double", msgspec.json.encode(commands))

    async def agents(self, token: str | None = None) -> list[coder_control.AgentView]:
        """As `CoderDouble.agents`."""
        query = {} if token is None else {"token": token}
        return await self._show("/_double/agents", list[coder_control.AgentView], query)

    async def totals(self) -> coder_control.Totals:
        """As `CoderDouble.totals`."""
        return await self._show("/_double/totals", coder_control.Totals)


class KubeRemote(_Remote):
    """A Kubernetes API double elsewhere."""

    async def apply(self, commands: Sequence[kube_control.Command]) -> None:
        """Carry out `commands` in order. Raises DoubleRefused at the first that cannot be."""
        await self._ask("POST", "/_double", msgspec.json.encode(commands))

    async def writes(self) -> list[kube_control.Write]:
        """As `KubeDouble.writes`."""
        return await self._show("/_double/writes", list[kube_control.Write])

    async def totals(self) -> kube_control.Totals:
        """As `KubeDouble.totals`."""
        return await self._show("/_double/totals", kube_control.Totals)
