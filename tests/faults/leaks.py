"""Look for agent tokens where none may be: in log lines, in metrics, in Redis' keys and values."""

from __future__ import annotations

import json
import logging
import re
import zlib
from collections import defaultdict, deque
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import redis.asyncio
from prometheus_client import CollectorRegistry, generate_latest

__all__ = ["Tap", "tokens_in_files", "tokens_in_metrics", "tokens_in_redis", "tokens_in_text"]

_UUID: Final = re.compile(r"[0-9a-fA-F]{8}-?(?:[0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}")
STORY_LINES: Final = 400


class Tap(logging.StreamHandler[Any]):
    """Reads every finished log line of all worlds; remembers each world's newest ones."""

    def __init__(self) -> None:
        super().__init__()
        self.stream = self
        self._worlds: dict[str, str] = {}
        self._leaks: defaultdict[str, list[str]] = defaultdict(list)
        self._stories: dict[str, deque[str]] = {}

    def expect(self, world: str, tokens: Sequence[str]) -> None:
        """No line may hold one of `tokens`."""
        self._worlds.update(dict.fromkeys((UUID(token).hex for token in tokens), world))
        self._stories[world] = deque(maxlen=STORY_LINES)

    def leaks(self, world: str) -> list[str]:
        return [f"a log line: {line[:200]}" for line in self._leaks[world]]

    def story(self, world: str) -> list[str]:
        return list(self._stories.get(world, ()))

    def isatty(self) -> bool:
        return False

    def flush(self) -> None:
        """Nothing is held back."""

    def write(self, text: str) -> None:
        """What a stream handler writes: a line."""
        for found in _UUID.findall(text):
            world = self._worlds.get(found.replace("-", "").lower())
            if world is not None:
                self._leaks[world].append(text)
        try:
            world = json.loads(text).get("world", "")
        except ValueError:
            return
        if world in self._stories:
            self._stories[world].append(text.strip())


def tokens_in_text(text: str, tokens: Sequence[str]) -> list[str]:
    """The lines that hold one of `tokens`, with or without dashes, in capitals or not."""
    bare = _bare(text)
    there = [each for each in (UUID(token).hex for token in tokens) if each in bare]
    return [line for line in text.splitlines() if any(each in _bare(line) for each in there)]


def _bare(text: str) -> str:
    return text.replace("-", "").lower()


def tokens_in_metrics(registry: CollectorRegistry, tokens: Sequence[str]) -> list[str]:
    """The lines of a metrics page that hold one of `tokens`."""
    return tokens_in_text(generate_latest(registry).decode(), tokens)


async def tokens_in_redis(client: redis.asyncio.Redis, pattern: str, tokens: Sequence[str]) -> list[str]:
    """The keys like `pattern` that hold one of `tokens`, in text or in bytes, in their name or value."""
    needles = _forms(tokens)
    found = []
    async for key in client.scan_iter(pattern, count=1_000):
        held = key + await _value(client, key)
        if any(needle in held for needle in needles):
            found.append(f"the key {key!r}")
    return found


def tokens_in_files(files: Iterable[Path], tokens: Sequence[str]) -> list[str]:
    """Those of `files` that hold one of `tokens`, in text or in bytes."""
    needles = _forms(tokens)
    return [f"the file {file.name}" for file in files if any(map(file.read_bytes().__contains__, needles))]


def _forms(tokens: Sequence[str]) -> list[bytes]:
    return [form for token in tokens for form in (token.encode(), UUID(token).hex.encode(), UUID(token).bytes)]


async def _value(client: redis.asyncio.Redis, key: bytes) -> bytes:
    held: Any
    match await client.type(key):
        case b"string":
            held = [await client.get(key) or b""]
        case b"hash":
            held = [part for pair in (await client.hgetall(key)).items() for part in pair]
        case b"stream":
            entries: Any = await client.xrange(key)
            held = [payload for _, entry in entries for payload in entry.values()]
        case b"zset":
            held = await client.zrange(key, 0, -1)
        case b"set":
            held = await client.smembers(key)
        case b"list":
            held = await client.lrange(key, 0, -1)
        case b"none":
            held = []  # it went meanwhile
        case other:
            raise AssertionError(f"nobody looks into a {other!r}")
    return b"".join(map(_unpacked, held))


def _unpacked(part: bytes) -> bytes:
    """RQ keeps some of a job's fields compressed."""
    try:
        return part + zlib.decompress(part)
    except zlib.error:
        return part
