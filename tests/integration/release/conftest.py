"""Fixtures: a release on the session's Redis."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.integration.release.rig import Release, released


@pytest.fixture
async def release(redis_url: str, prefix: str, tmp_path: Path) -> AsyncIterator[Release]:
    async with released(redis_url, prefix, tmp_path) as release:
        yield release
