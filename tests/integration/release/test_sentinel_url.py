"""What is said when Sentinel cannot help; its own password, TLS to all; `run` and `forget-lost-key` by its address."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from common.crypto import new_token_key
from tests.certificates import LOOPBACK, Authority
from tests.integration.console.commands import clean_environ
from tests.integration.release.rig import Release, released
from tests.redis_builds import NEWEST, SYSTEM
from tests.sentinels import SERVICE, Guarded, running_sentinels, sentinel_process
from tests.servers import free_port, running_redis

URL = "CODER_LOGSTREAM_REDIS_URL"
CREATED = "🐳 Created pod: web"


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    with running_sentinels(NEWEST, tmp_path_factory.mktemp("sentinels"), count=1) as servers:
        yield servers


@pytest.fixture
async def release(servers: Guarded, prefix: str, tmp_path: Path) -> AsyncIterator[Release]:
    async with released(servers.url, prefix, tmp_path) as release:
        yield release


async def wait_with_words(release: Release, url: str, *words: str) -> None:
    async with release.watcher(**{URL: url}) as watcher, release.shipper(**{URL: url}) as shipper:
        await watcher.said('"warning"', *words)
        await shipper.unready(*words)
        for process in (watcher, shipper):
            assert process.process.returncode is None
            assert "Traceback" not in process.log()


async def delivers(release: Release, **environ: str) -> None:
    async with release.watcher(**environ), release.shipper(**environ) as shipper:
        token = release.workspace("web")
        await release.until_heard(token, CREATED)
        await shipper.ready()


async def test_a_service_that_sentinel_does_not_know_is_said_and_waited_for(servers: Guarded, release: Release) -> None:
    url = servers.url.replace(SERVICE, "other")
    await wait_with_words(release, url, "Sentinel knows no primary 'other'", "the service in the URL is not what")


async def test_sentinels_that_do_not_answer_are_said_and_waited_for(release: Release) -> None:
    url = f"redis+sentinel://127.0.0.1:{free_port()},127.0.0.1:{free_port()}/{SERVICE}"
    await wait_with_words(release, url, f"no Sentinel that answers knows a primary '{SERVICE}'", ": ConnectionError")


async def test_one_sentinel_that_answers_is_enough(servers: Guarded, release: Release) -> None:
    await delivers(release, **{URL: servers.url.replace("://", f"://127.0.0.1:{free_port()},")})


async def test_sentinels_own_password_is_an_option(servers: Guarded, release: Release, tmp_path: Path) -> None:
    with sentinel_process(
        NEWEST.binary(), tmp_path / "guarded", servers.primary.port, 1, "requirepass s3cret-of-sentinel\n"
    ) as port:
        url = f"redis+sentinel://127.0.0.1:{port}/{SERVICE}"
        await delivers(release, **{URL: f"{url}?sentinel_password=s3cret-of-sentinel"})
        await wait_with_words(release, url, "sentinel_password")
        await wait_with_words(release, f"{url}?sentinel_password=wrong-s3cret", "sentinel_password")


async def test_the_queue_may_be_behind_sentinel_alone(servers: Guarded, release: Release) -> None:
    await delivers(release, **{URL: servers.primary.url, "CODER_LOGSTREAM_QUEUE_URL": servers.url})


async def test_tls_goes_to_the_sentinels_too(prefix: str, tmp_path: Path) -> None:
    authority = Authority()
    certificate, key = authority.issue("redis", [LOOPBACK])
    for name, pem in (("redis", certificate), ("redis-key", key), ("ca", authority.certificate_pem)):
        (tmp_path / f"{name}.pem").write_bytes(pem)
    files = {
        "tls-cert-file": str(tmp_path / "redis.pem"),
        "tls-key-file": str(tmp_path / "redis-key.pem"),
        "tls-ca-cert-file": str(tmp_path / "ca.pem"),
        "tls-auth-clients": "no",
    }
    tls_port, sentinel_port, binary = free_port(), free_port(), SYSTEM.binary()
    options = {**files, "tls-port": str(tls_port)}
    conf = "".join(f"{name} {value}\n" for name, value in files.items())
    conf += f"tls-port {sentinel_port}\ntls-replication yes\n"
    with contextlib.ExitStack() as stack:
        plain = stack.enter_context(running_redis(binary, tmp_path / "redis", options))
        stack.enter_context(sentinel_process(binary, tmp_path / "sentinel", tls_port, 1, conf))
        async with released(plain.url, prefix, tmp_path) as release:
            url = f"rediss+sentinel://{LOOPBACK}:{sentinel_port}/{SERVICE}?ssl_ca_certs={tmp_path / 'ca.pem'}"
            await delivers(release, **{URL: url})


async def _console(*words: str, **environ: str) -> tuple[int | None, str]:
    program = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "console", *words,
        env=clean_environ(environ), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    output, _ = await asyncio.wait_for(program.communicate(), 60)
    return program.returncode, output.decode()


async def test_a_lost_key_is_forgotten_on_the_primary(servers: Guarded, release: Release, prefix: str) -> None:
    async with release.watcher() as watcher:
        token = release.workspace("web")
        await release.rig.until_said(token, "Pod Created")
        await watcher.stop()
    code, said = await _console(
        "forget-lost-key", "--redis-prefix", prefix,
        **{URL: servers.url, "CODER_LOGSTREAM_TOKEN_KEY": new_token_key()},
    )  # fmt: skip
    assert code == 0, said
    assert "1 waiting records of 1 agents are lost" in said


async def test_run_uses_one_that_is_given(servers: Guarded, release: Release, prefix: str, tmp_path: Path) -> None:
    environ = clean_environ(
        {
            URL: servers.url,
            "CODER_LOGSTREAM_REDIS_PREFIX": prefix,
            "CODER_LOGSTREAM_TOKEN_KEY": new_token_key(),
            "CODER_URL": release.coder.url,
            "KUBECONFIG": str(tmp_path / "kubeconfig"),
        }
    )
    program = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "console", "run", "--data-dir", str(tmp_path / "state"),
        env=environ, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        token = release.workspace("web")
        await release.until_heard(token, CREATED)
    finally:
        program.terminate()
        assert await asyncio.wait_for(program.wait(), 60) == 0
