"""A token is found wherever it lies, and nothing else is."""

import uuid
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import redis.asyncio

from tests.faults.leaks import tokens_in_files, tokens_in_redis, tokens_in_text
from tests.servers import RedisServer

TOKEN, OTHER = str(uuid.uuid4()), str(uuid.uuid4())


@pytest.mark.parametrize(
    "written", [str, str.upper, lambda token: UUID(token).hex], ids=["as it is", "capitals", "hex"]
)
def test_a_line_with_a_token_is_found(written: Callable[[str], str]) -> None:
    lines = [f'{{"token": "{OTHER}"}}', f"ab{written(TOKEN)}cd", "nothing"]
    assert tokens_in_text("\n".join(lines), [TOKEN]) == [lines[1]]


WAYS: dict[str, Callable[[Any, str, bytes], Any]] = {
    "name": lambda client, key, token: client.set(key.encode() + token, b"1"),
    "string": lambda client, key, token: client.set(key, b"x" + token),
    "hash field": lambda client, key, token: client.hset(key, token, b"1"),
    "hash value": lambda client, key, token: client.hset(key, b"f", token),
    "compressed": lambda client, key, token: client.hset(key, b"data", zlib.compress(b'["' + token + b'"]')),
    "stream": lambda client, key, token: client.xadd(key, {b"r": token}),
    "sorted set": lambda client, key, token: client.zadd(key, {token: 1}),
    "set": lambda client, key, token: client.sadd(key, token),
    "list": lambda client, key, token: client.rpush(key, token),
}


@pytest.mark.parametrize("form", [str.encode, lambda token: UUID(token).bytes], ids=["text", "bytes"])
@pytest.mark.parametrize("way", WAYS)
async def test_a_key_with_a_token_is_found(
    valkey_server: RedisServer, prefix: str, way: str, form: Callable[[str], bytes]
) -> None:
    async with redis.asyncio.Redis(port=valkey_server.port) as client:
        await WAYS[way](client, prefix, form(OTHER))
        assert await tokens_in_redis(client, f"{prefix}*", [TOKEN]) == []
        await WAYS[way](client, prefix, form(TOKEN))
        assert len(await tokens_in_redis(client, f"{prefix}*", [TOKEN])) == 1


def test_a_file_with_a_token_is_found(tmp_path: Path) -> None:
    clean, text, raw = (tmp_path / name for name in ("clean", "text", "raw"))
    clean.write_bytes(OTHER.encode())
    text.write_bytes(b"\xff" + TOKEN.encode())
    raw.write_bytes(b"\xff" + UUID(TOKEN).bytes)
    assert tokens_in_files([clean, text, raw], [TOKEN]) == ["the file text", "the file raw"]
