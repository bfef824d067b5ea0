"""Looks at a pod become records: each fact once, repeats folded, nothing lost while a token is missing or at a stop."""

import base64
from typing import Any

import msgspec

from common.ids import Uid
from common.record import STATUS_VERSION, LogRecord, Origin
from common.store.model import Home
from tests.unit.watcher.rig import TOKEN, Rig, pod, secret_env
from watcher.mounts import Kind
from watcher.objects import Pod
from watcher.packed import pack
from watcher.reflection import Began, Completed, Found
from watcher.sought import Source, SourceData
from watcher.sources import SourceName


def ending(number: int, code: int = 1) -> dict[str, Any]:
    """The `number`-th ending of the container, just now."""
    ended = {"exitCode": code, "reason": "Error", "containerID": f"cd://{number}"}
    return {"name": "c", "restartCount": number - 1, "state": {"terminated": ended}}


def crashed(number: int, code: int = 1, *, version: int = 0, **more: Any) -> dict[str, Any]:
    value = pod(version=str(version or 100 + number), phase="Running", **more)
    value["status"]["containerStatuses"] = [ending(number, code)]
    return value


def numbers(rig: Rig) -> list[int]:
    return [record.version for record in statuses(rig)]


def statuses(rig: Rig) -> list[LogRecord]:
    return [record for record in rig.outbox.records if record.origin is Origin.STATUS]


async def test_a_fact_is_a_record_of_the_pods_agents() -> None:
    rig = Rig()
    await rig.deliver("pods", "ADDED", crashed(1))
    (record,) = statuses(rig)
    assert (record.v, record.identity, record.container) == (STATUS_VERSION, "pod-1/ended/c", "c")
    assert rig.outbox.entries[-1].home is Home.OBJECT
    assert rig.outbox.said == ["Pod Created", "Pod Error"]


async def test_looking_again_tells_nothing_again() -> None:
    rig = Rig()
    for version in (20, 21, 22):
        await rig.deliver("pods", "MODIFIED", crashed(1, version=version))
    assert numbers(rig) == [1]


async def test_an_hour_of_crashes_costs_tens_of_lines() -> None:
    rig = Rig()
    for number in range(1, 1_801):
        rig.clock.now_s += 2
        rig.router.tick()
        await rig.deliver("pods", "MODIFIED", crashed(number))
    rig.pods.leave()
    assert numbers(rig)[:4] == [1, 2, 4, 8]
    assert numbers(rig)[-1] == 1_800
    assert 20 < len(numbers(rig)) < 60


async def test_another_manner_of_ending_is_told_at_once_after_what_was_held() -> None:
    rig = Rig()
    for number in range(1, 7):
        await rig.deliver("pods", "MODIFIED", crashed(number))
    assert numbers(rig) == [1, 2, 4]
    await rig.deliver("pods", "MODIFIED", crashed(7, code=139))
    assert numbers(rig) == [1, 2, 4, 6, 7]


async def test_what_is_held_holds_the_saved_position_and_is_told_at_a_stop() -> None:
    rig = Rig()
    for number in range(1, 4):
        await rig.deliver("pods", "MODIFIED", crashed(number))
    assert rig.outbox.positions["pods/*"] == "102"
    rig.pods.leave()
    assert numbers(rig) == [1, 2, 3]
    assert rig.outbox.positions["pods/*"] == "103"


async def test_what_is_held_is_told_before_the_pods_end() -> None:
    rig = Rig()
    for number in range(1, 4):
        await rig.deliver("pods", "MODIFIED", crashed(number))
    await rig.deliver("pods", "DELETED", crashed(3, version=110, deleting=True))
    assert [record.version for record in rig.outbox.records][1:] == [1, 2, 3, 1]
    assert rig.outbox.said[-1] == "Pod Deleted"


async def test_facts_wait_for_a_token_that_comes_late() -> None:
    rig = Rig()
    await rig.deliver("pods", "ADDED", crashed(1, env=secret_env()))
    assert rig.outbox.said == []
    data = SourceData({"token": base64.b64encode(TOKEN.encode()).decode()})
    rig.registrar.source_answered(Uid("pod-1"), SourceName("ns", Source(Kind.SECRET, "agent")), data)
    assert rig.outbox.said == ["Pod Created", "Pod Error"]


async def _list(rig: Rig, *pods: dict[str, Any], position: str) -> None:
    await rig.pods.take(Began(position))
    await rig.pods.take(Found([msgspec.convert(each, Pod) for each in pods]))
    await rig.pods.take(Completed(position, frozenset(Uid(each["metadata"]["uid"]) for each in pods)))


async def test_what_a_ready_pod_had_behind_it_is_not_told_even_after_a_restart() -> None:
    def ready(version: str, restarts: int) -> dict[str, Any]:
        value = pod(version=version, phase="Running", ready=True)
        value["status"]["containerStatuses"] = [
            {
                "name": "c",
                "restartCount": restarts,
                "state": {"running": {"startedAt": "2026-11-22T15:49:08Z"}},
                "lastState": ending(restarts)["state"],
            }
        ]
        return value

    rig = Rig()
    await _list(rig, ready("10", 1), position="50")
    await rig.deliver("pods", "MODIFIED", ready("60", 1))
    assert rig.outbox.said == []

    again = Rig(floor="50")
    (known,) = rig.directory
    again.registrar.load({known.uid: pack(known, rig.vault)})
    await again.deliver("pods", "MODIFIED", ready("70", 1))
    assert again.outbox.said == []
    await again.deliver("pods", "MODIFIED", ready("80", 2))
    assert numbers(again) == [2]


async def test_a_pod_in_trouble_when_we_first_come_is_told() -> None:
    rig = Rig()
    await _list(rig, crashed(3, version=10), position="50")
    assert rig.outbox.said == ["Pod Created", "Pod Error"]


async def test_what_kubernetes_gives_no_time_for_has_that_of_the_look() -> None:
    rig = Rig()
    value = pod(version="20")
    value["status"]["containerStatuses"] = [
        {"name": "c", "state": {"waiting": {"reason": "ErrImagePull", "message": "no"}}}
    ]
    await rig.deliver("pods", "ADDED", pod())
    await rig.deliver("pods", "MODIFIED", value)
    (record,) = statuses(rig)
    assert record.last_at_ms == int(rig.clock.unix_s() * 1000)


async def test_what_was_handed_over_and_comes_back_is_told_as_far_as_redis_does_not_know_it() -> None:
    rig = Rig()
    await rig.deliver("pods", "ADDED", crashed(1))
    rig.pods.part(rig.domain.units)
    await rig.deliver("pods", "MODIFIED", crashed(1, version=120))
    assert numbers(rig) == [1, 1]
