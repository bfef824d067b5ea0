"""What the demo plays, once watchers and shippers run, and what it shows meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from common.store.errors import StoreUnavailable
from common.wording.read import shipped_wording
from console.demo_kill import AskBacklog, Killed, Killer
from console.demo_story import KILLED_IN, Story, stories
from console.demo_tally import Tally, played_facts, tally
from console.demo_view import DemoSnapshot, LogRow, PeerView, WorkspaceLog
from console.doubles.coder_control import AddAgent, AgentView
from console.doubles.coder_state import StoredLog
from console.doubles.kube_control import Play
from console.doubles.remote import CoderRemote, KubeRemote
from console.peer import Outage, left_out, peer_logs
from console.supervise import ProcessState, ProcessView

__all__ = ["DemoFailed", "Processes", "Show", "Stage"]

Processes = Callable[[], Sequence[ProcessView]]
"""The programs that are played to, as they are now; none if somebody else runs them."""

Show = Callable[[AsyncIterator[DemoSnapshot]], Awaitable[object]]
"""Shows the snapshots until there are no more."""

_WATCHED_WITHIN_S: Final = 60.0  # on a busy machine an interpreter takes long to start
_WATCHES: Final = 3  # pods, events, ReplicaSets
_POLL_S: Final = 0.1
_LATE_S: Final = 25.0
"""A line that is not there after so long a rest is lost; repeats are held for 15 s."""
_GIVES_UP_S: Final = 120.0
"""After the last event, if there is no rest at all."""
_CUE: Final = "💥 Restart 1 of container "
"""With this line the crash loop is in full swing."""
_PEER_AWAY_S: Final = 1.0  # in its favour: a pod that was killed takes longer

_NOTE: Final = (
    "Kubernetes is a replay, Coder a double; watcher, shipper and Valkey are real. "
    "coder-logstream-kube is not run: its lines are what its rules make of the same recordings."
)


class DemoFailed(Exception):
    """The demo could not be played. The text is one line."""


@dataclass(frozen=True)
class _Seen:
    """What the doubles have recorded so far."""

    logs: Sequence[AgentView]
    result: Tally
    played: bool
    watched: bool
    """A watcher reads; after a kill that takes until the lease of the dead one is over."""
    delivered: bool
    """Nothing waits in Redis, and no request is under way."""


class Stage:
    """Where the demo is played."""

    def __init__(
        self, coder: CoderRemote, kube: KubeRemote, backlog: AskBacklog, show: Show, killer: Killer | None
    ) -> None:
        self._coder = coder
        self._kube = kube
        self._backlog = backlog
        self._show = show
        self._killer = killer
        self._wording = shipped_wording()
        self._stories: Sequence[Story] = ()
        self._began_unix_s = 0.0
        self.result: Tally | None = None
        """The sum, once all is played."""

    @property
    def killed(self) -> Sequence[Killed]:
        """Who was killed."""
        return self._killer.killed if self._killer is not None else ()

    async def play(self, processes: Processes) -> None:
        """Play all stories at once and show them until all is told. Raises DemoFailed, NoMoment, StoreError."""
        await self._until_watched()
        self._began_unix_s = time.time()
        self._stories = stories(self._began_unix_s)
        await self._coder.apply([AddAgent(story.token) for story in self._stories])
        await self._kube.apply([Play(list(story.steps)) for story in self._stories])
        await self._show(self._snapshots(processes))

    async def _until_watched(self) -> None:
        deadline_s = time.monotonic() + _WATCHED_WITHIN_S
        while (await self._kube.totals()).open_watches < _WATCHES:
            if time.monotonic() > deadline_s:
                raise DemoFailed(f"the watcher did not begin to watch within {_WATCHED_WITHIN_S:g} s")
            await asyncio.sleep(_POLL_S)

    async def _snapshots(self, processes: Processes) -> AsyncIterator[DemoSnapshot]:
        """How it stands, until every fact is a line or has had its time."""
        rests_from_s = math.inf
        gives_up_s = math.inf
        while True:
            seen = await self._look()
            yield DemoSnapshot(self._note(), self._workspaces(seen.logs))
            if self._killer is not None:
                with contextlib.suppress(StoreUnavailable):
                    await self._killer.step(processes(), crashing=self._is_crashing(seen.logs))
            now_s = time.monotonic()
            rests = seen.played and seen.watched and seen.delivered and self._is_whole(processes())
            rests_from_s = min(rests_from_s, now_s) if rests else math.inf
            gives_up_s = min(gives_up_s, now_s + _GIVES_UP_S) if seen.played else math.inf
            if (rests and seen.result.lost == 0) or now_s > min(rests_from_s + _LATE_S, gives_up_s):
                self.result = seen.result
                return
            await asyncio.sleep(_POLL_S)

    def _note(self) -> str:
        return " ".join([_NOTE, *(f"kill -9 {killed.pid} ({killed.role})!" for killed in self.killed)])

    def _is_whole(self, processes: Sequence[ProcessView]) -> bool:
        """Everything that was to be killed was killed and runs again."""
        running = all(view.state is ProcessState.RUNNING for view in processes)
        return running and (self._killer is None or self._killer.is_done)

    async def _look(self) -> _Seen:
        # In this order: what is written after the question about lines would look lost, and what is sent again after
        # it would not be seen.
        delivered = await self._is_delivered()
        totals = await self._kube.totals()
        writes = await self._kube.writes()
        logs = await self._coder.agents()
        told = ((played_facts(story.steps, writes, self._wording), _logs(story, logs)) for story in self._stories)
        played, watched = totals.unplayed_steps == 0, totals.open_watches >= _WATCHES
        return _Seen(logs, tally(told), played, watched, delivered)

    async def _is_delivered(self) -> bool:
        try:
            backlog = await self._backlog()
        except StoreUnavailable:  # Ctrl-C stops Valkey, too
            return False
        return backlog.waiting_records == backlog.claimed_agents == 0

    def _is_crashing(self, agents: Sequence[AgentView]) -> bool:
        looping = [story for story in self._stories if story.workspace == KILLED_IN]
        return any(line.output.startswith(_CUE) for story in looping for line in _logs(story, agents))

    def _workspaces(self, agents: Sequence[AgentView]) -> list[WorkspaceLog]:
        played_s = time.time() - self._began_unix_s
        played = [[step for step in story.steps if step.at_s <= played_s] for story in self._stories]
        everything = [step for steps in played for step in steps]
        peer, unharmed = peer_logs(everything, self._peers_outage()), peer_logs(everything)
        workspaces = []
        for story, steps in zip(self._stories, played, strict=True):
            rows = [LogRow(each.received_unix_ns / 1e9, each.level, each.output) for each in _logs(story, agents)]
            theirs = peer.get(story.token, ())
            missed = len(unharmed.get(story.token, ())) - len(theirs)
            view = PeerView([(line.level, line.text) for line in theirs], str(left_out(steps, missed)))
            workspaces.append(WorkspaceLog(story.workspace, story.title, rows, view))
        return workspaces

    def _peers_outage(self) -> Outage | None:
        """It is killed when the watcher is."""
        for killed in self.killed:
            if killed.role == "watcher":
                from_s = killed.at_unix_s - self._began_unix_s
                return Outage(from_s, from_s + _PEER_AWAY_S)
        return None


def _logs(story: Story, agents: Sequence[AgentView]) -> Sequence[StoredLog]:
    return next(agent.logs for agent in agents if agent.token == story.token)
