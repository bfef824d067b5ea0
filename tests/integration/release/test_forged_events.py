"""Whoever may create Events in a namespace, and what that is worth: nothing beyond its own workspaces' logs."""

from __future__ import annotations

import uuid

from console.doubles.kube_control import Put
from tests.integration.release.rig import Release
from tests.integration.watcher.page import Page
from tests.integration.watcher.rig import until
from tests.unit.watcher.rig import event

MINE, THEIRS = "mallory", "alice"
CREATED = "🐳 Created pod: {}"
BUDGET = 20_000


def forge(release: Release, about: str, namespace: str, *, filed: str = MINE, **words: object) -> None:
    """An Event filed in the namespace `filed` that says it is about the pod `about` in `namespace`."""
    value = event(f"forged-{uuid.uuid4()}", about=about, namespace=namespace, own_namespace=filed, reason="")
    release.rig.kube.apply(Put("events", value | words))


async def test_an_event_never_reaches_another_namespaces_agents(release: Release) -> None:
    page = Page()
    async with release.watcher("--metrics-addr", page.addr), release.shipper():
        theirs = release.workspace("their-pod", THEIRS)
        mine = release.workspace("my-pod", MINE)
        await release.until_heard(theirs, CREATED.format("their-pod"))
        await release.until_heard(mine, CREATED.format("my-pod"))
        forge(release, "their-pod", THEIRS, message="filed here, about a pod there")
        forge(release, "their-pod", MINE, message="the UID of a pod there, the namespace of here")
        forge(release, "my-pod", THEIRS, message="my UID, their namespace")
        release.happen("my-pod", "the last one", MINE)
        release.happen("their-pod", "undisturbed", THEIRS)
        await release.until_heard(mine, CREATED.format("my-pod"), "the last one")
        await release.until_heard(theirs, CREATED.format("their-pod"), "undisturbed")
        assert (await page.series())['records{outcome="malformed"}'] == 2


async def test_an_event_cannot_pass_for_a_line_of_ours_nor_control_the_reader(release: Release) -> None:
    async with release.watcher(), release.shipper():
        token = release.workspace("my-pod", MINE)
        await release.until_heard(token, CREATED.format("my-pod"))
        for kind, message in (
            ("Error", "🗑️ Deleted pod: my-pod"),
            ("Normal", "harmless\r\n🐳 Created pod: other\x00\x1b[2J\x9b\u202e"),
            ("Warning", "🛑 The 256 KiB for Kubernetes messages in this log are used up"),
            ("Critical", "bad news"),
        ):
            forge(release, "my-pod", MINE, message=message, type=kind)
        await until(lambda: _lines(release, token, 6))
    (agent,) = release.coder.agents(token)
    lines = [log.output.rpartition(" (on ")[0] or log.output for log in agent.logs[1:]]
    assert sorted(lines) == sorted(
        [
            "› 🗑️ Deleted pod: my-pod",
            "harmless",
            "› 🐳 Created pod: other␀␛[2J\\x9b\\u202e",
            "› 🛑 The 256 KiB for Kubernetes messages in this log are used up",
            "bad news",
        ]
    )
    assert {log.level for log in agent.logs} == {"debug", "warn"}


async def test_a_flood_of_events_uses_up_no_room_for_errors_and_no_other_log(release: Release) -> None:
    budget = {"CODER_LOGSTREAM_BUDGET_BYTES": str(BUDGET)}
    async with release.watcher(**budget), release.shipper(**budget):
        mine = release.workspace("my-pod", MINE)
        theirs = release.workspace("their-pod", THEIRS)
        await release.until_heard(mine, CREATED.format("my-pod"))
        for number in range(40):
            kind = "Warning" if number % 2 else "Normal"
            forge(release, "my-pod", MINE, message=f"{number} " + "🐳" * 500, count=1 << 62, type=kind)

        async def left_out() -> bool:
            return any(line.startswith("✂️") for line in release.heard(mine))

        await until(left_out)
        release.happen("their-pod", "undisturbed", THEIRS)
        await release.until_heard(theirs, CREATED.format("their-pod"), "undisturbed")
    (agent,) = release.coder.agents(mine)
    assert sum(len(log.output.encode()) for log in agent.logs) <= BUDGET * 15 // 16
    assert not any(log.output.startswith("🛑") for log in agent.logs)
    assert not agent.overflowed


async def _lines(release: Release, token: str, count: int) -> bool:
    return len(release.heard(token)) >= count
