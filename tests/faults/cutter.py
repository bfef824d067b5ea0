"""A TCP proxy between one program and one server: cuts, refuses, delays, goes silent, loses replies.

It does not read what passes, except to count the commands before a cut. An `Observer` is told of what passes, so that
a checker knows what each side can know.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Protocol, cast

from tests.faults.commands import Commands

__all__ = ["Cutter", "Link", "Observer"]


class Observer(Protocol):
    """Hears of each connection through a proxy."""

    def opened(self, link: Link) -> None:
        """The server may know it by its port from now on."""

    def asked(self, link: Link, data: bytes) -> None:
        """`data` came from the program."""

    def answered(self, link: Link) -> None:
        """Something of the server was handed to the program."""

    def ended(self, link: Link) -> None:
        """The program's connection is over."""


class Cutter:
    """Listens on a free port of loopback and leads to `upstream_port` there, for the program `owner`."""

    def __init__(self, upstream_port: int, owner: str, observer: Observer | None = None) -> None:
        self.upstream_port = upstream_port
        """0: nobody is there."""
        self.owner = owner
        self.observer = observer
        self.port = 0
        self.refusing = False
        """New connections are closed at once."""
        self.silent = False
        """Connections stay open and nothing passes, in either direction."""
        self.delay_s = 0.0
        """Of each piece, in each direction."""
        self.lose_replies = 0
        """So many of the next replies are swallowed; their connections are cut then."""
        self.commands_left = 0
        """So many of the next commands still reach Redis, whole; then all connections are cut. 0: no cut is due."""
        self.was_cut = asyncio.Event()
        """That happened."""
        self.links: set[Link] = set()
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Link(self), "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    def stop(self) -> None:
        """Cut everything for good."""
        self.refusing = True
        if self._server is not None:
            self._server.close()
        self.cut()

    def cut(self) -> None:
        """Break all connections, whatever is under way."""
        for link in list(self.links):
            link.abort()

    def cut_after(self, commands: int) -> None:
        """Break all connections between two commands: `commands` more are obeyed, in pipelines, too."""
        self.was_cut.clear()
        self.commands_left = commands

    def hush(self) -> None:
        """Let nothing pass until `speak`."""
        self.silent = True

    def speak(self) -> None:
        """What waited passes."""
        self.silent = False
        for link in list(self.links):
            link.pump()


class Link(asyncio.Protocol):
    """One connection of the program, and the one to the server behind it."""

    def __init__(self, cutter: Cutter) -> None:
        self.cutter = cutter
        self._down: asyncio.Transport | None = None
        self._up: asyncio.Transport | None = None
        self._is_over = False
        self._queues: tuple[deque[tuple[float, bytes]], deque[tuple[float, bytes]]] = (deque(), deque())
        self._commands: Commands | None = None
        """While they are counted."""
        self.server_side_port = 0
        """The port by which the server knows this connection."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._down = cast(asyncio.Transport, transport)
        if self.cutter.refusing:
            self._down.abort()
            return
        self.cutter.links.add(self)
        self._opening = asyncio.get_running_loop().create_task(self._open())

    async def _open(self) -> None:
        loop = asyncio.get_running_loop()
        if self.cutter.upstream_port == 0:
            self.abort()
            return
        try:
            up, _ = await loop.create_connection(lambda: _Upstream(self), "127.0.0.1", self.cutter.upstream_port)
        except OSError:
            self.abort()
            return
        self._up = up
        self.server_side_port = up.get_extra_info("sockname")[1]
        if self._is_over:
            up.abort()
            return
        if self.cutter.observer is not None:
            self.cutter.observer.opened(self)
        self.pump()

    def data_received(self, data: bytes) -> None:
        if self.cutter.observer is not None:
            self.cutter.observer.asked(self, data)
        if self.cutter.commands_left == 0:
            self._commands = None
        elif (end := self._last_end(data)) is not None:
            self._leave_with(data[:end])
            return
        self._enqueue(0, data)

    def _last_end(self, data: bytes) -> int | None:
        """Where in `data` the last command before the cut ends, None if later."""
        if self._commands is None:
            self._commands = Commands()
        ends, left = self._commands.ends(data), self.cutter.commands_left
        self.cutter.commands_left = max(0, left - len(ends))
        return ends[left - 1] if len(ends) >= left else None

    def _leave_with(self, data: bytes) -> None:
        """Hand `data` to the server, then break all connections; no answer to it comes back."""
        if self._up is not None and not self.cutter.silent:
            for _, earlier in self._queues[0]:
                self._up.write(earlier)
            self._up.write(data)
            self._up.close()  # what was written still arrives
            self._up = None
        self.abort()
        self.cutter.cut()
        self.cutter.was_cut.set()

    def reply_received(self, data: bytes) -> None:
        if self.cutter.lose_replies > 0:
            self.cutter.lose_replies -= 1
            self.abort()
            return
        self._enqueue(1, data)

    def _enqueue(self, way: int, data: bytes) -> None:
        due_s = asyncio.get_running_loop().time() + self.cutter.delay_s
        self._queues[way].append((due_s, data))
        self.pump()

    def pump(self) -> None:
        """Let pass what may pass now."""
        if self._is_over or self.cutter.silent:
            return
        loop = asyncio.get_running_loop()
        for way, to in ((0, self._up), (1, self._down)):
            queue = self._queues[way]
            while to is not None and queue:
                due_s, data = queue[0]
                if due_s > loop.time():
                    loop.call_at(due_s, self.pump)
                    break
                queue.popleft()
                to.write(data)
                if way == 1 and self.cutter.observer is not None:
                    self.cutter.observer.answered(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._end()
        if self._up is not None and not self.cutter.silent:
            self._up.abort()

    def abort(self) -> None:
        """Break both connections."""
        self._end()
        for transport in (self._down, self._up):
            if transport is not None:
                transport.abort()

    def server_closed(self) -> None:
        if not self.cutter.silent:
            self.pump()
            self._end()
            if self._down is not None:
                self._down.close()

    def _end(self) -> None:
        if not self._is_over:
            self._is_over = True
            self.cutter.links.discard(self)
            if self.cutter.observer is not None:
                self.cutter.observer.ended(self)


class _Upstream(asyncio.Protocol):
    def __init__(self, link: Link) -> None:
        self._link = link

    def data_received(self, data: bytes) -> None:
        self._link.reply_received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._link.server_closed()
