"""A Coder that is none, or that cannot be trusted: real shipper processes say what, why and what to do, and wait.

Each story has the same end: what was wrong is mended, and everything that was said meanwhile arrives, once.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from console.doubles.coder import CoderDouble
from console.doubles.faults import Answer, Injection
from tests.certificates import LOOPBACK, Authority
from tests.integration.shipper.process import Feed, Shipper, feeding, shipper
from tests.integration.shipper.rig import until
from tests.servers import free_port

FOR_EVER = 1_000_000
NO_SUCH_ROUTE = Answer(404, '{"message":"Route not found."}')
WEB_PAGE = Answer(200, "<!doctype html><title>Welcome</title>", {"Content-Type": "text/html"})


@contextlib.asynccontextmanager
async def trouble(
    tmp_path: Path, redis_url: str, prefix: str, double: CoderDouble, **extra: str
) -> AsyncIterator[tuple[Feed, Shipper]]:
    """A shipper for `double`, which may or may not be there yet."""
    async with (
        feeding(redis_url, prefix, double) as feed,
        shipper(tmp_path, double.url, redis_url, prefix, feed.key, extra) as process,
    ):
        yield feed, process


def troubles(process: Shipper) -> list[str]:
    """What the log says of Coder, each thing once."""
    return [str(line["trouble"]) for line in process.events() if line["event"] == "no usable Coder"]


async def arrives_once(feed: Feed, token: str, *messages: str) -> None:
    await until(lambda: len(feed.rig.heard(token)) >= len(messages))
    await feed.say(token, "and on")
    await until(lambda: len(feed.rig.heard(token)) > len(messages))
    assert feed.rig.heard(token) == [*messages, "and on"]
    assert await feed.rig.client.hget(feed.rig.keys.facts(feed.rig.vault.agent_id(token)), "dropped") is None


async def test_a_coder_too_old_is_named_with_the_version_it_needs(tmp_path: Path, redis_url: str, prefix: str) -> None:
    async with CoderDouble() as double:
        old = Answer(200, '{"version":"v2.9.1+abc"}')
        double.faults.add(Injection(old, FOR_EVER, {"endpoint": "buildinfo"}))
        double.faults.add(Injection(NO_SUCH_ROUTE, FOR_EVER, {"endpoint": "log_source"}))
        double.faults.add(Injection(NO_SUCH_ROUTE, FOR_EVER, {"endpoint": "logs"}))
        async with trouble(tmp_path, redis_url, prefix, double) as (feed, process):
            token = await feed.rig.agent()
            await feed.say(token, "one", "two")
            await process.unready(double.url, "v2.9.1+abc", "2.13 or newer is needed", "upgrade")
            await until(lambda: double.totals().requests.get("log_source 404", 0) >= 2)
            double.faults.clear()
            await process.ready()
            await arrives_once(feed, token, "one", "two")
        (line,) = troubles(process)
        assert "upgrade Coder" in line


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (NO_SUCH_ROUTE, "answers 404 to /api/v2/buildinfo; is CODER_URL right?"),
        (WEB_PAGE, "not as Coder does: is CODER_URL right, or a login page before it?"),
        (Answer(302, "", {"Location": "https://sso.example.com/login"}), "redirects to https://sso.example.com/login"),
    ],
)
async def test_a_url_that_is_not_coders_is_named_and_loses_nothing(
    tmp_path: Path, redis_url: str, prefix: str, answer: Answer, says: str
) -> None:
    async with CoderDouble() as double:
        double.faults.add(Injection(answer, FOR_EVER))
        async with trouble(tmp_path, redis_url, prefix, double) as (feed, process):
            token = await feed.rig.agent()
            await feed.say(token, "one", "two")
            await process.unready(double.url, says)
            await until(lambda: double.totals().requests.get(f"log_source {answer.status}", 0) >= 2)
            double.faults.clear()
            await process.ready()
            await arrives_once(feed, token, "one", "two")
        (line,) = troubles(process)
        assert says in line


async def test_an_unreachable_coder_is_named_and_loses_nothing(tmp_path: Path, redis_url: str, prefix: str) -> None:
    double = CoderDouble(f"127.0.0.1:{free_port()}")
    async with trouble(tmp_path, redis_url, prefix, double) as (feed, process):
        token = await feed.rig.agent()
        await feed.say(token, "one", "two")
        await process.unready(double.url, "is unreachable", "is CODER_URL right, and may this machine reach it?")
        async with double:
            await process.ready()
            await arrives_once(feed, token, "one", "two")
        await process.unready("is unreachable")  # said again when it goes away again


async def test_a_certificate_of_an_authority_of_ones_own_is_named_and_trusted_once_its_file_is_given(
    tmp_path: Path, redis_url: str, prefix: str
) -> None:
    authority = Authority()
    ca_file = tmp_path / "ca.pem"
    ca_file.write_bytes(authority.certificate_pem)
    double = CoderDouble()
    double.tls = authority.server_context(LOOPBACK)
    async with double, feeding(redis_url, prefix, double) as feed:
        token = await feed.rig.agent()
        await feed.say(token, "one", "two")
        async with shipper(tmp_path, double.url, redis_url, prefix, feed.key) as process:
            await process.unready(double.url, "TLS", "certificate verify failed", "SSL_CERT_FILE")
            await process.stop()
        assert double.totals().requests == {}, "no token went to a server that was not trusted"
        trusting = {"SSL_CERT_FILE": str(ca_file)}
        async with shipper(tmp_path, double.url, redis_url, prefix, feed.key, trusting) as process:
            await process.ready()
            await arrives_once(feed, token, "one", "two")


async def test_a_certificate_for_another_name_is_named_and_loses_nothing(
    tmp_path: Path, redis_url: str, prefix: str
) -> None:
    authority = Authority()
    ca_file = tmp_path / "ca.pem"
    ca_file.write_bytes(authority.certificate_pem)
    double = CoderDouble(f"127.0.0.1:{free_port()}")
    double.tls = authority.server_context("coder.example.com")
    async with trouble(tmp_path, redis_url, prefix, double, SSL_CERT_FILE=str(ca_file)) as (feed, process):
        async with double:
            token = await feed.rig.agent()
            await feed.say(token, "one", "two")
            await process.unready("TLS", "mismatch", "must use a name that Coder's certificate is for")
        double.tls = authority.server_context(LOOPBACK)
        async with double:
            await process.ready()
            await arrives_once(feed, token, "one", "two")


async def test_a_directory_of_authorities_is_trusted(tmp_path: Path, redis_url: str, prefix: str) -> None:
    authority = Authority()
    directory = tmp_path / "authorities"
    directory.mkdir()
    for each in (Authority("another-ca"), authority):
        (directory / each.hashed_name).write_bytes(each.certificate_pem)
    double = CoderDouble()
    double.tls = authority.server_context(LOOPBACK)
    async with double, trouble(tmp_path, redis_url, prefix, double, SSL_CERT_DIR=str(directory)) as (feed, process):
        token = await feed.rig.agent()
        await feed.say(token, "one", "two")
        await process.ready()
        await arrives_once(feed, token, "one", "two")


async def test_plain_http_where_https_was_meant_is_named(tmp_path: Path, redis_url: str, prefix: str) -> None:
    async with CoderDouble() as double, feeding(redis_url, prefix, double) as feed:
        wrong = double.url.replace("http:", "https:")
        async with shipper(tmp_path, wrong, redis_url, prefix, feed.key) as process:
            await process.unready(wrong, "TLS", "is it https:// that this port speaks?")
