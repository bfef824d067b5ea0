"""Both programs and their queue over TLS to Redis: a private authority, client certificates, what is said if not."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import msgspec
import pytest

from tests.certificates import LOOPBACK, Authority
from tests.integration.release.rig import Release, released
from tests.redis_builds import SYSTEM
from tests.servers import free_port, running_redis

URL = "CODER_LOGSTREAM_REDIS_URL"
CREATED = "🐳 Created pod: web"


class Tls(msgspec.Struct, frozen=True):
    """A Redis with a TLS port that wants client certificates, and one that does not; and the files to reach them."""

    plain: str
    open: str
    mutual: str
    ca: Path
    other_ca: Path
    options: str
    """The client's certificate and key, as the URL takes them."""


def _write(folder: Path, name: str, *pems: bytes) -> Path:
    path = folder / name
    path.write_bytes(b"".join(pems))
    return path


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tls]:
    folder = tmp_path_factory.mktemp("tls")
    authority = Authority()
    certificate, key = authority.issue("redis", [LOOPBACK])
    client, client_key = authority.issue_client("coder-logstream")
    ca = _write(folder, "ca.pem", authority.certificate_pem)
    options = {
        "tls-cert-file": str(_write(folder, "redis.pem", certificate)),
        "tls-key-file": str(_write(folder, "redis-key.pem", key)),
        "tls-ca-cert-file": str(ca),
    }
    open_port, mutual_port = free_port(), free_port()
    binary = SYSTEM.binary()
    with (
        running_redis(
            binary, folder / "open", options | {"tls-port": str(open_port), "tls-auth-clients": "no"}
        ) as plain,
        running_redis(binary, folder / "mutual", options | {"tls-port": str(mutual_port)}),
    ):
        yield Tls(
            plain=plain.url,
            open=f"rediss://{LOOPBACK}:{open_port}/0",
            mutual=f"rediss://{LOOPBACK}:{mutual_port}/0",
            ca=ca,
            other_ca=_write(folder, "other.pem", Authority("other-ca").certificate_pem),
            options=f"ssl_certfile={_write(folder, 'client.pem', client)}"
            f"&ssl_keyfile={_write(folder, 'client-key.pem', client_key)}",
        )


@pytest.fixture
async def release(tls: Tls, prefix: str, tmp_path: Path) -> AsyncIterator[Release]:
    async with released(tls.plain, prefix, tmp_path) as release:
        yield release


async def delivers(release: Release, **environ: str) -> None:
    """Watcher and shipper start, meet, idle and deliver again, so all of their connections are used."""
    async with release.watcher(**environ) as watcher, release.shipper(**environ) as shipper:
        token = release.workspace("web")
        await release.until_heard(token, CREATED)
        release.happen("web", "once more")
        await release.until_heard(token, CREATED, "once more")
        await shipper.ready()
        await watcher.stop()
        await shipper.stop()


async def complain(release: Release, *words: str, **environ: str) -> None:
    """Both programs wait for Redis, and say in one line what keeps them from it."""
    async with release.watcher(**environ) as watcher, release.shipper(**environ) as shipper:
        await watcher.said('"warning"', *words)
        reason = await shipper.unready(*words)
        assert reason.count("\n") == 1
        assert "Traceback" not in watcher.log() + shipper.log()


async def test_a_private_authority_is_named_in_the_url(release: Release, tls: Tls) -> None:
    await delivers(release, **{URL: f"{tls.open}?ssl_ca_certs={tls.ca}"})


async def test_a_private_authority_is_named_by_ssl_cert_file(release: Release, tls: Tls) -> None:
    await delivers(release, **{URL: tls.open, "SSL_CERT_FILE": str(tls.ca)})


async def test_a_client_certificate_is_shown(release: Release, tls: Tls) -> None:
    await delivers(release, **{URL: f"{tls.mutual}?ssl_ca_certs={tls.ca}&{tls.options}"})


async def test_the_queue_may_be_elsewhere_with_options_of_its_own(release: Release, tls: Tls) -> None:
    queue = f"{tls.mutual}?ssl_ca_certs={tls.ca}&{tls.options}"
    await delivers(release, **{URL: f"{tls.open}?ssl_ca_certs={tls.ca}", "CODER_LOGSTREAM_QUEUE_URL": queue})


async def test_an_authority_that_is_not_trusted_is_said_with_the_option(release: Release, tls: Tls) -> None:
    words = ("certificate verify failed", "?ssl_ca_certs=FILE", "SSL_CERT_FILE")
    await complain(release, *words, **{URL: f"{tls.open}?ssl_ca_certs={tls.other_ca}"})


async def test_a_missing_client_certificate_is_said_with_the_options(release: Release, tls: Tls) -> None:
    await complain(
        release,
        "Redis wants a client certificate: ?ssl_certfile=FILE&ssl_keyfile=FILE",
        **{URL: f"{tls.mutual}?ssl_ca_certs={tls.ca}"},
    )


async def test_another_name_than_the_certificates_is_said(release: Release, tls: Tls) -> None:
    url = tls.open.replace(LOOPBACK, "localhost")
    await complain(
        release, "the name in the URL that Redis' certificate is for", **{URL: f"{url}?ssl_ca_certs={tls.ca}"}
    )


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ("ssl_ca_certs=/none.pem", "ssl_ca_certs: there is no /none.pem"),
        ("ssl_ca_certs=README.md", "ssl_ca_certs: README.md holds no certificates in PEM"),
        ("ssl_keyfile=README.md", "ssl_keyfile needs ssl_certfile"),
        ("ssl_certfile=README.md&ssl_keyfile=README.md", "no certificate with its key in PEM can be read"),
    ],
)
async def test_a_file_that_is_none_stops_the_start_with_its_option(release: Release, options: str, why: str) -> None:
    environ = {URL: f"rediss://{LOOPBACK}:1/0?{options}"}
    async with release.watcher(**environ) as watcher, release.shipper(**environ) as shipper:
        for process in (watcher, shipper):
            assert await process.process.wait() == 2
            assert process.log().count("\n") == 1
            assert why in process.log()
