"""What looks at a fleet's run from outside: the recorder of the cluster, and Coder's double as a process."""

import asyncio
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Final, Self

import aiohttp
import msgspec

from console.doubles import coder_control as control
from console.doubles.faults import Hang, Injection
from tests.cluster.audit import Findings, Received, Telling, compare, tellings_of
from tests.cluster.fleet import Member
from tests.cluster.harness import ROOT, eventually
from tests.cluster.journal import DOORS, JOURNAL, Request
from tests.cluster.objects import Object
from tests.cluster.recorder import Row

QUICK_S: Final = (0.01, 0.06)
SLOW_S: Final = 0.25
"""Every tenth agent's, as of a Coder that is far away or busy."""

_rows: Final = msgspec.json.Decoder(Row)


class Recording:
    """`async with Recording(kubeconfig, file, members)`: what the recorder writes down of these members."""

    def __init__(self, kubeconfig: Path, file: Path, members: Sequence[Member]) -> None:
        self._kubeconfig = kubeconfig
        self._file = file
        self._owners = {(member.namespace, member.name): member.token for member in members}
        self._namespaces = {member.namespace for member in members}
        self._read_bytes = 0
        self._recording: list[Row] = []

    async def __aenter__(self) -> Self:
        with self._file.open("wb") as output:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "tests.cluster.recorder", str(self._kubeconfig),
                cwd=ROOT, stdin=asyncio.subprocess.DEVNULL, stdout=output,
            )  # fmt: skip

        async def begun() -> bool:
            return self._file.stat().st_size > 0

        await eventually(begun, bool, why="the recorder")
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()

    def rows(self) -> Sequence[Row]:
        """All so far, of the members' namespaces."""
        assert self._process.returncode is None, f"the recorder ended with {self._process.returncode}"
        with self._file.open("rb") as written:
            written.seek(self._read_bytes)
            fresh = written.read()
        whole = fresh[: fresh.rfind(b"\n") + 1]
        self._read_bytes += len(whole)
        for line in whole.splitlines():
            if line.startswith(b"{"):
                row = _rows.decode(line)
                if row.object["metadata"]["namespace"] in self._namespaces:
                    self._recording.append(row)
        return self._recording

    def tellings(self) -> list[Telling]:
        return tellings_of(self.rows(), self._owner_of)

    def _owner_of(self, seen: Object) -> str:
        meta = seen["metadata"]
        return self._owners.get((meta["namespace"], meta["labels"]["app"]), "")

    async def until(self, holds: Callable[[Row], bool], number: int, what: str) -> None:
        """Wait until `holds` is true of `number` different objects."""

        async def objects() -> int:
            return len({row.object["metadata"]["uid"] for row in self.rows() if holds(row)})

        await eventually(objects, lambda seen: seen >= number, within_s=60, why=f"{number} × {what}")


def event_of(reason: str, count: int = 1) -> Callable[[Row], bool]:
    return lambda row: row.object.get("reason") == reason and (row.object.get("count") or 1) >= count


def gone(kind: str) -> Callable[[Row], bool]:
    return lambda row: row.type == "DELETED" and row.object["kind"] == kind


class Coder:
    """The double at `url`, from outside."""

    def __init__(self, url: str) -> None:
        self.url = url

    async def add(self, members: Sequence[Member]) -> None:
        """Make the members' agents known."""
        await self._command([control.AddAgent(member.token) for member in members])

    async def answer_as_usual(self, members: Sequence[Member], random: Random) -> None:
        """Each agent's answers take as long as a real Coder's."""
        usual = [SLOW_S if number % 10 == 0 else random.uniform(*QUICK_S) for number in range(len(members))]
        await self._command([control.SetLatency(s, member.token) for s, member in zip(usual, members, strict=True)])

    async def take_unanswered(self, requests: int) -> None:
        """Take the lines of the next `requests` and never answer; returns when so many have come."""
        await self._command([control.Inject(Injection(Hang(handled=True), requests, {"endpoint": "logs"}))])

        async def hanging() -> int:
            return (await self.totals()).requests.get("logs hang", 0)

        await eventually(hanging, lambda seen: seen >= requests, why=f"{requests} requests under way")

    async def _command(self, commands: Sequence[control.Command]) -> None:
        body = msgspec.json.encode(commands)
        async with aiohttp.ClientSession() as session, session.post(f"{self.url}/_double", data=body) as answer:
            assert answer.status == 200, await answer.text()

    async def logs(self) -> Mapping[str, Sequence[Received]]:
        agents = msgspec.json.decode(await _get(f"{self.url}/_double/agents"), type=list[control.AgentView])
        return {
            agent.token: [Received(log.level, log.output, log.received_unix_ns) for log in agent.logs]
            for agent in agents
        }

    async def totals(self) -> control.Totals:
        return msgspec.json.decode(await _get(f"{self.url}/_double/totals"), type=control.Totals)


class DooredCoder(Coder):
    """The double of `tests.cluster.journal`."""

    async def open_door(self) -> str:
        """A URL of the double for one sender alone."""
        async with aiohttp.ClientSession() as session, session.post(self.url + DOORS) as answer:
            return msgspec.json.decode(await answer.read(), type=str)

    async def journal(self) -> list[Request]:
        return msgspec.json.decode(await _get(self.url + JOURNAL), type=list[Request])


async def _get(url: str) -> bytes:
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        return await answer.read()


async def findings(recording: Recording, coder: Coder, *, within_s: float, calm_s: float) -> Findings:
    """Wait until nothing of what is recorded by now is missing, then `calm_s` longer for what comes twice.

    What Kubernetes says in that last while may be on its way: it is compared only if its line has come.
    """
    due = frozenset(recording.tellings())

    async def untold() -> list[Telling]:
        logs = await coder.logs()  # a count may be told by one that came after all that is due
        return [telling for telling in compare(recording.tellings(), logs).lost if telling in due]

    await eventually(untold, lambda lost: not lost, within_s=within_s, why="every telling in Coder")
    await asyncio.sleep(calm_s)
    logs = await coder.logs()  # before the recording is read: what they show is recorded by then, or nearly
    found = compare(recording.tellings(), logs)
    on_its_way = [telling for telling in found.lost if telling not in due]
    lost = [telling for telling in found.lost if telling in due]
    return msgspec.structs.replace(found, tellings=found.tellings - len(on_its_way), lost=lost)
