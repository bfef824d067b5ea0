"""Token keys change, get lost or are done without, under real programs."""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import AsyncExitStack

from common.crypto import TokenVault, UnreadableToken, new_token_key
from common.settings.token_keys import PLAINTEXT_KEY
from common.store.model import decode_card
from tests.integration.release.rig import Release
from tests.integration.watcher.rig import REPOSITORY, until

KEY = "CODER_LOGSTREAM_TOKEN_KEY"
PLAINTEXT = {KEY: "", "CODER_LOGSTREAM_INSECURE_PLAINTEXT_TOKENS": "true"}
CREATED = "🐳 Created pod: web"


async def sealed_under(release: Release, token: str, key: str, *, all_keys: str) -> bool:
    """Whether the agent's card and what the watcher remembers of the object are sealed under `key` alone."""
    rig = release.rig
    vault = await TokenVault.open(rig.client, rig.keys, all_keys.split(","))
    only = await TokenVault.open(rig.client, rig.keys, [key])
    raw = await rig.client.get(rig.keys.agent(vault.agent_id(token)))
    assert isinstance(raw, bytes)
    try:
        return only.unseal(decode_card(raw).sealed_token) == token
    except UnreadableToken:
        return False


async def forget_lost_key(release: Release, key: str) -> tuple[int, str]:
    rig = release.rig
    environ = {
        **os.environ,
        "CODER_LOGSTREAM_REDIS_URL": rig.redis_url,
        "CODER_LOGSTREAM_REDIS_PREFIX": rig.keys.prefix,
        KEY: key,
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "console", "forget-lost-key",
        cwd=REPOSITORY, env=environ, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await process.communicate()
    assert out == b""
    return process.returncode or 0, err.decode()


async def test_a_key_is_rotated_one_program_at_a_time_and_no_line_waits_or_comes_twice(release: Release) -> None:
    old, new = release.rig.token_key, new_token_key()
    both, told = f"{new},{old}", [CREATED]
    async with AsyncExitStack() as stack:
        watcher = await stack.enter_async_context(release.watcher())
        shipper = await stack.enter_async_context(release.shipper())
        token = release.workspace("web")
        await release.until_heard(token, *told)
        before = await TokenVault.open(release.rig.client, release.rig.keys, [old])
        for keys in (both, new):
            await shipper.stop()
            shipper = await stack.enter_async_context(release.shipper(**{KEY: keys}))
            release.happen("web", f"shipper {len(told)}")
            told.append(f"shipper {len(told)}")
            await release.until_heard(token, *told)

            await watcher.stop()
            release.happen("web", f"away {len(told)}")
            told.append(f"away {len(told)}")
            watcher = await stack.enter_async_context(release.watcher(**{KEY: keys}))
            await release.until_heard(token, *told)
            await until(lambda: sealed_under(release, token, new, all_keys=both))
        assert "waits for a token key" not in shipper.log()
    after = await TokenVault.open(release.rig.client, release.rig.keys, [new])
    assert after.agent_id(token) == before.agent_id(token)
    assert await release.rig.client.get(release.rig.keys.agent(after.agent_id(token)))


async def test_a_key_taken_away_too_early_costs_a_list_and_no_line(release: Release) -> None:
    old, new = release.rig.token_key, new_token_key()
    async with release.watcher() as watcher:
        token = release.workspace("web")
        await release.rig.until_said(token, "Pod Created")
        await release.rig.until_saved("pods")
        await watcher.stop()
    await TokenVault.open(release.rig.client, release.rig.keys, [new, old])  # wraps the digest key, and no more
    assert not await sealed_under(release, token, new, all_keys=new)
    async with release.watcher(**{KEY: new}) as watcher, release.shipper(**{KEY: new}):
        await watcher.said("saved objects cannot be read", "listed anew", "pods")
        await until(lambda: sealed_under(release, token, new, all_keys=new))
        release.happen("web", "still here")
        await release.until_heard(token, CREATED, "still here")


async def test_a_lost_key_heals_by_an_explicit_step_and_says_what_is_lost(release: Release) -> None:
    new = new_token_key()
    async with release.watcher() as watcher:
        await release.rig.watching()
        token = release.workspace("web")
        ready = release.workspace("old", ready=True, started=True, phase="Running")
        release.happen("web", "waits in vain")
        await release.rig.until_said(token, "Pod Created", "Pod  x1")
        await release.rig.until_said(ready, "Pod Created")
        refused = "so somebody has the token key"
        code, said = await forget_lost_key(release, new)
        assert (code, refused in said) == (1, True)
        await watcher.stop()
    assert "the token key fits" in (await forget_lost_key(release, release.rig.token_key))[1]

    async with release.watcher(**{KEY: new}) as watcher:
        assert await watcher.process.wait() == 1
        assert "coder-logstream forget-lost-key" in watcher.log()
    code, said = await forget_lost_key(release, new)
    assert (code, "3 waiting records of 2 agents are lost" in said) == (0, True), said

    release.rig.token_key = new
    async with release.watcher() as watcher, release.shipper():
        await release.until_heard(token, CREATED, "waits in vain")  # Kubernetes still had it: the pod is not ready
        release.happen("old", "from now on")
        await release.until_heard(ready, "from now on")
    leftover = [key async for key in release.rig.client.scan_iter(match=f"{release.rig.keys.tag}agent:*")]
    assert len(leftover) == 2


async def test_without_a_token_key_no_program_starts(release: Release) -> None:
    async with release.watcher(**{KEY: ""}) as watcher, release.shipper(**{KEY: ""}) as shipper:
        for process in (watcher, shipper):
            assert await process.process.wait() == 2
            assert process.log().count("\n") == 1
            assert "--insecure-plaintext-tokens" in process.log()


async def test_plain_tokens_are_asked_for_and_warned_of_and_lead_to_a_key_by_rotation(release: Release) -> None:
    async with release.watcher(**PLAINTEXT) as watcher, release.shipper(**PLAINTEXT) as shipper:
        token = release.workspace("web")
        await release.until_heard(token, CREATED)
        for log in (watcher.log(), shipper.log()):
            assert '"warning"' in log
            assert "NOT encrypted" in log
        assert await sealed_under(release, token, PLAINTEXT_KEY, all_keys=PLAINTEXT_KEY)
        await watcher.stop()
        await shipper.stop()
    key = release.rig.token_key
    async with release.watcher() as watcher, release.shipper() as shipper:
        for process in (watcher, shipper):  # a key alone does not fit plain tokens
            assert await process.process.wait() == 1
            assert "hold plain tokens (--insecure-plaintext-tokens)" in process.log()
    keys = {KEY: f"{key},{PLAINTEXT_KEY}"}
    async with release.watcher(**keys) as watcher, release.shipper(**keys):
        release.happen("web", "sealed now")
        await release.until_heard(token, CREATED, "sealed now")
        await until(lambda: sealed_under(release, token, key, all_keys=key))
        assert "take the second token key away soon" in watcher.log()
    async with release.watcher(**PLAINTEXT) as watcher:  # and there is no way back by accident
        assert await watcher.process.wait() == 1
        assert "are encrypted, so --insecure-plaintext-tokens cannot be used" in watcher.log()
