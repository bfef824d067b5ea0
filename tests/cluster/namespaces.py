"""Namespaces in which the next pod is admitted, or refused for a known reason."""

from tests.cluster.api import KubeApi
from tests.cluster.harness import eventually
from tests.cluster.objects import Object, quota


async def make_namespace(api: KubeApi, name: str) -> None:
    """Returns when pods are admitted in it, which needs its default service account."""
    await api.call("POST", "/api/v1/namespaces", {"metadata": {"name": name}})

    async def accounts() -> list[Object]:
        return await api.items("serviceaccounts", name)

    await eventually(accounts, bool, why=f"the default service account of {name}")


async def enforce_quota(api: KubeApi, namespace: str, **hard: str) -> None:
    """Returns when it counts: before its first count it refuses nothing."""
    await api.create("resourcequotas", namespace, quota(**hard))

    async def counted() -> Object:
        return dict((await api.get("resourcequotas", namespace, "quota")).get("status", {}))

    await eventually(counted, lambda status: "used" in status, why="the quota's first count")
