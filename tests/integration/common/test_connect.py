"""A server that will not do, or whose data are not ours, is refused in words."""

from pathlib import Path

import pytest

from common.store.connect import SCHEMA, check_server, connect
from common.store.errors import StoreRefused
from common.store.keys import Keys
from tests.redis_builds import NEWEST, SYSTEM, RedisBuild
from tests.servers import free_port, running_redis


@pytest.mark.parametrize("schema", [b"", b"one", b"1.0", b"-1", b"\xff", b"9" * 5000])
async def test_a_schema_that_is_no_number_is_refused_with_the_remedy(
    redis_url: str, prefix: str, schema: bytes
) -> None:
    async with connect(redis_url) as client:
        await client.set(Keys(prefix).schema, schema)
        with pytest.raises(StoreRefused, match="holds no number, so it is not ours; choose another prefix"):
            await check_server(client, Keys(prefix))


@pytest.mark.parametrize("build", [NEWEST, SYSTEM], ids=lambda build: build.name)  # Redis 6.2 cannot place its bus
async def test_a_sharded_cluster_is_refused_before_anything_is_written(
    tmp_path: Path, prefix: str, build: RedisBuild
) -> None:
    # It has no slots yet, so that a write would be answered as by a cluster that is failing over.
    options = {"cluster-enabled": "yes", "cluster-port": str(free_port())}
    with running_redis(build.binary(), tmp_path / "redis", options) as server:
        async with connect(server.url) as client:
            with pytest.raises(StoreRefused, match="sharded Redis Cluster, which is not supported; use a single"):
                await check_server(client, Keys(prefix))


@pytest.mark.parametrize("schema", [SCHEMA + 2, SCHEMA + 10])
async def test_data_of_a_release_too_far_ahead_are_refused_with_the_remedy(
    redis_url: str, prefix: str, schema: int
) -> None:
    async with connect(redis_url) as client:
        await client.set(Keys(prefix).schema, schema)
        with pytest.raises(StoreRefused, match=f"have schema {schema}, this program knows {SCHEMA}; upgrade it one"):
            await check_server(client, Keys(prefix))
        assert await client.get(Keys(prefix).schema) == str(schema).encode()


@pytest.mark.parametrize("schema", [SCHEMA - 1, SCHEMA, SCHEMA + 1])
async def test_data_of_neighbouring_releases_are_taken_up_and_marked_with_the_highest(
    redis_url: str, prefix: str, schema: int
) -> None:
    async with connect(redis_url) as client:
        await client.set(Keys(prefix).schema, schema)
        await check_server(client, Keys(prefix))
        assert await client.get(Keys(prefix).schema) == str(max(schema, SCHEMA)).encode()
