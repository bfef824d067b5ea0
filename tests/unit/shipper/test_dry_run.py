"""How lines reach the stream of a dry run."""

import io
import os

import msgspec

from common.ids import AgentId, Epoch
from common.record import Level
from common.store.model import AgentState, Card, Lease
from shipper.dry_run import DryRun, ShownLine
from shipper.outcome import Answer, NoAnswer, Sent
from shipper.text import Line
from shipper.wire import at_once

LEASE = Lease(AgentId("a"), Epoch(1), Card(b"sealed", "ns", "pod"), AgentState(), unsettled=False, now_ms=0)


class Pipe(io.RawIOBase):
    """Notes each write that reaches the system."""

    def __init__(self) -> None:
        self.writes: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        self.writes.append(bytes(data))  # type: ignore[call-overload]
        return len(self.writes[-1])


def never() -> None:
    raise AssertionError("somebody reads")


async def test_each_line_is_one_write_so_that_those_of_several_shippers_do_not_mix() -> None:
    pipe = Pipe()
    desk = DryRun(io.BufferedWriter(pipe), never).for_agent(LEASE)
    await desk.send_logs("token", [Line(text="x" * 1000, level=Level.INFO) for _ in range(20)], at_once)
    shown = [msgspec.json.decode(each, type=ShownLine) for each in pipe.writes]
    assert [each.line for each in shown] == ["x" * 1000] * 20
    assert all(each.endswith(b"}\n") for each in pipe.writes)


async def test_a_batch_whose_reader_leaves_in_its_middle_is_not_taken() -> None:
    told: list[str] = []
    reading, writing = os.pipe()
    with os.fdopen(writing, "wb") as out:
        desk = DryRun(out, lambda: told.append("unread")).for_agent(LEASE)
        assert isinstance(await desk.send_logs("token", [Line(text="one", level=Level.INFO)], at_once), Answer)
        os.close(reading)
        reply = await desk.send_logs("token", [Line(text="two", level=Level.INFO)], at_once)
        assert isinstance(reply, NoAnswer)
        assert reply.sent is Sent.NO
        assert told
        os.dup2(os.open(os.devnull, os.O_WRONLY), writing)  # what it still holds goes nowhere


async def test_lines_that_may_have_been_read_before_the_reader_left_are_in_doubt() -> None:
    class Leaving(Pipe):
        def write(self, data: object) -> int:
            if self.writes:
                raise BrokenPipeError
            return super().write(data)

    out = Leaving()
    desk = DryRun(io.BufferedWriter(out), lambda: None).for_agent(LEASE)
    reply = await desk.send_logs("token", [Line(text=text, level=Level.INFO) for text in ("one", "two")], at_once)
    assert isinstance(reply, NoAnswer)
    assert reply.sent is Sent.MAYBE
    out.writes.clear()
