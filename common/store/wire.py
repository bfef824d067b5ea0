"""One connection to Redis that many callers share: commands go out as they come, answers come back in their order.

The client library opens the connection (addresses, TLS, passwords, Sentinel) and names the errors; after that its
streams, locks and time-outs are stepped around, because they cost several times what a command does (ADR 19).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Any, Final

import hiredis
import redis.asyncio
from redis import exceptions
from redis.asyncio.connection import AbstractConnection, DefaultParser

from common.store.lineage import Lineage

__all__ = ["TIMEOUT_S", "Argument", "Wire"]

Argument = str | bytes | int | float
TIMEOUT_S: Final = 5.0
_CLOSED: Final = "the connection was closed"


class Wire:
    """Commands over one connection of `client`'s pool, opened when it is first needed and again after it was lost.

    All errors are the client library's: after a `ConnectionError` or `TimeoutError` the outcome is unknown. But
    `StoreChanged` is ours: no command was sent, because the server is not of the `lineage` given.
    """

    def __init__(
        self, client: redis.asyncio.Redis, *, timeout_s: float = TIMEOUT_S, lineage: Lineage | None = None
    ) -> None:
        """`timeout_s`: how long the server may keep a command waiting, its own blocking included."""
        self._pool = client.connection_pool
        self._timeout_s = timeout_s
        self._lineage = lineage
        self._connection: AbstractConnection | None = None
        self._line: _Line | None = None
        self._opening = asyncio.Lock()

    async def run(self, commands: Sequence[tuple[Argument, ...]]) -> list[Any]:
        """The answers to `commands`, in one round trip. An error answer stands among them as an exception."""
        line = self._line
        if line is None or line.is_lost:
            line = await self._open()
        return await line.ask(commands)

    async def _open(self) -> _Line:
        async with self._opening:
            if self._line is not None and not self._line.is_lost:
                return self._line  # somebody else did it meanwhile
            if self._connection is not None:
                connection, self._connection = self._connection, None
                await connection.disconnect(nowait=True)
                await self._pool.release(connection)
            self._connection = await self._pool.get_connection()  # type: ignore[no-untyped-call]
            line = _Line(self._connection, self._timeout_s)
            if self._lineage is not None:
                (answer,) = await line.ask([("INFO", "replication")])
                if isinstance(answer, BaseException):
                    raise answer
                self._lineage.meet(answer)
            self._line = line
            return line


class _Ask:
    __slots__ = ("answers", "count", "done", "since_s")

    def __init__(self, count: int, done: asyncio.Future[list[Any]], since_s: float) -> None:
        self.count = count
        self.answers: list[Any] = []
        self.done = done
        self.since_s = since_s


class _Line(asyncio.Protocol):
    """A connection's transport, taken over from the library once it is set up."""

    def __init__(self, connection: AbstractConnection, timeout_s: float) -> None:
        writer = connection._writer  # noqa: SLF001 — there is no public way to the transport
        if writer is None:
            raise exceptions.ConnectionError(_CLOSED)
        self.is_lost = False
        self._loop = asyncio.get_running_loop()
        self._timeout_s = timeout_s
        self._transport = writer.transport
        self._reader = hiredis.Reader(protocolError=exceptions.InvalidResponse, replyError=DefaultParser.parse_error)
        self._asks: deque[_Ask] = deque()
        self._watch: asyncio.TimerHandle | None = None
        # The library waits for its own protocol to hear of the end when it closes the connection.
        self._library = self._transport.get_protocol()
        self._transport.set_protocol(self)

    def ask(self, commands: Sequence[tuple[Argument, ...]]) -> asyncio.Future[list[Any]]:
        done: asyncio.Future[list[Any]] = self._loop.create_future()
        self._asks.append(_Ask(len(commands), done, self._loop.time()))
        packed = [hiredis.pack_command(command) for command in commands]  # type: ignore[arg-type]  # its stub says one
        self._transport.write(b"".join(packed))
        if self._watch is None:
            self._watch = self._loop.call_later(self._timeout_s, self._look)
        return done

    def data_received(self, data: bytes) -> None:
        try:
            self._reader.feed(data)
            while (answer := self._reader.gets()) is not False:
                if not isinstance(answer, hiredis.PushNotification):
                    self._answered(answer)
        except (exceptions.RedisError, IndexError) as error:
            self._lose(exceptions.ConnectionError(f"not an answer of Redis: {error}"))

    def _answered(self, answer: Any) -> None:
        if isinstance(answer, exceptions.ResponseError) and _is_demoted(answer):
            self.is_lost = True  # what comes next goes to whoever is the primary now
        ask = self._asks[0]
        ask.answers.append(answer)
        if len(ask.answers) == ask.count:
            self._asks.popleft()
            if not ask.done.done():  # its caller may have been cancelled
                ask.done.set_result(ask.answers)

    def connection_lost(self, exc: Exception | None) -> None:
        self._lose(exceptions.ConnectionError(str(exc) if exc is not None else _CLOSED))
        self._library.connection_lost(exc)

    def pause_writing(self) -> None:
        """The funnel has one round trip under way, so what is written is bounded without this."""

    def resume_writing(self) -> None:
        """See `pause_writing`."""

    def _look(self) -> None:
        """Give the connection up if the oldest command has waited too long, else look again when it will have."""
        self._watch = None
        if not self._asks:
            return
        left_s = self._asks[0].since_s + self._timeout_s - self._loop.time()
        if left_s <= 0:
            self._lose(exceptions.TimeoutError(f"no answer within {self._timeout_s:g} s"))
        else:
            self._watch = self._loop.call_later(left_s, self._look)

    def _lose(self, error: Exception) -> None:
        self.is_lost = True
        asks, self._asks = self._asks, deque()
        for ask in asks:
            if not ask.done.done():
                ask.done.set_exception(error)
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        self._transport.abort()


def _is_demoted(error: exceptions.ResponseError) -> bool:
    """Whether a server refuses as a replica does. Redis 6.2 quotes it inside a script's own error."""
    return isinstance(error, exceptions.ReadOnlyError) or "READONLY" in str(error)
