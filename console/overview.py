"""How a whole release stands: watchers, shippers, what waits and why. Pure: from what Redis tells to text."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Final

import msgspec

from common.bell import Worker
from common.store.glance import AgentGlance, AgentPhase, Tenure, phase_of
from common.store.model import Backlog
from console.reason_texts import UNAUTHORIZED, meaning, remedy

__all__ = ["LONG_S", "AgentRow", "Overview", "count", "names_of", "overview", "overview_text", "size", "span"]

TOP: Final = 5
LONG_S: Final = 120.0
"""From which on an agent that Coder does not know is worth a word of its own, as in the log and the alert."""
_SHOWN_WATCHERS: Final = 10


class WatcherRow(msgspec.Struct, frozen=True):
    """A watcher and what it owns. `units`: namespaces, or slots of the whole cluster (`*0` to `*127`)."""

    watcher: str
    units: tuple[str, ...]
    lease_ends_in_s: float


class AgentRow(msgspec.Struct, frozen=True):
    """One agent in short."""

    agent: str
    workspace: str
    owner: str
    namespace: str
    name: str
    phase: AgentPhase
    lines: int
    spent_bytes: int
    waiting_records: int
    waiting_bytes: int
    waiting_s: float
    held_s: float
    held_why: str


class Overview(msgspec.Struct, frozen=True):
    """What `status` shows. Lists of agents hold the first few."""

    at: str
    prefix: str
    watchers: tuple[WatcherRow, ...] | None
    shippers: tuple[Worker, ...] | None
    """As RQ knows them; None like for watchers: not to be read by this Redis user."""
    drainers_awake: int
    drainers_asleep: int
    bells_unanswered: int | None
    waiting_records: int
    due_agents: int
    claimed_agents: int
    scheduled_agents: int
    oldest_due_s: float
    agents: int
    phases: dict[str, int]
    held: dict[str, int]
    unauthorized_long: int
    """Agents that Coder has not known for over two minutes (401)."""
    unauthorized_longest_s: float
    noisy: tuple[AgentRow, ...]
    waiting: tuple[AgentRow, ...]
    notes: tuple[str, ...]


def overview(
    prefix: str,
    now_ms: int,
    agents: Sequence[AgentGlance],
    backlog: Backlog,
    tenures: Sequence[Tenure] | None,
    workers: Sequence[Worker] | None,
    bells: int | None,
    notes: Sequence[str],
) -> Overview:
    """All of it. O(agents)."""
    rows = [_row(each, now_ms) for each in agents]
    held = [row for row in rows if row.held_s > 0 or row.held_why]
    unknown_s = [row.held_s for row in held if row.held_why == UNAUTHORIZED and row.held_s >= LONG_S]
    spoke = [row for row in rows if row.lines]
    waits = [row for row in rows if row.phase not in (AgentPhase.IDLE, AgentPhase.ENDED)]
    return Overview(
        at=datetime.fromtimestamp(now_ms / 1000, UTC).isoformat(timespec="seconds"),
        prefix=prefix,
        watchers=None if tenures is None else tuple(map(_watcher, tenures)),
        shippers=None if workers is None else tuple(workers),
        drainers_awake=backlog.drainers_awake,
        drainers_asleep=backlog.drainers_asleep,
        bells_unanswered=bells,
        waiting_records=backlog.waiting_records,
        due_agents=backlog.due_agents,
        claimed_agents=backlog.claimed_agents,
        scheduled_agents=backlog.scheduled_agents,
        oldest_due_s=round(backlog.oldest_due_s, 1),
        agents=len(rows),
        phases=_counts(str(row.phase) for row in rows),
        held=_counts(row.held_why for row in held),
        unauthorized_long=len(unknown_s),
        unauthorized_longest_s=max(unknown_s, default=0.0),
        noisy=tuple(heapq.nlargest(TOP, spoke, key=lambda row: (row.spent_bytes, row.agent))),
        waiting=tuple(heapq.nlargest(TOP, waits, key=lambda row: (row.waiting_s, row.waiting_bytes, row.agent))),
        notes=tuple(notes),
    )


def overview_text(view: Overview) -> str:
    """For a person, or a ticket."""
    return "\n".join([f"coder-logstream at {view.at}, prefix {view.prefix}", *_lines(view)])


def _lines(view: Overview) -> Iterator[str]:
    yield from _watcher_lines(view.watchers)
    yield f"shippers   {_shippers(view)}"
    late = f", the oldest for {span(view.oldest_due_s)}" if view.oldest_due_s >= 1 else ""
    yield (
        f"backlog    {count(view.waiting_records, 'record')} of {count(view.scheduled_agents, 'agent')}: "
        f"{view.due_agents} due{late}, {view.claimed_agents} being served"
    )
    phases = ", ".join(f"{count} {phase}" for phase, count in view.phases.items())
    yield f"agents     {view.agents}{': ' + phases if phases else ''}"
    if view.unauthorized_long:
        yield (
            f"401        ⚠ Coder has not known {count(view.unauthorized_long, 'agent')} for over two minutes, the "
            f"longest for {span(view.unauthorized_longest_s)} → {remedy(UNAUTHORIZED)}"
        )
    for title, rows in (("noisy", view.noisy), ("waiting", view.waiting)):
        for place, row in enumerate(rows):
            say = _noise if title == "noisy" else _wait
            yield f"{title if not place else '':<11}{names_of(row)}: {say(row)}"
    yield from (f"note       {note}" for note in view.notes)


def _watcher_lines(watchers: Sequence[WatcherRow] | None) -> Iterator[str]:
    if watchers is None:
        return
    if not watchers:
        yield "watchers   ✗ none reads anything → start one, or see its log"
    for place, row in enumerate(watchers[:_SHOWN_WATCHERS]):
        slots = sum(unit.startswith("*") for unit in row.units)
        names = [unit for unit in row.units if not unit.startswith("*")]
        what = [f"{slots} of 128 slots of the whole cluster"] if slots else []
        what += (
            [f"namespaces {', '.join(names[:5])}{f' and {len(names) - 5} more' if names[5:] else ''}"] if names else []
        )
        late = f" — ⚠ silent, its lease ran out {span(-row.lease_ends_in_s)} ago" if row.lease_ends_in_s < 0 else ""
        yield f"{'watchers' if not place else '':<11}{row.watcher} reads {' and '.join(what)}{late}"
    if len(watchers) > _SHOWN_WATCHERS:
        yield f"           and {len(watchers) - _SHOWN_WATCHERS} more"


def _shippers(view: Overview) -> str:
    on_shift = view.drainers_awake + view.drainers_asleep
    bells = "" if view.bells_unanswered is None else f", {count(view.bells_unanswered, 'bell')} unanswered"
    if view.shippers is None:
        return f"{on_shift} on shift{bells}"
    if not view.shippers and not on_shift:
        return f"✗ none answers bells{bells} → start one, or see its log"
    hosts = ", ".join(f"{host} ({state})" for host, state in ((each.host, each.state) for each in view.shippers[:TOP]))
    more = f" and {len(view.shippers) - TOP} more" if len(view.shippers) > TOP else ""
    return f"{len(view.shippers)}: {hosts}{more}; {on_shift} on shift{bells}"


def _noise(row: AgentRow) -> str:
    return f"{count(row.lines, 'line')}, {size(row.spent_bytes)}"


def _wait(row: AgentRow) -> str:
    held = f", held for {span(row.held_s)}: {meaning(row.held_why)}" if row.held_why else f", {row.phase}"
    return f"{count(row.waiting_records, 'record')}, {size(row.waiting_bytes)}, for {span(row.waiting_s)}{held}"


def names_of(row: AgentRow) -> str:
    """Whose agent it is, and where."""
    place = f"{row.namespace}/{row.name}" if row.name else "?"
    whose = "/".join(filter(None, (row.owner, row.workspace)))
    return f"{whose} ({place})" if whose else place


def span(seconds: float) -> str:
    """`seconds` for a person: 0.4 s, 12 s, 5 min, 3 h, 2 d."""
    for size_s, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size_s:
            return f"{seconds / size_s:.0f} {unit}"
    return f"{seconds:.0f} s" if seconds >= 1 else f"{max(seconds, 0):.1f} s"


def count(number: int, what: str) -> str:
    """`1 record`, `2 records`."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def size(size_bytes: int) -> str:
    """Likewise: 812 B, 4.0 KiB."""
    return f"{size_bytes} B" if size_bytes < 1024 else f"{size_bytes / 1024:.1f} KiB"


def _row(agent: AgentGlance, now_ms: int) -> AgentRow:
    card, state = agent.card, agent.state
    return AgentRow(
        agent=agent.agent,
        workspace=card.workspace if card else "",
        owner=card.owner if card else "",
        namespace=card.namespace if card else "",
        name=card.name if card else "",
        phase=phase_of(agent, now_ms),
        lines=state.lines,
        spent_bytes=state.spent_bytes,
        waiting_records=agent.waiting_records,
        waiting_bytes=agent.waiting_bytes,
        waiting_s=_age_s(agent.waiting_since_ms, now_ms),
        held_s=_age_s(state.held_since_ms or None, now_ms),
        held_why=state.held_why,
    )


def _age_s(since_ms: int | None, now_ms: int) -> float:
    return 0.0 if since_ms is None else max(0.0, round((now_ms - since_ms) / 1000, 1))


def _watcher(tenure: Tenure) -> WatcherRow:
    return WatcherRow(tenure.watcher, tuple(tenure.units), round(tenure.ends_in_s, 1))


def _counts(words: Iterator[str]) -> dict[str, int]:
    return dict(sorted(Counter(words).items()))
