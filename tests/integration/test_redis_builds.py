"""The servers under test are what their names say, or the conformance run proves nothing."""

import redis

from tests.redis_builds import BUILDS, NEWEST, OLDEST
from tests.servers import RedisServer


def version(server: RedisServer) -> tuple[int, ...]:
    with redis.Redis.from_url(server.url, decode_responses=True) as client:
        info = client.info("server")
    return tuple(int(part) for part in str(info.get("valkey_version", info["redis_version"])).split("."))


def test_a_server_under_test_is_one_we_support(redis_server: RedisServer) -> None:
    assert version(redis_server) >= (6, 2)


def test_the_shared_server_is_the_newest(valkey_server: RedisServer) -> None:
    assert version(valkey_server) >= (9, 1)


def test_oldest_and_newest_are_in_the_conformance_run() -> None:
    assert {NEWEST, OLDEST} <= set(BUILDS)
