"""How lines reach the stream of a dry run."""

import io

import msgspec

from common.ids import AgentId, Epoch
from common.record import Level
from common.store.model import AgentState, Card, Lease
from shipper.dry_run import DryRun, ShownLine
from shipper.text import Line

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


async def test_each_line_is_one_write_so_that_those_of_several_shippers_do_not_mix() -> None:
    pipe = Pipe()
    desk = DryRun(io.BufferedWriter(pipe)).for_agent(LEASE)
    await desk.send_logs("token", [Line(text="x" * 1000, level=Level.INFO) for _ in range(20)])
    shown = [msgspec.json.decode(each, type=ShownLine) for each in pipe.writes]
    assert [each.line for each in shown] == ["x" * 1000] * 20
    assert all(each.endswith(b"}\n") for each in pipe.writes)
