"""An HTTP answer as a value."""

from __future__ import annotations

from typing import Any, Self

import aiohttp
import msgspec


class Answered(msgspec.Struct, frozen=True):
    """One answer, read to its end. Header names are lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @classmethod
    async def read(cls, answer: aiohttp.ClientResponse) -> Self:
        headers = {name.lower(): value for name, value in answer.headers.items()}
        return cls(answer.status, headers, await answer.read())

    def json(self) -> Any:
        return msgspec.json.decode(self.body)

    @property
    def message(self) -> str:
        return str(self.json()["message"])
