"""When a replica has what its primary had."""

import time
from typing import Final

import redis

__all__ = ["until_copied"]

WITHIN_S: Final = 60.0
LOOK_EVERY_S: Final = 0.02


def until_copied(primary_port: int, replica_port: int) -> None:
    """Return once the replica has obeyed all that the primary has by now. Raises `TimeoutError`.

    WAIT would not do: it asks only for the asking connection's own writes.
    """
    deadline_s = time.monotonic() + WITHIN_S
    with redis.Redis(port=primary_port) as primary, redis.Redis(port=replica_port) as replica:
        reached = int(primary.info("replication")["master_repl_offset"])
        while True:
            here = replica.info("replication")
            if here.get("master_link_status") == "up" and int(here["slave_repl_offset"]) >= reached:
                return
            if time.monotonic() > deadline_s:
                raise TimeoutError(f"the replica is at {here.get('slave_repl_offset')} of {reached}: {here}")
            time.sleep(LOOK_EVERY_S)
