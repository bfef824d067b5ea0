"""Fifty workspaces in five namespaces, each a Deployment with an agent token of its own, and what becomes of them."""

import asyncio
import uuid
from collections.abc import Awaitable, Iterable, Sequence
from enum import StrEnum
from typing import Any, Final

import msgspec

from tests.cluster.api import KubeApi
from tests.cluster.harness import eventually
from tests.cluster.objects import TOKEN, Object, deployment, quota, secret

CALLS_AT_ONCE: Final = 10
SCARCE: Final = "example.test/scarce"
"""A resource of which the quota allows nothing."""


class Fate(StrEnum):
    STAYS = "stays"
    SCALED = "scaled"
    """To no replicas, after it ran."""
    DELETED = "deleted"
    SECRET = "secret"
    """Its token lies in a Secret."""
    TWICE = "twice"
    """It has two replicas, and is scaled to none."""
    REFUSED = "refused"
    """A quota lets it have no pod."""
    CRASHES = "crashes"


FATES: Final = (
    Fate.STAYS, Fate.STAYS, Fate.SCALED, Fate.SCALED, Fate.DELETED, Fate.DELETED,
    Fate.SECRET, Fate.TWICE, Fate.REFUSED, Fate.CRASHES,
)  # fmt: skip
"""Of the Deployments of one namespace."""


class Member(msgspec.Struct, frozen=True):
    """One Deployment. Its name, which its container and its image bear too, is unique in the fleet."""

    namespace: str
    name: str
    token: str
    fate: Fate

    @property
    def replicas(self) -> int:
        return 2 if self.fate is Fate.TWICE else 1

    @property
    def pods(self) -> int:
        return 0 if self.fate is Fate.REFUSED else self.replicas

    @property
    def is_scaled(self) -> bool:
        return self.fate in (Fate.SCALED, Fate.TWICE)

    def container(self, image: str) -> Object:
        source: Object = {"value": self.token}
        if self.fate is Fate.SECRET:
            source = {"valueFrom": {"secretKeyRef": {"name": self.name, "key": "token"}}}
        what: Object = {"name": self.name, "image": image, "env": [{"name": TOKEN, **source}]}
        if self.fate is Fate.REFUSED:
            what["resources"] = {"requests": {SCARCE: "1"}, "limits": {SCARCE: "1"}}
        return what


def members_of(namespaces: Sequence[str]) -> list[Member]:
    return [
        Member(namespace, f"{fate}-{home}{number}", str(uuid.uuid4()), fate)
        for home, namespace in enumerate(namespaces)
        for number, fate in enumerate(FATES)
    ]


def crashes(pod: Object) -> bool:
    return str(pod["metadata"]["labels"]["app"]).startswith(Fate.CRASHES)


class Fleet:
    """The members in a cluster. Each step returns when its calls were accepted, not when their effects are there."""

    def __init__(self, api: KubeApi, members: Sequence[Member]) -> None:
        self._api = api
        self.members = members
        self.namespaces = sorted({member.namespace for member in members})

    def count(self, *fates: Fate) -> int:
        """Pods of members with one of `fates`, or of all."""
        return sum(member.pods for member in self.members if not fates or member.fate in fates)

    async def prepare(self) -> None:
        """What must be there before the Deployments: quotas that count, and Secrets."""
        for namespace in self.namespaces:
            await self._api.create("resourcequotas", namespace, quota(**{f"requests.{SCARCE}": "0"}))
        secrets = (member for member in self.members if member.fate is Fate.SECRET)
        await _all(self._api.create("secrets", each.namespace, secret(each.name, token=each.token)) for each in secrets)

        async def counting() -> int:
            quotas = [await self._api.get("resourcequotas", namespace, "quota") for namespace in self.namespaces]
            return sum("used" in each.get("status", {}) for each in quotas)

        await eventually(counting, lambda seen: seen == len(self.namespaces), why="quotas that count")

    async def deploy(self) -> None:
        await _all(self._api.create("deployments", each.namespace, self._deployment(each)) for each in self.members)

    def _deployment(self, member: Member) -> Object:
        image = f"example.test/{member.name}:1"
        return deployment(member.name, member.container(image), replicas=member.replicas)

    async def scale_and_delete(self) -> None:
        await _all(
            self._api.merge("deployments", each.namespace, each.name, {"spec": {"replicas": 0}})
            for each in self.members
            if each.is_scaled
        )
        await _all(
            self._api.delete("deployments", each.namespace, each.name)
            for each in self.members
            if each.fate is Fate.DELETED
        )

    async def clear(self) -> None:
        """Leave nothing that the namespaces' end would wait for."""
        for resource in ("deployments", "replicasets", "pods"):
            for namespace in self.namespaces:
                await self._api.delete(resource, namespace)


async def _all(calls: Iterable[Awaitable[Any]]) -> None:
    """Make all `calls`, a few at once."""
    places = asyncio.Semaphore(CALLS_AT_ONCE)

    async def one(call: Awaitable[Any]) -> None:
        async with places:
            await call

    await asyncio.gather(*(one(call) for call in calls))
