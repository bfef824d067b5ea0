"""Whose last words are read, how often, and what they hold back."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from random import Random
from typing import Any, cast

import pytest

from common.ids import Uid
from common.record import Aspect
from tests.unit.watcher.rig import Rig, event, pod, take_list, until
from watcher.kube_errors import Forbidden, Unreachable
from watcher.last_words import FORBIDDEN_AGAIN_S, GIVE_UP_S, OLD_S, WANTED_MAX, CrashLogs, LastWords
from watcher.publisher import Publisher
from watcher.redactor import Redactor
from watcher.words import Words

PATH = "/api/v1/namespaces/ns/pods/pod-1"
UNIX_S = 1_800_001_000
"""What the rig's clock shows."""


class Logs:
    """`get` from the rig's table of objects, logs from this one by `previous`."""

    def __init__(self, rig: Rig) -> None:
        self._rig = rig
        self.text: bytes | Exception = b"the end\n"
        self.asked = 0
        self.open = asyncio.Event()
        self.open.set()

    async def get(self, path: str, query: Mapping[str, str] | None = None) -> bytes:
        return await self._rig.api.get(path, query)

    async def get_beginning(self, path: str, query: Mapping[str, str], max_bytes: int) -> bytes:
        self.asked += 1
        await self.open.wait()
        if isinstance(self.text, Exception):
            raise self.text
        return self.text


