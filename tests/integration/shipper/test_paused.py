"""A real shipper that is stopped (SIGSTOP) while it connects to Coder, until another one has claimed its agent."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from pathlib import Path
from typing import Self

import psutil
import pytest

from common.ids import DrainerId
from common.store.dispatcher import Dispatcher
from common.store.model import Lease
from console.doubles.coder import CoderDouble
from tests.certificates import Authority
from tests.integration.shipper.process import feeding, shipper
from tests.integration.shipper.rig import Rig, until, until_async
from tests.integration.shipper.wire.peer import Peer
from tests.integration.shipper.wire.test_proxied import tunnel

LEASE_S = 2.0
PAUSE_MS = 60_000
"""Of Redis, at most; it ends when it has served."""


class Gate:
    """Before a Coder that speaks TLS: while it is shut, connections are taken, and nothing goes through them."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._open = asyncio.Event()
        self._open.set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.knocks = 0
        """How many have said the first word of their handshake."""
        self.handshakes = 0
        """How many have said the last."""

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"https://localhost:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await self._end_all()

    async def shut(self) -> None:
        """End what is connected; those to come must wait."""
        self._open.clear()
        await self._end_all()

    def open(self) -> None:
        self._open.set()

    async def _end_all(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        # asyncio complains of a connection's task that ends by its cancellation, which is the way to end this one.
        with contextlib.suppress(asyncio.CancelledError), contextlib.closing(writer):
            hello = await reader.read(1 << 16)
            self.knocks += bool(hello)
            await self._open.wait()
            coder_reader, coder_writer = await asyncio.open_connection("127.0.0.1", self._port)
            with contextlib.closing(coder_writer):
                coder_writer.write(hello)
                await asyncio.gather(self._hand_on(reader, coder_writer), _pass_on(coder_reader, writer))

    async def _hand_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        finished = await reader.read(1 << 16)
        self.handshakes += bool(finished)
        writer.write(finished)
        await _pass_on(reader, writer)


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while some := await reader.read(1 << 16):
        writer.write(some)
    writer.close()


async def claimed_by(other: Dispatcher) -> Lease:
    """`other` has claimed the one agent there is: the lease of the first has run out."""
    leases: list[Lease] = []

    async def claimed() -> bool:
        leases.extend((await other.claim(DrainerId("other"), 1)).leases)
        return bool(leases)

    await until_async(claimed)
    return leases[0]


@pytest.mark.parametrize("way", ["direct", "proxy"])
async def test_a_shipper_paused_while_it_connects_writes_nothing_once_its_lease_is_anothers(
    tmp_path: Path, redis_url: str, prefix: str, way: str
) -> None:
    authority = Authority()
    pem = tmp_path / "ca.pem"
    pem.write_bytes(authority.certificate_pem)
    settings = {"SSL_CERT_FILE": str(pem), "CODER_LOGSTREAM_LEASE_S": f"{LEASE_S:g}"}
    async with (
        CoderDouble(tls=authority.server_context("localhost")) as double,
        Gate(int(double.url.rpartition(":")[2])) as gate,
        Peer(tunnel) as proxy,
        feeding(redis_url, prefix, double) as feed,
        shipper(
            tmp_path,
            gate.url,
            redis_url,
            prefix,
            feed.key,
            {**settings, "HTTPS_PROXY": proxy.url} if way == "proxy" else settings,
        ) as paused,
    ):
        rig, token = feed.rig, await feed.rig.agent()
        other = Dispatcher(rig.client, rig.keys)
        await feed.say(token, "one")
        await until(lambda: rig.heard(token) == ["one"])
        await until_async(lambda: _has_settled(rig, token))
        await gate.shut()
        before, connected = gate.knocks, gate.handshakes
        await feed.say(token, "two")
        await until(lambda: gate.knocks > before)
        process = psutil.Process(paused.process.pid)
        process.send_signal(signal.SIGSTOP)
        try:
            await until(lambda: process.status() == psutil.STATUS_STOPPED)
            theirs = await claimed_by(other)
            await rig.client.client_pause(PAUSE_MS, all=False)  # who wakes cannot ask just yet
            gate.open()
        finally:
            process.send_signal(signal.SIGCONT)
        await until(lambda: gate.handshakes == connected + 1)
        await rig.client.client_unpause()
        await until(lambda: "a lease was lost" in paused.log())
        assert rig.heard(token) == ["one"]
        await other.give_back([(theirs.agent, theirs.epoch)])
        await until_async(lambda: _has_settled(rig, token))
        assert rig.heard(token) == ["one", "two"]
        assert await paused.metric("unsettled_claims_total") == 1  # the other's, which it gave back
        assert bool(proxy.connections) == (way == "proxy")


async def _has_settled(rig: Rig, token: str) -> bool:
    claimed = await rig.client.scard(rig.keys.claimed)
    return claimed == 0 and await rig.waiting(token) == 0
