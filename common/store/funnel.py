"""Run scripts with one round trip under way at a time: what is asked meanwhile goes together in the next.

So a quiet service answers at once, and a busy one makes few system calls, without a timer. Order of calls is kept.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any, Final

import redis.asyncio
from redis import exceptions

from common.store.connect import translated
from common.store.errors import StoreError
from common.store.lineage import Lineage
from common.store.scripts import SCRIPT_NAMES, Script, load_script
from common.store.wire import Argument, Wire

__all__ = ["Funnel"]

_BATCH_MAX: Final = 256


class _Call:
    """A command under way: of a script, or (`script` None) a plain one."""

    __slots__ = ("answer", "command", "script")

    def __init__(
        self, command: tuple[Argument, ...], answer: asyncio.Future[Any], script: Script | None = None
    ) -> None:
        self.command = command
        self.answer = answer
        self.script = script


class Funnel:
    """Calls of named scripts, and plain commands that must keep their order with them, over one connection."""

    def __init__(self, client: redis.asyncio.Redis, lineage: Lineage | None = None) -> None:
        """With a `lineage`, calls raise `StoreChanged` as long as another one answers: they have not been made."""
        self._wire = Wire(client, lineage=lineage)
        self._scripts = {name: load_script(name) for name in SCRIPT_NAMES}
        self._waiting: list[_Call] = []
        self._pump: asyncio.Task[None] | None = None

    async def call(self, name: str, keys: Sequence[str], arguments: Iterable[Argument]) -> Any:
        """The answer of one run of the script `name`.

        Raises `StoreUnavailable` (the outcome is unknown) or `StoreRefused`. A caller that is cancelled does not
        stop a call that is under way.
        """
        return await self._enqueue(self._script_call(name, keys, arguments))

    async def call_all(self, calls: Sequence[tuple[str, Sequence[str], Iterable[Argument]]]) -> list[Any]:
        """The answers of several runs, in their order; the first error is raised."""
        futures = [self._enqueue(self._script_call(*call)) for call in calls]
        await asyncio.wait(futures)
        errors = [error for future in futures if (error := future.exception()) is not None]
        if errors:
            raise errors[0]
        return [future.result() for future in futures]

    async def command(self, *command: Argument) -> Any:
        """The answer of a plain command. Errors as for `call`."""
        return await self._enqueue(_Call(command, asyncio.get_running_loop().create_future()))

    def _script_call(self, name: str, keys: Sequence[str], arguments: Iterable[Argument]) -> _Call:
        script = self._scripts[name]
        if len(keys) != script.key_count:
            raise ValueError(f"script {name} takes {script.key_count} keys, not {len(keys)}")
        command = ("EVALSHA", script.sha, len(keys), *keys, *arguments)
        return _Call(command, asyncio.get_running_loop().create_future(), script)

    def _enqueue(self, call: _Call) -> asyncio.Future[Any]:
        self._waiting.append(call)
        if self._pump is None:
            self._pump = asyncio.get_running_loop().create_task(self._run(), name="funnel")
        return call.answer

    async def _run(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[:_BATCH_MAX], self._waiting[_BATCH_MAX:]
                try:
                    await self._send(batch)
                except BaseException as error:
                    for call in batch:
                        if not call.answer.done():
                            call.answer.set_exception(error)
                    if not isinstance(error, Exception):
                        raise
        finally:
            self._pump = None

    async def _send(self, batch: Sequence[_Call]) -> None:
        with translated("Redis"):
            answers = await self._wire.run([call.command for call in batch])
            missing = [i for i, answer in enumerate(answers) if isinstance(answer, exceptions.NoScriptError)]
            if missing:
                # A restarted server knows no scripts; those that were missing have not run, so they may run now.
                await self._load(batch[i].script for i in missing)
                again = await self._wire.run([batch[i].command for i in missing])
                for i, answer in zip(missing, again, strict=True):
                    answers[i] = answer
        for call, answer in zip(batch, answers, strict=True):
            if call.answer.done():
                continue
            if isinstance(answer, BaseException):
                try:
                    with translated(
                        f"Redis script {call.script.name}" if call.script else f"Redis {call.command[0]!r}"
                    ):
                        raise answer
                except StoreError as error:
                    call.answer.set_exception(error)
            else:
                call.answer.set_result(answer)

    async def _load(self, scripts: Iterable[Script | None]) -> None:
        bodies = {script.sha: script.body for script in scripts if script is not None}
        for answer in await self._wire.run([("SCRIPT", "LOAD", body) for body in bodies.values()]):
            if isinstance(answer, BaseException):
                raise answer
