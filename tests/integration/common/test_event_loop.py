"""Our event loop connects as uvloop's does, and a name that is resolved too late is nobody's trouble."""

from __future__ import annotations

import asyncio
import os
import platform
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from common.event_loop import new_event_loop
from tests.integration.common import late_name
from tests.required import unchecked
from tests.servers import free_port

REPOSITORY = Path(__file__).parents[3]


def test_a_name_that_is_resolved_after_the_time_out_is_no_error_that_nobody_retrieved(tmp_path: Path) -> None:
    if platform.libc_ver()[0] != "glibc":
        unchecked("a name that is resolved late", "glibc has a file of aliases that can be a pipe")
    fifo = tmp_path / "aliases"
    os.mkfifo(fifo)
    environ = {**os.environ, "HOSTALIASES": str(fifo), "UV_THREADPOOL_SIZE": "1"}
    done = subprocess.run(
        [sys.executable, "-m", late_name.__name__, str(fifo)], cwd=REPOSITORY, env=environ, capture_output=True,
        text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        f"NoAnswer(sent=<Sent.NO: 'no'>, why='no connection within {late_name.TIMEOUT_S:g} s')",
        "[]",
    ]


@pytest.fixture
def ours() -> Iterator[asyncio.Runner]:
    """A runner of our event loop."""
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        yield runner


async def peer_of(**where: Any) -> Any:
    """The address to which a connection to `where` leads."""
    _, writer = await asyncio.open_connection(**where)
    address = writer.get_extra_info("peername")
    writer.close()
    await writer.wait_closed()
    return address


def resolve_to_two(ours: asyncio.Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    """Any name has two addresses, as only a resolver of its own could say."""

    async def getaddrinfo(*_: Any, **__: Any) -> list[Any]:
        found = (socket.AF_INET, socket.SOCK_STREAM, 6, "")
        return [(*found, (address, 0)) for address in ("127.0.0.2", "127.0.0.1")]

    monkeypatch.setattr(ours.get_loop(), "getaddrinfo", getaddrinfo)


def test_the_second_address_of_a_name_is_tried_when_the_first_refuses(
    ours: asyncio.Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve_to_two(ours, monkeypatch)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        at = listener.getsockname()
        assert ours.run(peer_of(host="two.example.com", port=at[1])) == at


def test_addresses_that_all_refuse_are_one_error(ours: asyncio.Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    resolve_to_two(ours, monkeypatch)
    with pytest.raises(ConnectionRefusedError):
        ours.run(peer_of(host="two.example.com", port=free_port()))


def test_a_socket_that_is_given_is_used_as_it_is(ours: asyncio.Runner) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        at = listener.getsockname()
        assert ours.run(peer_of(sock=socket.create_connection(at))) == at
