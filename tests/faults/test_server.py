"""What a world's own server has after a restart, what a fail-over copies, and what it loses if the replica lags."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import redis

from tests.faults.server import OwnRedis


def write(port: int, name: str) -> None:
    with redis.Redis(port=port) as client:
        assert client.set(name, "acknowledged")


def names(port: int) -> list[str]:
    with redis.Redis(port=port) as client:
        return sorted(name.decode() for name in client.scan_iter())


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[OwnRedis]:
    server = OwnRedis(tmp_path)
    await server.start()
    yield server
    await server.kill()


async def test_a_server_that_is_stopped_and_started_has_all_at_the_same_port(server: OwnRedis) -> None:
    port = server.port
    write(port, "before")
    await server.stop()
    with pytest.raises(redis.ConnectionError):
        names(port)
    assert any(b"acknowledged" in file.read_bytes() for file in server.files())
    await server.start()
    assert (names(server.port), server.port) == (["before"], port)


async def test_a_replica_has_all_that_was_acknowledged_before_the_fail_over(server: OwnRedis) -> None:
    primary = server.port
    write(primary, "before")
    await server.fail_over(lambda: write(primary, "last"))
    assert (names(server.port), server.port != primary) == (["before", "last"], True)


async def test_a_replica_that_lags_lacks_what_was_acknowledged_last(server: OwnRedis) -> None:
    primary = server.port
    write(primary, "before")
    lost_bytes = await server.fail_over_lagging(0.0, lambda: write(primary, "last"))
    assert names(server.port) == ["before"]
    assert lost_bytes > len("last acknowledged")
