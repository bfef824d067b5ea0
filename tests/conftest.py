"""Fixtures that every kind of test shares: real Redis servers, names of one's own, and the list of what was not run."""

import os
import signal
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from hypothesis import settings

from tests.redis_builds import BUILDS, NEWEST, RedisBuild
from tests.required import not_run
from tests.servers import RedisServer, running_redis

# A job in a shell's background begins with SIGINT ignored, and so would every program that a test interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)

# How long an example takes says more about the machine's other work than about the code: performance is `make bench`.
settings.register_profile("ours", deadline=None)
settings.load_profile("ours")
settings.register_profile("long", settings.get_profile("ours"))
"""`--hypothesis-profile=long`: what asks for it plays many more examples."""

NODES = "198.18.0.0/15"
"""Where nodes and their pods have their addresses, and this machine for them (`tests/kubelet/network.py`)."""
# Servers of our own, which is what tests talk to, are not behind the proxy that this machine may have.
for _name in ("no_proxy", "NO_PROXY"):
    os.environ[_name] = ",".join(filter(None, (os.environ.get(_name), "127.0.0.1", "localhost", "::1", NODES)))


@pytest.fixture(scope="session")
def valkey_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """The newest server, the one that `coder-logstream run` embeds. Shared: keep to your own `prefix`."""
    with running_redis(NEWEST.binary(), tmp_path_factory.mktemp("valkey")) as server:
        yield server


@pytest.fixture(scope="session", params=BUILDS, ids=lambda build: build.name)
def redis_server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """Each supported server in turn. For conformance: a test that asks for it runs once on each."""
    build: RedisBuild = request.param
    with running_redis(build.binary(), tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[RedisServer]:
    """A newest server for this test alone, to flush, fill or kill."""
    with running_redis(NEWEST.binary(), tmp_path / "redis") as server:
        yield server


@pytest.fixture
def redis_url(valkey_server: RedisServer) -> str:
    return valkey_server.url


@pytest.fixture
def prefix() -> str:
    """A key prefix that no other test uses."""
    return f"test-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def token_key() -> str:
    """A fresh Fernet key, as CODER_LOGSTREAM_TOKEN_KEY takes it."""
    return Fernet.generate_key().decode()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reports = terminalreporter.getreports("skipped")
    reasons = (report.longrepr[2] for report in reports if isinstance(report.longrepr, tuple))
    for line in not_run(reasons):
        terminalreporter.write_line(line)
