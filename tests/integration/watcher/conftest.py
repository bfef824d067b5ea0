"""Fixtures: a release on the session's Redis and an empty cluster."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from console.doubles.kube import KubeDouble
from tests.integration.watcher.rig import Rig


@pytest.fixture
async def rig(redis_url: str, prefix: str, tmp_path: Path) -> AsyncIterator[Rig]:
    async with KubeDouble(bookmark_every_s=0.2) as kube:
        rig = Rig(kube, redis_url, prefix, tmp_path)
        yield rig
        await rig.client.aclose()
