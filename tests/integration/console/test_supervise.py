"""The supervisor with small real processes."""

import asyncio
import contextlib
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import psutil
import pytest
from prometheus_client import CollectorRegistry

from common.backoff import Backoff
from common.clock import SystemClock
from common.settings.flags import EXIT_UNREAD, EXIT_USAGE
from common.telemetry.metrics import SupervisorMetrics
from console.supervise import ChildRefused, NotReady, ProcessState, Program, Stage, Stop, Supervisor

QUICK = Backoff(base_s=0.02, cap_s=0.1, floor_s=0.01)
FOREVER = "import time; print('up', flush=True); time.sleep(600)"
STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"
)
POLITE = (
    "import signal, sys, time\n"
    "signal.signal(signal.SIGTERM, lambda *_: (print('bye', flush=True), sys.exit(0)))\n"
    "print('up', flush=True)\n"
    "time.sleep(600)"
)


def program(name: str, code: str, *, grace_s: float = 5.0) -> Program:
    return Program(name, name.rstrip("0123456789"), (sys.executable, "-c", code), dict(os.environ), grace_s)


@dataclass
class Scene:
    """What a supervised run did."""

    supervisor: Supervisor
    stop: Stop
    registry: CollectorRegistry
    lines: list[tuple[str, str]] = field(default_factory=list)
    ended: list[int] = field(default_factory=list)

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not holds():  # noqa: ASYNC110 - what is waited for happens in other processes
                await asyncio.sleep(0.01)

    def said(self, name: str, text: str) -> int:
        return self.lines.count((name, text))

    def pid(self, name: str) -> int:
        pid = next(view.pid for view in self.supervisor.view() if view.name == name)
        assert pid is not None
        return pid


def scene(*stages: Stage, backoff: Backoff = QUICK) -> Scene:
    registry = CollectorRegistry()
    lines: list[tuple[str, str]] = []
    ended: list[int] = []
    supervisor = Supervisor(
        stages,
        on_line=lambda program, line: lines.append((program.name, line)),
        on_exit=ended.append,
        metrics=SupervisorMetrics(registry),
        clock=SystemClock(),
        backoff=backoff,
    )
    return Scene(supervisor, Stop(), registry, lines, ended)


@contextlib.asynccontextmanager
async def running(*stages: Stage) -> AsyncIterator[Scene]:
    """A supervisor that is stopped at the end of the block, whatever happened in it."""
    made = scene(*stages)
    async with asyncio.timeout(30), asyncio.TaskGroup() as tasks:
        tasks.create_task(made.supervisor.run(made.stop))
        try:
            yield made
        finally:
            made.stop.ask()


async def test_stages_stop_in_the_reverse_order_of_their_start() -> None:
    first, second = Stage((program("store", POLITE),)), Stage((program("a1", POLITE), program("a2", POLITE)))
    async with running(first, second) as seen:
        await seen.until(lambda: sum(text == "up" for _, text in seen.lines) == 3)
    byes = [name for name, text in seen.lines if text == "bye"]
    assert sorted(byes[:2]) == ["a1", "a2"]
    assert byes[2:] == ["store"]
    assert {view.state for view in seen.supervisor.view()} == {ProcessState.STOPPED}


async def test_a_stage_waits_until_the_one_before_is_ready() -> None:
    ready = asyncio.Event()

    async def wait() -> None:
        await ready.wait()

    async with running(Stage((program("store", FOREVER),), ready=wait), Stage((program("a", FOREVER),))) as seen:
        await seen.until(lambda: seen.said("store", "up") == 1)
        assert [view.state for view in seen.supervisor.view()] == [ProcessState.RUNNING, ProcessState.NOT_STARTED]
        ready.set()
        await seen.until(lambda: seen.said("a", "up") == 1)


async def test_a_child_that_dies_is_started_again_and_the_others_run_on() -> None:
    async with running(Stage((program("a", FOREVER), program("b", FOREVER)))) as seen:
        await seen.until(lambda: seen.said("a", "up") == 1 and seen.said("b", "up") == 1)
        other, victim = seen.pid("b"), seen.pid("a")
        psutil.Process(victim).kill()
        await seen.until(lambda: seen.said("a", "up") == 2)
        assert seen.pid("b") == other
        assert victim in seen.ended
        assert seen.registry.get_sample_value("coder_logstream_process_restarts_total", {"program": "a"}) == 1
        assert seen.registry.get_sample_value("coder_logstream_processes", {"program": "a"}) == 1


async def test_restarts_back_off() -> None:
    patient = Backoff(base_s=60.0, cap_s=60.0, floor_s=60.0)
    made = scene(Stage((program("a", FOREVER),)), backoff=patient)
    run = asyncio.create_task(made.supervisor.run(made.stop))
    await made.until(lambda: made.said("a", "up") == 1)
    psutil.Process(made.pid("a")).kill()
    await made.until(lambda: made.supervisor.view()[0].state is ProcessState.WAITING)
    made.stop.ask()
    await asyncio.wait_for(run, 5)  # a stop does not wait for the back-off
    assert made.said("a", "up") == 1


