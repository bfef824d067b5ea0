"""The Coder double passes the Coder suite; so does a real Coder named by the environment."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import AsyncIterator

import aiohttp
import pytest

from console.doubles.coder import CoderDouble
from console.doubles.coder_control import AddAgent, MakeReady
from console.doubles.remote import CoderRemote, DoubleRefused
from tests.fakes.coders import CoderUnderTest, line
from tests.fakes.contract_coder import CoderContract, CoderDoubleContract

REAL_URL = os.environ.get("LOGSTREAM_TEST_CODER_URL", "")
REAL_TOKEN = os.environ.get("LOGSTREAM_TEST_CODER_TOKEN", "")


@pytest.fixture
async def double() -> AsyncIterator[CoderDouble]:
    started_ns = time.time_ns()
    # A clock that stands still: no minute turns while a test counts requests.
    async with CoderDouble(unix_ns=lambda: started_ns) as double:
        yield double


@pytest.fixture
async def coder(double: CoderDouble) -> AsyncIterator[CoderUnderTest]:
    token = str(uuid.uuid4())
    double.apply(AddAgent(token))
    async with aiohttp.ClientSession() as session:
        yield CoderUnderTest(double.url, token, session)


class TestTheDouble(CoderContract, CoderDoubleContract):
    """Rate limit off, as the benches use it."""


class TestTheDoubleWithItsLimit(CoderContract):
    """The limit that Coder has by default."""

    @pytest.fixture
    async def double(self) -> AsyncIterator[CoderDouble]:
        async with CoderDouble(rate_limit=512) as double:
            yield double


@pytest.mark.skipif(
    not (REAL_URL and REAL_TOKEN),
    reason="the Coder suite on a real Coder: set LOGSTREAM_TEST_CODER_URL and LOGSTREAM_TEST_CODER_TOKEN",
)
class TestARealCoder(CoderContract):
    """Leaves a few dozen lines in the agent's log."""

    @pytest.fixture
    async def coder(self) -> AsyncIterator[CoderUnderTest]:
        async with aiohttp.ClientSession() as session:
            yield CoderUnderTest(REAL_URL, REAL_TOKEN, session)


async def test_the_double_is_steered_over_http_too(double: CoderDouble) -> None:
    token = str(uuid.uuid4())
    async with CoderRemote(double.url) as remote, aiohttp.ClientSession() as session:
        await remote.apply([AddAgent(token, ready=False), MakeReady(token)])
        await CoderUnderTest(double.url, token, session).send(line("hello"))
        [agent] = await remote.agents(token)
        assert [log.output for log in agent.logs] == ["hello"]
        assert (await remote.totals()).requests == {"logs 200": 1}
        with pytest.raises(DoubleRefused):
            await remote.apply([MakeReady(str(uuid.uuid4()))])
