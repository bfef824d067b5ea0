"""The Kubernetes conformance suite: what the watcher relies on, asserted of any API server through HTTP.

Run it elsewhere by a subclass that gives the fixture `kube`, as made by `tests.fakes.kubes.open_kube`. Each test works
in a namespace of its own; most use Secrets, which no controller touches.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.fakes.contract_kube_logs import KubeLogContract
from tests.fakes.contract_kube_reads import KubeReadContract
from tests.fakes.contract_kube_watches import KubeWatchContract
from tests.fakes.kubes import KubeUnderTest, new_namespace

__all__ = ["KubeContract"]


class KubeContract(KubeReadContract, KubeWatchContract, KubeLogContract):
    """What any API server does."""

    @pytest.fixture
    async def namespace(self, kube: KubeUnderTest) -> AsyncIterator[str]:
        name = await new_namespace(kube)
        yield name
        await kube.call("DELETE", f"/api/v1/namespaces/{name}")
