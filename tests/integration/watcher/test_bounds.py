"""What a watcher has no room for: real process, real Redis; counted, and said to who is concerned."""

from common.crypto import TokenVault
from tests.integration.watcher.rig import Rig, until
from tests.unit.watcher.rig import OTHER_TOKEN, TOKEN, agent_env, event, pod


async def test_a_pod_beyond_the_bound_is_said_in_its_log_and_leaves_nothing_behind(rig: Rig) -> None:
    async with rig.watcher("--known-max", "1") as watcher:
        await rig.watching()
        rig.put("pods", pod("first"))
        await rig.until_said(TOKEN, "Pod Created")
        rig.put("pods", pod("second", env=agent_env(OTHER_TOKEN)))
        await rig.until_said(OTHER_TOKEN, "Pod NotFollowed")
        vault = await TokenVault.open(rig.client, rig.keys, [rig.token_key])
        facts = rig.keys.facts(vault.agent_id(OTHER_TOKEN))

        async def released() -> bool:
            return await rig.client.hget(facts, "objects") == b"0"

        await until(released)
        rig.delete("pods", "first")
        await rig.until_said(TOKEN, "Pod Created", "Pod Deleted")
        rig.put("pods", pod("second", env=agent_env(OTHER_TOKEN), phase="Running"))
        await rig.until_said(OTHER_TOKEN, "Pod NotFollowed", "Pod Created")
        await watcher.stop()


async def test_events_that_could_not_wait_are_said_when_their_pod_comes(rig: Rig) -> None:
    async with rig.watcher("--parked-max", "2") as watcher:
        await rig.watching()
        rig.put("pods", pod("other", env=agent_env(OTHER_TOKEN)))
        for number in range(5):
            rig.put("events", event(f"e{number}", about="first", reason=f"R{number}"))
        rig.put("events", event("marker", about="other"))
        await rig.until_said(OTHER_TOKEN, "Pod Created", "Pod Scheduled x1")
        rig.put("pods", pod("first"))
        await rig.until_said(TOKEN, "Pod Created", "Pod NotKept", "Pod R3 x1", "Pod R4 x1")
        (note,) = [record for record in await rig.records(TOKEN) if record.reason == "NotKept"]
        assert note.count == 3
        await watcher.stop()
