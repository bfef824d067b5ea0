"""When `demo --kill` kills, and that it does."""

import signal
import subprocess
from collections.abc import Iterator

import psutil
import pytest

from common.store.model import Backlog
from console.demo_kill import Killer, NoMoment
from console.supervise import ProcessState, ProcessView

Process = subprocess.Popen[bytes]


@pytest.fixture
def sleeper() -> Iterator[Process]:
    with subprocess.Popen(["sleep", "600"]) as process:
        yield process
        process.kill()


another = sleeper


def views(process: Process, state: ProcessState = ProcessState.RUNNING) -> list[ProcessView]:
    return [ProcessView(role, role, state, process.pid, 0) for role in ("valkey", "shipper", "watcher")]


def backlog(*, claimed: int = 0, waiting: int = 0) -> Backlog:
    return Backlog(
        waiting_records=waiting, due_agents=0, claimed_agents=claimed, scheduled_agents=0, oldest_due_s=0.0,
        drainers_awake=0, drainers_asleep=0,
    )  # fmt: skip


async def test_a_shipper_is_frozen_while_redis_is_asked_and_killed_only_without_a_claim(
    sleeper: Process,
) -> None:
    seen: list[str] = []
    claims = [2, 1, 0]

    async def asked() -> Backlog:
        seen.append(psutil.Process(sleeper.pid).status())
        return backlog(claimed=claims[len(seen) - 1], waiting=7)

    killer = Killer(asked)
    await killer.step(views(sleeper), crashing=True)
    assert sleeper.wait(10) == -signal.SIGKILL
    assert seen == [psutil.STATUS_STOPPED] * 3
    assert [(killed.role, killed.pid, killed.waiting_records) for killed in killer.killed] == [
        ("shipper", sleeper.pid, 7)
    ]
    assert not killer.is_done


async def test_nobody_is_killed_before_the_loop_is_in_full_swing(sleeper: Process) -> None:
    async def unasked() -> Backlog:
        raise AssertionError

    killer = Killer(unasked)
    await killer.step(views(sleeper), crashing=False)
    assert sleeper.poll() is None
    assert killer.killed == []


async def test_the_watcher_is_killed_once_records_wait(sleeper: Process, another: Process) -> None:
    waiting = [0, 0, 3]
    answers = iter(waiting)

    async def asked() -> Backlog:
        return backlog(waiting=next(answers))

    killer = Killer(asked)
    await killer.step(views(another), crashing=True)
    await killer.step(views(sleeper), crashing=True)
    assert sleeper.poll() is None
    await killer.step(views(sleeper), crashing=True)
    assert sleeper.wait(10) == -signal.SIGKILL
    assert [(killed.role, killed.waiting_records) for killed in killer.killed] == [("shipper", 0), ("watcher", 3)]
    assert killer.is_done
    await killer.step(views(sleeper), crashing=True)  # nothing is left to do


async def test_what_does_not_run_cannot_be_killed(sleeper: Process) -> None:
    async def unasked() -> Backlog:
        raise AssertionError

    killer = Killer(unasked)
    await killer.step(views(sleeper, ProcessState.WAITING), crashing=True)
    assert sleeper.poll() is None
    assert killer.killed == []


async def test_a_shipper_that_is_never_between_two_requests_is_not_killed(
    sleeper: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def busy() -> Backlog:
        return backlog(claimed=1)

    monkeypatch.setattr("console.demo_kill._MOMENT_WITHIN_S", 0.2)
    with pytest.raises(NoMoment, match="between two requests"):
        await Killer(busy).step(views(sleeper), crashing=True)
    assert sleeper.poll() is None
    assert psutil.Process(sleeper.pid).status() != psutil.STATUS_STOPPED


async def test_a_process_is_let_go_on_if_redis_cannot_be_asked(sleeper: Process) -> None:
    async def away() -> Backlog:
        raise ConnectionError

    with pytest.raises(ConnectionError):
        await Killer(away).step(views(sleeper), crashing=True)
    assert psutil.Process(sleeper.pid).status() != psutil.STATUS_STOPPED
    assert sleeper.poll() is None
