"""`coder-logstream forget-lost-key`: the remedy when the token key is lost for good."""

from __future__ import annotations

import asyncio
import sys

from common.crypto import key_fits
from common.settings.base import StoreSettings
from common.store.connect import connect, refuse_cluster
from common.store.errors import StoreError
from common.store.forget import forget_release
from common.store.keys import Keys

__all__ = ["forget_lost_key"]


def forget_lost_key(settings: StoreSettings) -> int:
    """Forget the data whose key is lost; the exit code."""
    try:
        said, code = asyncio.run(_forget(settings)), 0
    except StoreError as error:
        said, code = str(error), 1
    sys.stderr.write(f"coder-logstream forget-lost-key: {said}\n")
    return code


async def _forget(settings: StoreSettings) -> str:
    """What was done. Raises StoreError."""
    keys = Keys(settings.redis_prefix)
    async with connect(settings.redis_url) as client:
        await refuse_cluster(client)
        if await key_fits(client, keys, settings.token_keys):
            raise StoreError("nothing is to be forgotten: the token key fits, or nothing was encrypted yet")
        gone = await forget_release(client, keys)
    return (
        f"{gone.waiting_records} waiting records of {gone.agents_with_records} agents are lost; start the watchers "
        "with the new key, and restart the shippers with it"
    )
