"""What a Redis tells of itself, and whether that will do: each a finding. Pure.

Facts come as the server's INFO has them; a hosted one may hide some.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from common.checkup import Area, Finding, bad, doubt, fine

__all__ = [
    "eviction_finding",
    "history_finding",
    "memory_finding",
    "persistence_finding",
    "rights_finding",
    "role_finding",
]

SCARCE: Final = 0.8
_MANUAL: Final = "docs/reference/redis.md"
_SHOWN_MAX: Final = 6
_R: Final = Area.REDIS
Info = Mapping[str, Any]


def role_finding(info: Info) -> Finding | None:
    """None if there is nothing to say: it takes writes."""
    if info.get("role") != "slave":
        return None
    remedy = "name the primary in the URL, or the Sentinels (redis+sentinel://HOST,HOST/SERVICE)"
    return bad(_R, "role", "it is a replica, which takes no writes", remedy)


def history_finding(info: Info) -> Finding | None:
    """None if there is nothing to say: the watcher can tell one history of the data from another."""
    if info.get("master_replid"):
        return None
    said = "it hides master_replid: no fail-over is noticed, and what had not been copied stays missing"
    return doubt(_R, "history", said, "see docs/how-to/redis-high-availability.md#what-happens-in-a-fail-over")


def persistence_finding(info: Info) -> Finding:
    about = "persistence"
    if info.get("aof_enabled") is None:
        return doubt(_R, about, "it does not tell", "see in its settings that the append-only file is on")
    if not int(info["aof_enabled"]):
        said = "the append-only file is off: a restart of Redis loses what waits in it"
        return doubt(_R, about, said, "set appendonly yes (appendfsync everysec)")
    if info.get("aof_last_write_status", "ok") != "ok":
        return bad(_R, about, "the append-only file cannot be written", "see Redis' log; is its disk full?")
    return fine(_R, about, "the append-only file is on")


def eviction_finding(info: Info) -> Finding:
    about, policy = "eviction", info.get("maxmemory_policy")
    remedy = "set maxmemory-policy noeviction"
    if policy is None:
        return doubt(_R, about, "it does not tell", remedy)
    if policy == "noeviction":
        return fine(_R, about, "none (noeviction)")
    if int(info.get("maxmemory", 0)):
        return bad(_R, about, f"{policy}: a key that is evicted is a lost line or a repeated one", remedy)
    return doubt(_R, about, f"{policy}, though without maxmemory nothing is evicted yet", remedy)


def memory_finding(info: Info) -> Finding:
    about = "memory"
    if info.get("used_memory") is None:
        return doubt(_R, about, "it does not tell", "see that it has room: a kilobyte for each agent, and what waits")
    used, limit = int(info["used_memory"]), int(info.get("maxmemory", 0))
    if not limit:
        return fine(_R, about, f"{_mib(used)} used, no limit")
    said = f"{_mib(used)} of {_mib(limit)} used"
    remedy = "raise maxmemory, or see by coder-logstream status why lines are not delivered"
    if used >= limit:
        return bad(_R, about, f"{said}: it is full and takes no new records", remedy)
    return doubt(_R, about, said, remedy) if used >= limit * SCARCE else fine(_R, about, said)


def rights_finding(lacking: Mapping[str, Sequence[str]]) -> Finding:
    """`lacking`: by program what the user may not do."""
    about = "rights"
    whole = [program for program, rights in lacking.items() if not rights]
    if len(whole) == len(lacking):
        return fine(_R, about, f"this user may do what {' and '.join(lacking)} do")
    if whole:
        return fine(_R, about, f"this user may do what a {whole[0]} does, and is not for the other program")
    program, rights = min(lacking.items(), key=lambda item: len(item[1]))
    shown = ", ".join(rights[:_SHOWN_MAX]) + (f" and {len(rights) - _SHOWN_MAX} more" if rights[_SHOWN_MAX:] else "")
    remedy = f"give it the rules of common/store/redis-users.acl, for the prefix in use ({_MANUAL})"
    return bad(_R, about, f"this user lacks what a {program} needs: {shown}", remedy)


def _mib(size_bytes: int) -> str:
    return f"{size_bytes / 1024 / 1024:.1f} MiB"
