"""Fixtures: a rig on the session's server, and the Coder double."""

from collections.abc import AsyncIterator

import pytest

from console.doubles.coder import CoderDouble
from tests.integration.shipper.rig import Rig, rigged


@pytest.fixture
async def rig(redis_url: str, prefix: str) -> AsyncIterator[Rig]:
    async with CoderDouble() as double, rigged(redis_url, prefix, double) as rig:
        yield rig