async def test_a_failure_at_the_first_start_stops_everything_a_later_one_does_not() -> None:
    made = scene(Stage((program("b", POLITE), program("a", "raise SystemExit('no kubeconfig')"))))
    with pytest.raises(ChildRefused) as caught:
        await asyncio.wait_for(made.supervisor.run(made.stop), 20)
    assert (caught.value.code, caught.value.last_line) == (1, "no kubeconfig")

    fails_later = (
        "import os, sys\n"
        "print('up', flush=True)\n"
        "if os.path.exists(sys.argv[1]): sys.exit(1)\n"
        "open(sys.argv[1], 'w')\n"
        "os.kill(os.getpid(), 9)"
    )
    with tempfile.TemporaryDirectory() as folder:
        late = Program("a", "a", (sys.executable, "-c", fails_later, f"{folder}/been"), {}, 1.0)
        async with running(Stage((late,))) as seen:
            await seen.until(lambda: seen.said("a", "up") >= 4)


async def test_exit_code_2_stops_everything_with_the_childs_line() -> None:
    wrong = "import sys; print('noise', flush=True); print('a: --x: is wrong', file=sys.stderr); sys.exit(2)"
    made = scene(Stage((program("b", POLITE),)), Stage((program("a", wrong),)))
    with pytest.raises(ChildRefused) as caught:
        await asyncio.wait_for(made.supervisor.run(made.stop), 20)
    assert (caught.value.code, caught.value.last_line) == (2, "a: --x: is wrong")
    assert len(made.ended) == 2


@pytest.mark.parametrize("code", [EXIT_USAGE, EXIT_UNREAD])
async def test_a_child_that_will_never_do_its_work_stops_everything_at_a_later_start_too(code: int) -> None:
    killed_first = (
        "import os, sys\n"
        f"if os.path.exists(sys.argv[1]): sys.exit({code})\n"
        "open(sys.argv[1], 'w')\n"
        "os.kill(os.getpid(), 9)"
    )
    with tempfile.TemporaryDirectory() as folder:
        late = Program("a", "a", (sys.executable, "-c", killed_first, f"{folder}/been"), {}, 1.0)
        made = scene(Stage((late,)))
        with pytest.raises(ChildRefused) as caught:
            await asyncio.wait_for(made.supervisor.run(made.stop), 20)
    assert caught.value.code == code


async def test_a_stage_that_does_not_get_ready_stops_everything_and_says_why() -> None:
    async def never() -> None:
        raise NotReady("no answer")

    made = scene(Stage((program("store", FOREVER),), ready=never), Stage((program("a", FOREVER),)))
    with pytest.raises(NotReady, match="no answer"):
        await asyncio.wait_for(made.supervisor.run(made.stop), 20)
    assert len(made.ended) == 1


async def test_a_stubborn_child_is_killed_after_its_grace_with_its_own_children() -> None:
    parent = f"import subprocess, sys\nsubprocess.Popen([sys.executable, '-c', {FOREVER!r}])\n{STUBBORN}"
    async with running(Stage((program("a", parent, grace_s=0.2),))) as seen:
        await seen.until(lambda: seen.said("a", "up") == 2)
        tree = [psutil.Process(seen.pid("a")), *psutil.Process(seen.pid("a")).children()]
        assert len(tree) == 2
    gone, alive = psutil.wait_procs(tree, timeout=5)
    assert not alive
    assert len(gone) == 2


async def test_a_second_wish_to_stop_does_not_wait_for_the_grace() -> None:
    async with running(Stage((program("a", STUBBORN, grace_s=600.0),))) as seen:
        await seen.until(lambda: seen.said("a", "up") == 1)
        seen.stop.ask()
        seen.stop.ask()


@pytest.mark.parametrize("turns", range(8))
async def test_a_wish_to_stop_during_the_start_leaves_nothing_behind(turns: int) -> None:
    made = scene(Stage((program("a1", FOREVER), program("a2", FOREVER))))
    run = asyncio.create_task(made.supervisor.run(made.stop))
    for _ in range(turns):  # of the event loop: the wish comes before, while and after the processes come to be
        await asyncio.sleep(0)
    made.stop.ask()
    await asyncio.wait_for(run, 10)
    assert all(view.pid is None for view in made.supervisor.view())


async def test_a_command_that_cannot_run_is_said_so() -> None:
    missing = Program("a", "a", ("/no/such/program",), {}, 1.0)
    made = scene(Stage((missing,)))
    with pytest.raises(ChildRefused, match="/no/such/program: No such file"):
        await asyncio.wait_for(made.supervisor.run(made.stop), 20)


async def test_a_line_beyond_all_bounds_does_not_stop_the_reading() -> None:
    code = f"print('x' * 3_000_000); {FOREVER}"
    async with running(Stage((program("a", code),))) as seen:
        await seen.until(lambda: seen.said("a", "up") == 1)


@pytest.mark.skipif(sys.platform != "linux", reason="needs prctl")
async def test_children_of_a_killed_supervisor_end() -> None:
    code = (
        "import asyncio, os, sys\n"
        "from prometheus_client import CollectorRegistry\n"
        "from common.clock import SystemClock\n"
        "from common.telemetry.metrics import SupervisorMetrics\n"
        "from console.supervise import *\n"
        f"child = Program('a', 'a', (sys.executable, '-c', {FOREVER!r}), dict(os.environ), 1.0)\n"
        "async def main():\n"
        "    supervisor = Supervisor([Stage((child,))], \n"
        "        on_line=lambda p, line: print(supervisor.view()[0].pid, flush=True),\n"
        "        on_exit=lambda pid: None, metrics=SupervisorMetrics(CollectorRegistry()), clock=SystemClock())\n"
        "    await supervisor.run(Stop())\n"
        "asyncio.run(main())\n"
    )
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    child = psutil.Process(int(await asyncio.wait_for(process.stdout.readline(), 10)))
    process.kill()
    await process.wait()
    _, alive = psutil.wait_procs([child], timeout=5)
    assert not alive
