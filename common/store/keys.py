"""Names of everything we keep in Redis. Pure.

All keys begin with one hash tag, `{prefix}`, so that two releases can share a Redis (each with its own prefix) and a
sharded cluster stays possible later.
"""

from __future__ import annotations

import re
from typing import Final

from common.ids import AgentId, DrainerId

__all__ = ["DEFAULT_PREFIX", "Keys"]

DEFAULT_PREFIX: Final = "logstream"
_PREFIX: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class Keys:
    """The keys of one release. `docs/reference/redis.md` says what each holds."""

    def __init__(self, prefix: str = DEFAULT_PREFIX) -> None:
        """Raises `ValueError` unless `prefix` is 1-64 letters, digits, dots, dashes or underscores."""
        if not _PREFIX.fullmatch(prefix):
            raise ValueError(
                f"Redis prefix {prefix!r} must be 1-64 letters, digits, '.', '_' or '-', as in '{DEFAULT_PREFIX}'"
            )
        self.prefix: Final = prefix
        self.tag: Final = f"{{{prefix}}}:"
        self.due: Final = self.tag + "due"
        self.epoch: Final = self.tag + "epoch"
        self.claimed: Final = self.tag + "claimed"
        self.looking: Final = self.tag + "looking"
        self.asleep: Final = self.tag + "asleep"
        self.rung: Final = self.tag + "rung"
        self.census: Final = self.tag + "census"
        self.holders: Final = self.tag + "holders"
        self.terms: Final = self.tag + "terms"
        self.reigns: Final = self.tag + "reigns"
        self.digest: Final = self.tag + "digest"
        self.schema: Final = self.tag + "schema"
        self.marker: Final = self.tag + "marker"
        self.wake_prefix: Final = self.tag + "wake:"

    def agent(self, agent: AgentId) -> str:
        return f"{self.tag}agent:{agent}"

    def log(self, agent: AgentId) -> str:
        return f"{self.tag}log:{agent}"

    def facts(self, agent: AgentId) -> str:
        return f"{self.tag}facts:{agent}"

    def seen(self, agent: AgentId, half: int) -> str:
        return f"{self.tag}seen:{agent}:{half}"

    def wake(self, drainer: DrainerId) -> str:
        return self.wake_prefix + drainer

    def objects(self, resource: str, unit: str) -> str:
        return f"{self.tag}objects:{resource}/{unit}"

    def watchers(self, group: str) -> str:
        return f"{self.tag}watchers:{group}"

    def positions(self, resource: str) -> str:
        return f"{self.tag}positions:{resource}"

    def floors(self, resource: str) -> str:
        return f"{self.tag}floors:{resource}"
