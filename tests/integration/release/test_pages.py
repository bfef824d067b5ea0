"""What the HTTP side of both programs tells to whoever may ask: no secret, and of no workspace by name."""

from __future__ import annotations

import contextlib

import pytest

from tests.integration.release.rig import Release
from tests.integration.watcher.page import Page
from tests.integration.watcher.rig import until

NAMESPACE, POD = "hush-namespace", "hush-pod"
PATHS = ("/metrics", "/livez", "/readyz", "/", "/hush")


async def bodies(release: Release, watcher: Page) -> str:
    return "\n".join([await watcher.get(path) for path in PATHS])


@pytest.mark.parametrize("flags", [(), ("-n", NAMESPACE)], ids=["cluster", "named"])
async def test_no_page_tells_a_token_a_key_or_a_name(release: Release, flags: tuple[str, ...]) -> None:
    page = Page()
    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(release.watcher("--metrics-addr", page.addr, *flags))
        shipper = await stack.enter_async_context(release.shipper())
        token = release.workspace(POD, NAMESPACE)
        release.happen(POD, "hush-message", NAMESPACE)
        await until(lambda: _heard(release, token, 2))
        await page.until_ready()
        shown = [await bodies(release, page)]

        await release.rig.kube.stop()  # trouble is told, too

        async def unready() -> bool:
            return await page.get("/readyz") not in ("", "ok\n")

        await until(unready)
        shown.append(await bodies(release, page))
        shown += [(await shipper.page(path)).text for path in PATHS]
    assert all(shown)
    for secret in (token, token.replace("-", ""), release.rig.token_key, NAMESPACE, POD, "hush"):
        assert secret not in "".join(shown).replace("/hush", "")


async def test_a_refusal_by_the_api_server_is_told_without_the_namespace(release: Release) -> None:
    page = Page()
    flags = ("-n", NAMESPACE, "-f", "spec.color=red", "--probe-addr", page.addr)
    async with release.watcher(*flags) as watcher:

        async def unready() -> bool:
            return "field label not supported" in await page.get("/readyz")

        await until(unready)
        assert NAMESPACE not in await page.get("/readyz")
        assert NAMESPACE in watcher.log()  # where operators look


async def _heard(release: Release, token: str, count: int) -> bool:
    return len(release.heard(token)) >= count