class Speaking:
    """A rig whose crashes have last words."""

    def __init__(self, share_bytes: int = 1_000, lines: int = 3) -> None:
        self._show = CrashLogs(lines, share_bytes, Redactor())
        self.rig = Rig(words=self._words)

    def _words(self, rig: Rig) -> Words:
        self.logs = Logs(rig)
        publisher = cast(Publisher, rig.outbox)
        self.words = LastWords(
            self._show, self.logs, rig.directory, rig.vault, publisher, rig.metrics, rig.clock, Random(1)
        )
        return self.words

    async def show(self, number: int = 1, *, version: str = "11", uid: str = "pod-1", **ending: Any) -> None:
        """The n-th container of the pod has ended."""
        value = crashed(number, version=version, uid=uid, **ending)
        self.rig.api.objects[f"/api/v1/namespaces/ns/pods/{uid}"] = value
        await self.rig.deliver("pods", "MODIFIED", value)

    @contextlib.asynccontextmanager
    async def reading(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.words.run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def counted(self, outcome: str) -> float:
        return float(self.rig.metrics.crash_logs.labels(outcome)._value.get())  # noqa: SLF001

    @property
    def said(self) -> list[str]:
        records = self.rig.outbox.records
        return [each.message for each in records if each.details and each.details.aspect == Aspect.LAST_WORDS]

    def position(self) -> str:
        self.rig.pods.save()
        return self.rig.outbox.positions.get("pods/*", "")


def crashed(
    number: int,
    *,
    version: str = "11",
    uid: str = "pod-1",
    code: int = 1,
    reason: str = "Error",
    container_id: str | None = None,
    group: str = "containerStatuses",
    deleting: bool = False,
    ended_s: float = UNIX_S,
    message: str = "",
) -> dict[str, Any]:
    value = pod(uid, version=version, started=True, deleting=deleting)
    at = datetime.fromtimestamp(ended_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    ended = {"exitCode": code, "reason": reason, "message": message, "startedAt": at, "finishedAt": at}
    ended["containerID"] = f"cd://{number}" if container_id is None else container_id
    value["status"].pop("containerStatuses")
    value["status"][group] = [{"name": "c", "restartCount": number - 1, "state": {"terminated": ended}}]
    return value


async def test_the_words_come_after_the_ending_and_hold_the_position_back_until_then() -> None:
    speaking = Speaking()
    await speaking.rig.deliver("pods", "ADDED", pod(version="10"))
    speaking.logs.open.clear()
    async with speaking.reading():
        await speaking.show(version="11")
        await speaking.rig.deliver("pods", "MODIFIED", pod("other", version="12"))
        await until(lambda: speaking.logs.asked == 1)
        assert (speaking.said, speaking.position()) == ([], "10")
        speaking.logs.open.set()
        await until(lambda: bool(speaking.said))
        assert speaking.position() == "12"
    assert speaking.rig.outbox.said[-3:] == ["Pod Error", "Pod Created", "Pod LastWords"]
    assert speaking.counted("told") == 1


async def test_what_a_list_showed_holds_everything_back() -> None:
    speaking = Speaking()
    await take_list(speaking.rig, pods=[crashed(1, version="11")], version="50")
    assert speaking.position() == ""
    speaking.rig.api.objects[PATH] = crashed(1, version="11")
    async with speaking.reading():
        await until(lambda: bool(speaking.said))
    assert speaking.position() == "50"


@pytest.mark.parametrize(
    "ending",
    [
        {"code": 0, "reason": "Completed"},
        {"reason": "StartError", "code": 128},
        {"reason": "ContainerCannotRun", "code": 127},
        {"container_id": ""},
        {"deleting": True},
        {"group": "ephemeralContainerStatuses"},
        {"ended_s": UNIX_S - OLD_S - 1},
    ],
    ids=["well", "not started", "not run", "nameless", "asked to", "somebody looking in", "long ago"],
)
async def test_whose_log_is_not_asked_for(ending: dict[str, Any]) -> None:
    speaking = Speaking()
    await speaking.rig.deliver("pods", "ADDED", pod(version="10"))
    await speaking.show(**ending)
    async with speaking.reading():
        await asyncio.sleep(0)
    assert speaking.logs.asked == 0
    assert speaking.position() == "11"


async def test_out_of_memory_is_a_crash_whatever_the_exit_code() -> None:
    speaking = Speaking()
    await speaking.rig.deliver("pods", "ADDED", pod(version="10"))
    async with speaking.reading():
        await speaking.show(code=0, reason="OOMKilled")
        await until(lambda: bool(speaking.said))


async def test_a_repeat_that_is_held_holds_the_position_for_its_words_too() -> None:
    speaking = Speaking()
    rig = speaking.rig
    await rig.deliver("pods", "ADDED", pod(version="10"))
    for number in (1, 2, 3):
        await speaking.show(number, version=str(10 + number))
    assert [each.version for each in rig.outbox.records if each.reason == "Error"] == [1, 2]
    rig.clock.now_s += 16
    rig.router.tick()
    assert [each.version for each in rig.outbox.records if each.reason == "Error"] == [1, 2, 3]
    assert speaking.position() == "12"
    async with speaking.reading():
        await until(lambda: bool(speaking.said))
    assert speaking.position() == "13"
    assert speaking.counted("superseded") == 2


async def test_a_pod_that_is_shown_again_is_read_once() -> None:
    speaking = Speaking()
    await speaking.rig.deliver("pods", "ADDED", pod(version="10"))
    async with speaking.reading():
        await speaking.show()
        await until(lambda: bool(speaking.said))
        await speaking.show(version="12")
        await take_list(speaking.rig, pods=[crashed(1, version="12")])
        await asyncio.sleep(0.01)
    assert (len(speaking.said), speaking.logs.asked) == (1, 1)


async def test_an_ending_that_is_told_again_meanwhile_is_asked_for_once_and_holds_what_it_held() -> None:
    speaking = Speaking()
    await speaking.rig.deliver("pods", "ADDED", pod(version="10"))
    speaking.logs.open.clear()
    async with speaking.reading():
        await speaking.show()
        await until(lambda: speaking.logs.asked == 1)
        await take_list(speaking.rig, pods=[])
        known = speaking.rig.directory.get(Uid("pod-1"))
        assert known is not None
        speaking.rig.router.ending(known)  # forgets what was reported
        await speaking.show(version="60")
        assert speaking.words.oldest_before("pods/*") == "10"
        speaking.logs.open.set()
        await until(lambda: bool(speaking.said))
    assert (speaking.logs.asked, speaking.counted("superseded")) == (1, 0)


async def test_words_that_differ_in_numbers_only_are_the_same() -> None:
    speaking = Speaking()
    await speaking.rig.deliver("pods", "ADDED", pod(version="10"))
    async with speaking.reading():
        for number, text in enumerate((b"took 1 s\n", b"took 2 s\n", b"no room\n"), start=1):
            speaking.logs.text = text
            await speaking.show(number, code=number, version=str(10 + number))
            await until(lambda number=number: speaking.logs.asked == number)  # type: ignore[misc]
            await until(lambda: not speaking.words.oldest_before("pods/*"))
    assert speaking.said == ["took 1 s", "no room"]
    assert speaking.counted("same") == 1


async def test_the_words_of_one_pod_have_their_share_and_no_more() -> None:
    speaking = Speaking(share_bytes=20)
    await speaking.rig.deliver("pods", "ADDED", pod(version="10"))
    async with speaking.reading():
        for number, text in enumerate((b"a dozen or so\n", b"a dozen more\n", b"few\n"), start=1):
            speaking.logs.text = text
            await speaking.show(number, code=number, version=str(10 + number))
            await until(lambda: not speaking.words.oldest_before("pods/*"))
    assert speaking.said == ["a dozen or so", "few"]
    assert speaking.counted("over_share") == 1


async def test_what_the_termination_message_says_is_not_told_again() -> None:
    speaking = Speaking()
    await speaking.rig.deliver("pods", "ADDED", pod(version="10"))
    async with speaking.reading():
        await speaking.show(message="the end\n")
        await until(lambda: speaking.counted("same") == 1)
    assert speaking.said == []


async def test_one_that_wrote_nothing_has_no_words() -> None:
    speaking = Speaking()
    speaking.logs.text = b"\n \n"
    await speaking.rig.deliver("pods", "ADDED", pod(version="10"))
    async with speaking.reading():
        await speaking.show()
        await until(lambda: speaking.counted("empty") == 1)
    assert speaking.said == []


async def test_a_failure_that_may_pass_is_tried_until_the_time_is_over() -> None:
    speaking = Speaking()
    speaking.logs.text = Unreachable("timed out")
    await speaking.rig.deliver("pods", "ADDED", pod(version="10"))
    async with speaking.reading():
        await speaking.show()
        await until(lambda: speaking.logs.asked >= 2)
        assert speaking.position() == "10"
        speaking.rig.clock.now_s += GIVE_UP_S
        await until(lambda: speaking.counted("unreadable") == 1)
    assert speaking.position() == "11"


async def test_what_is_forbidden_rests_in_its_namespace_and_is_tried_again_later() -> None:
    speaking = Speaking()
    speaking.logs.text = Forbidden("no")
    await speaking.rig.deliver("pods", "ADDED", pod(version="10"))
    async with speaking.reading():
        await speaking.show(1)
        await until(lambda: speaking.counted("forbidden") == 1)
        await speaking.show(2, code=2, version="12")
        assert (speaking.counted("forbidden"), speaking.logs.asked) == (2, 1)
        assert speaking.position() == "12"
        speaking.rig.clock.now_s += FORBIDDEN_AGAIN_S
        speaking.logs.text = b"granted\n"
        await speaking.show(3, code=3, version="13")
        await until(lambda: speaking.said == ["granted"])


async def test_a_pod_that_goes_meanwhile_takes_its_words_along() -> None:
    speaking = Speaking()
    await speaking.rig.deliver("pods", "ADDED", pod(version="10"))
    await speaking.show()
    await speaking.rig.deliver("pods", "DELETED", crashed(1, version="12"))
    async with speaking.reading():
        await until(lambda: speaking.counted("gone") == 1)
    assert speaking.position() == "12"


async def test_too_many_at_once_are_counted_and_hold_nothing() -> None:
    speaking = Speaking()
    speaking.rig.directory._known_max = 10 * WANTED_MAX  # noqa: SLF001
    for number in range(WANTED_MAX + 2):
        value = crashed(1, uid=f"p{number}", version=str(20 + number))
        await speaking.rig.deliver("pods", "ADDED", value)
    assert speaking.counted("too_many") == 2


async def test_what_goes_to_another_watcher_is_left_to_it() -> None:
    speaking = Speaking()
    await speaking.rig.deliver("pods", "ADDED", pod(version="10"))
    await speaking.show()
    speaking.rig.pods.part(speaking.rig.domain.units)
    assert speaking.rig.outbox.positions["pods/*"] == "10"
    assert speaking.words.oldest_before("pods/*") is None
    async with speaking.reading():
        await asyncio.sleep(0.01)
    assert (speaking.said, speaking.logs.asked) == ([], 0)


async def test_what_redis_may_have_lost_is_told_again() -> None:
    speaking = Speaking(share_bytes=20)
    rig = speaking.rig
    await rig.deliver("pods", "ADDED", pod(version="10"))
    saved = dict(rig.outbox.objects["pods/*"])
    async with speaking.reading():
        for number in (1, 2):  # the same words at both, so they are told once
            await speaking.show(number, code=number, version=str(10 + number))
            await until(lambda: not speaking.words.oldest_before("pods/*"))
        assert speaking.said == ["the end"]
        rig.pods.part(rig.domain.units)  # memory is forgotten, and read again from where Redis says
        rig.directory.clear(lambda _: True)
        rig.registrar.load(saved)
        await speaking.show(2, code=2, version="12")
        await until(lambda: len(speaking.said) == 2)


async def test_nothing_else_of_the_object_is_moved_by_its_words() -> None:
    """A repeat that is held happened after the ending: it stays held."""
    speaking = Speaking()
    rig = speaking.rig
    await rig.deliver("pods", "ADDED", pod(version="10"))
    speaking.logs.open.clear()
    async with speaking.reading():
        await speaking.show()
        for count in (1, 2, 3):
            await rig.deliver("events", "MODIFIED", event(count=count, version=str(20 + count)))
        speaking.logs.open.set()
        await until(lambda: bool(speaking.said))
    assert rig.outbox.said[-3:] == ["Pod Scheduled x1", "Pod Scheduled x2", "Pod LastWords"]
