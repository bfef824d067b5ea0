"""Tasks that live and die together, as those of one operating-system process.

Every task that is begun inside belongs to it, whoever begins it (a context variable is inherited). It can be paused: no
coroutine of it takes a step, while its sockets stay open and its deadlines pass, as under SIGSTOP. And it can be
killed: all its tasks are cancelled at once. Cancelling lets clean-up code run, which a kill -9 does not, so whoever
kills cuts the process off from every server first: nothing that the clean-up does then leaves the process.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Coroutine, Generator
from types import coroutine
from typing import Any, Final
from weakref import WeakSet

__all__ = ["Process", "install"]

END_WITHIN_S: Final = 60.0
_current: contextvars.ContextVar[Process | None] = contextvars.ContextVar("process", default=None)


class Process:
    """One of them. `install` must have been called on the loop."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.tasks: WeakSet[asyncio.Task[Any]] = WeakSet()
        self.paused = False
        self._gates: list[asyncio.Future[None]] = []
        self._context = contextvars.copy_context()
        self._context.run(_current.set, self)

    @staticmethod
    def current() -> Process | None:
        """The one that the caller runs in."""
        return _current.get()

    def run(self, call: Callable[[], Any]) -> Any:
        """`call` as code of this process."""
        return self._context.run(call)

    def spawn(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """A task of this process."""
        loop = asyncio.get_running_loop()
        task: asyncio.Task[Any] = self.run(lambda: loop.create_task(work))
        return task

    def pause(self) -> None:
        self.paused = True

    def resume(self) -> None:
        self.paused = False
        gates, self._gates = self._gates, []
        for gate in gates:
            if not gate.done():
                gate.set_result(None)

    async def kill(self) -> None:
        """End all tasks. Raises `AssertionError` if one does not end."""
        self.resume()
        deadline_s = asyncio.get_running_loop().time() + END_WITHIN_S
        while alive := [task for task in self.tasks if not task.done()]:
            if asyncio.get_running_loop().time() > deadline_s:
                raise AssertionError(f"tasks of {self.name} do not end: {alive}")
            for task in alive:
                task.cancel()
            await asyncio.wait(alive, timeout=1.0)

    def gate(self) -> asyncio.Future[None]:
        """Done once the process goes on."""
        made: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._gates.append(made)
        return made


def install(loop: asyncio.AbstractEventLoop) -> None:
    """Let tasks of `loop` belong to the process in which they are begun."""

    def make(
        loop: asyncio.AbstractEventLoop,
        work: Coroutine[Any, Any, Any] | Generator[Any, None, Any],
        *,
        context: contextvars.Context | None = None,
    ) -> asyncio.Task[Any]:
        process = context.get(_current, None) if context is not None else _current.get()
        if process is None or not asyncio.iscoroutine(work):
            return asyncio.Task(work, loop=loop, context=context)
        task = asyncio.Task(_drive(work, process), loop=loop, context=context)
        process.tasks.add(task)
        return task

    loop.set_task_factory(make)


async def _drive(work: Coroutine[Any, Any, Any], process: Process) -> Any:
    return await _gated(work, process)


@coroutine
def _gated(work: Coroutine[Any, Any, Any], process: Process) -> Generator[Any, Any, Any]:
    """Take the steps of `work`, but none while `process` is paused; what is thrown meanwhile comes after."""
    error: BaseException | None = None
    while True:
        while process.paused:
            try:
                yield from process.gate()
            except GeneratorExit:
                work.close()
                raise
            except BaseException as thrown:  # noqa: BLE001 - handed on
                error = thrown
        try:
            waited_for = work.send(None) if error is None else work.throw(error)
        except StopIteration as ended:
            return ended.value
        error = None
        try:
            yield waited_for
        except GeneratorExit:
            work.close()
            raise
        except BaseException as thrown:  # noqa: BLE001 - handed on
            error = thrown
