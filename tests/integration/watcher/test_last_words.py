"""What a container wrote last before it crashed: read once, told after its ending, and never in the way of anything."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from common.record import Aspect, LogRecord
from console.doubles.faults import Answer, Hang, Injection
from console.doubles.kube_control import Forbid, Inject, PutLog
from tests.integration.watcher.rig import Rig, until
from tests.unit.watcher.rig import OTHER_TOKEN, TOKEN, agent_env, event, pod
from watcher.publisher import SAVE_EVERY_S

ON = ("--crash-log-lines", "3")
LOG = {"verb": "get", "resource": "pods/log"}
OUTPUT = "starting\nconnecting to postgres://me:hunter2@db/x\nTOKEN=" + TOKEN + "\n\x1b[31mpanic\x1b[0m: no route\n"


def ended(number: int, code: int = 1) -> dict[str, Any]:
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    told = {"exitCode": code, "reason": "Error", "containerID": f"cd://{number}", "startedAt": at, "finishedAt": at}
    return {"terminated": told}


def crashed(number: int, *, restarted: bool = False, code: int = 1, **more: Any) -> dict[str, Any]:
    """A pod whose n-th container ended, and waits or was started again."""
    value = pod(started=True, **more)
    value["spec"]["nodeName"] = "node"
    shown: dict[str, Any] = {"state": ended(number, code), "restartCount": number - 1}
    if restarted:
        shown = {"state": {"running": {}}, "lastState": shown["state"], "restartCount": number}
    value["status"]["containerStatuses"][0] |= {"containerID": f"cd://{number + restarted}", **shown}
    return value


async def words(rig: Rig, token: str = TOKEN) -> list[LogRecord]:
    return [each for each in await rig.records(token) if each.details and each.details.aspect == Aspect.LAST_WORDS]


async def until_words(rig: Rig, count: int, token: str = TOKEN) -> list[LogRecord]:
    async def there() -> bool:
        return len(await words(rig, token)) >= count

    await until(there)
    return await words(rig, token)


def asked(rig: Rig, status: int = 200) -> int:
    return rig.kube.totals().requests.get(f"get pods/log {status}", 0)


async def test_the_last_words_follow_the_ending_without_what_is_secret(rig: Rig) -> None:
    rig.kube.apply(PutLog("cd://1", OUTPUT))
    async with rig.watcher(*ON) as watcher:
        await rig.watching()
        rig.put("pods", crashed(1))
        (told,) = await until_words(rig, 1)
        assert told.message.split("\n") == [
            "connecting to postgres://[redacted]@db/x",
            "TOKEN=[redacted]",
            "\x1b[31mpanic\x1b[0m: no route",
        ]
        assert await rig.said(TOKEN) == ["Pod Created", "Pod Error", "Pod LastWords"]
        assert (told.level, told.container) == ("error", "c")
        await watcher.stop()
    assert TOKEN not in watcher.log()


async def test_without_the_setting_no_log_is_asked_for(rig: Rig) -> None:
    rig.kube.apply(PutLog("cd://1", OUTPUT))
    async with rig.watcher():
        await rig.watching()
        rig.put("pods", crashed(1))
        await rig.until_said(TOKEN, "Pod Created", "Pod Error")
        rig.put("events", event())
        await rig.until_said(TOKEN, "Pod Created", "Pod Error", "Pod Scheduled x1")
    assert asked(rig) == 0


async def test_what_was_started_again_is_read_as_the_previous_one(rig: Rig) -> None:
    for number in (1, 2):
        rig.kube.apply(PutLog(f"cd://{number}", f"I am number {number}\n"))
    async with rig.watcher(*ON):
        await rig.watching()
        rig.put("pods", crashed(1, restarted=True))
        (told,) = await until_words(rig, 1)
    assert told.message == "I am number 1"


async def test_nothing_waits_for_a_log_that_does_not_come(rig: Rig) -> None:
    rig.kube.apply(PutLog("cd://1", OUTPUT))
    rig.kube.apply(Inject(Injection(Hang(), where=LOG)))
    async with rig.watcher(*ON):
        await rig.watching()
        rig.put("pods", crashed(1))
        await rig.until_said(TOKEN, "Pod Created", "Pod Error")
        rig.put("events", event())
        rig.put("pods", pod("other", env=agent_env(OTHER_TOKEN)))
        await rig.until_said(OTHER_TOKEN, "Pod Created")
        await rig.until_said(TOKEN, "Pod Created", "Pod Error", "Pod Scheduled x1")


async def test_a_watcher_killed_between_the_ending_and_the_log_reads_it_when_it_is_back(rig: Rig) -> None:
    rig.kube.apply(PutLog("cd://1", "the end\n"))
    async with rig.watcher(*ON) as watcher:
        await rig.watching()
        rig.put("pods", pod("other", env=agent_env(OTHER_TOKEN)))
        await rig.until_saved("pods")
        before = await rig.position("pods")
        rig.kube.apply(Inject(Injection(Hang(), times=1, where=LOG)))
        rig.put("pods", crashed(1))
        await rig.until_said(TOKEN, "Pod Created", "Pod Error")
        rig.put("pods", pod("other", env=agent_env(OTHER_TOKEN), version="12", ready=True, started=True))
        await asyncio.sleep(1.5 * SAVE_EVERY_S)
        assert await rig.position("pods") == before
        watcher.process.kill()
        await watcher.process.wait()
    async with rig.watcher(*ON):
        await rig.until_said(TOKEN, "Pod Created", "Pod Error", "Pod LastWords")
        await rig.until_saved("pods")


async def test_a_stop_before_the_log_was_read_loses_it_as_little(rig: Rig) -> None:
    rig.kube.apply(PutLog("cd://1", "the end\n"))
    rig.kube.apply(Inject(Injection(Hang(), times=1, where=LOG)))
    async with rig.watcher(*ON) as watcher:
        await rig.watching()
        rig.put("pods", crashed(1))
        await rig.until_said(TOKEN, "Pod Created", "Pod Error")
        await watcher.stop()
    async with rig.watcher(*ON):
        await rig.until_said(TOKEN, "Pod Created", "Pod Error", "Pod LastWords")


async def test_two_watchers_that_each_read_it_tell_it_once(rig: Rig) -> None:
    """They watch different sets, so they do not share, and both see the pod."""
    rig.kube.apply(PutLog("cd://1", "the end\n"))
    async with rig.watcher(*ON), rig.watcher(*ON, "--namespaces", "ns"):
        await rig.watching(6)
        rig.put("pods", crashed(1))

        async def both() -> bool:
            return asked(rig) >= 2

        await until(both)
        await until_words(rig, 1)
        rig.put("events", event())
        await rig.until_said(TOKEN, "Pod Created", "Pod Error", "Pod LastWords", "Pod Scheduled x1")


async def test_what_is_forbidden_is_said_once_and_not_asked_again(rig: Rig) -> None:
    rig.kube.apply(PutLog("cd://1", "the end\n"))
    rig.kube.apply(Forbid(resource="pods/log"))
    async with rig.watcher(*ON) as watcher:
        await rig.watching()
        rig.put("pods", crashed(1))
        await watcher.said("permission denied", "pods/log", "get on pods/log")
        rig.put("pods", crashed(2, code=2))
        await rig.until_said(TOKEN, "Pod Created", "Pod Error", "Pod Error")
        await rig.until_saved("pods")
        assert watcher.log().count("permission denied") == 1
    assert asked(rig, 403) == 1


async def test_a_passing_failure_is_tried_again(rig: Rig) -> None:
    rig.kube.apply(PutLog("cd://1", "the end\n"))
    busy = Answer(500, '{"kind":"Status","message":"dial tcp 10.0.0.1:10250: connect: connection refused"}')
    rig.kube.apply(Inject(Injection(busy, times=2, where=LOG)))
    async with rig.watcher(*ON):
        await rig.watching()
        rig.put("pods", crashed(1))
        (told,) = await until_words(rig, 1)
    assert (told.message, asked(rig, 500)) == ("the end", 2)


async def test_a_pattern_of_the_operators_is_taken_out_too(rig: Rig, tmp_path: Any) -> None:
    (tmp_path / "patterns").write_text("# ours\nemp-[0-9]{6}\n")
    rig.kube.apply(PutLog("cd://1", "hello emp-123456, bye\n"))
    async with rig.watcher(*ON, "--crash-log-redact-file", str(tmp_path / "patterns")):
        await rig.watching()
        rig.put("pods", crashed(1))
        (told,) = await until_words(rig, 1)
    assert told.message == "hello [redacted], bye"


async def test_a_loop_tells_words_that_are_new_only(rig: Rig) -> None:
    for number, text in enumerate(("took 3 s\n", "took 7 s\n", "no disk\n"), start=1):
        rig.kube.apply(PutLog(f"cd://{number}", text))
    async with rig.watcher(*ON):
        await rig.watching()
        for number in (1, 2, 3):
            rig.put("pods", crashed(number, code=number))
            await rig.until_saved("pods")  # not before the words are read
        told = await until_words(rig, 2)
    assert [each.message for each in told] == ["took 3 s", "no disk"]
