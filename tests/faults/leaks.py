"""Look for agent tokens where none may be: in log lines, in metrics, in Redis' keys and values."""

from __future__ import annotations

import json
import logging
import re
from collections import defaultdict, deque
from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

import redis.asyncio
from prometheus_client import CollectorRegistry, generate_latest

__all__ = ["Tap", "tokens_in_metrics", "tokens_in_redis"]

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


def tokens_in_metrics(registry: CollectorRegistry, tokens: Sequence[str]) -> list[str]:
    """The lines of a metrics page that hold one of `tokens`."""
    needles = {UUID(token).hex for token in tokens}
    page = generate_latest(registry).decode()
    return [line for line in page.splitlines() if any(each in line.replace("-", "").lower() for each in needles)]


async def tokens_in_redis(client: redis.asyncio.Redis, prefix: str, tokens: Sequence[str]) -> list[str]:
    """The keys that hold one of `tokens`, in text or in bytes, in their name or value."""
    needles = [form for token in tokens for form in (token.encode(), UUID(token).hex.encode(), UUID(token).bytes)]
    found = []
    async for key in client.scan_iter(f"{{{prefix}}}*", count=1_000):
        held = key + await _value(client, key)
        if any(needle in held for needle in needles):
            found.append(f"the key {key!r}")
    return found


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
        case _:
            held = []
    return b"".join(held)
