"""What the programs count of records that become no line, by their metrics and by what they keep in Redis."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import msgspec
import redis.asyncio
from prometheus_client.parser import text_string_to_metric_families

from common.crypto import TokenVault
from common.store.keys import Keys


class Dropped(msgspec.Struct, frozen=True):
    """Records, by what Redis says of all agents."""

    dropped: int
    """By shippers."""
    refused: int
    """Grave ones for which there was no room, not mentioned in a log yet."""
    left_out: int
    """Lesser ones that a log does not show."""
    late: int
    """Because their agent had ended."""


async def dropped(client: redis.asyncio.Redis, settings: Mapping[str, str], tokens: Sequence[str]) -> Dropped:
    """`settings`: of the programs."""
    keys = Keys(settings["CODER_LOGSTREAM_REDIS_PREFIX"])
    vault = await TokenVault.open(client, keys, [settings["CODER_LOGSTREAM_TOKEN_KEY"]])
    async with client.pipeline(transaction=True) as pipe:
        for token in tokens:
            pipe.hmget(keys.facts(vault.agent_id(token)), "dropped", "refused", "left_out", "late")
        rows = await pipe.execute()
    return Dropped(*(sum(int(row[place] or 0) for row in rows) for place in range(4)))


def counted(pages: Iterable[str], name: str, label: str) -> Counter[str]:
    """The sum of a counter over scraped pages, by `label`."""
    found: Counter[str] = Counter()
    for page in pages:
        for family in text_string_to_metric_families(page):
            for sample in family.samples:
                if sample.name == name:
                    found[sample.labels[label]] += int(sample.value)
    return found
