"""Let go of a release's data that nobody can read any more, because their token key is lost.

The one act that destroys data, so it is done only when nothing else helps: no key given fits, and no watcher runs.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
import redis.asyncio

from common.store.connect import translated
from common.store.errors import StoreError
from common.store.keys import Keys

__all__ = ["Forgotten", "StillInUse", "forget_release"]

_AT_ONCE: Final = 500


class StillInUse(StoreError):
    """A watcher of the release runs; the message says what follows from it."""


class Forgotten(msgspec.Struct, frozen=True):
    """What was in it."""

    waiting_records: int
    agents_with_records: int


async def forget_release(client: redis.asyncio.Redis, keys: Keys) -> Forgotten:
    """Delete all that is kept under the prefix of `keys`. Raises `StoreError`; may be repeated, and then goes on.

    The digest key goes last, so no program with another token key starts while it is under way, and with it the
    marker, by which a program that runs notices.
    """
    with translated("forgetting what cannot be read"):
        alive = await _alive(client, keys)
        if alive:
            raise StillInUse(
                f"{alive} watchers still use the data under prefix '{keys.prefix}', so somebody has the token key: "
                "take it from them, or stop them first"
            )
        forgotten = Forgotten(
            int(await _read(client.hget(keys.census, "waiting")) or 0), int(await client.zcard(keys.due))
        )
        last = {keys.digest.encode(), keys.marker.encode()}
        batch: list[bytes] = []
        async for key in client.scan_iter(match=f"{keys.tag}*", count=_AT_ONCE):
            if key not in last:
                batch.append(key)
            if len(batch) >= _AT_ONCE:
                await client.unlink(*batch)
                batch.clear()
        await client.unlink(*batch, *last)
    return forgotten


async def _alive(client: redis.asyncio.Redis, keys: Keys) -> int:
    """How many watchers have said within their lease that they live."""
    seconds, micros = await client.time()
    now_ms = int(seconds) * 1000 + int(micros) // 1000
    groups = [key async for key in client.scan_iter(match=keys.watchers("*"), count=_AT_ONCE)]
    return sum([int(await client.zcount(group, f"({now_ms}", "+inf")) for group in groups])


async def _read(answer: Any) -> Any:
    """The library's stubs cannot tell which of its clients they describe."""
    return await answer
