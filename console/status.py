"""`coder-logstream status`: how things stand, as Redis tells it; for one workspace also as Kubernetes does.

Only reads. What the Redis user or the kubeconfig may not read is left out, and said.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import click
import msgspec
from rich.console import Console
from rich.live import Live
from rich.text import Text

from common.bell import Bell
from common.ids import Uid
from common.settings.environ import derive
from common.settings.flags import EXIT_FAILURE
from common.settings.inspect import InspectSettings
from common.settings.watcher import KubernetesSettings
from common.store.connect import connect, refuse_cluster
from common.store.errors import StoreError, StoreRefused, StoreUnavailable
from common.store.glance import AgentGlance, Glance, Tenure
from common.telemetry.redact import redact_text
from common.whereabouts import Whereabouts, decode_whereabouts
from console.examiners import ExaminerFailed, ask_examiner
from console.findings_text import Output, finding_line, in_json
from console.overview import Overview, overview, overview_text
from console.reach import NothingKept, Reach, reach
from console.story import Setting, Story, is_called, stories

__all__ = ["status"]

LOOK_EVERY_S: Final = 2.0
SPARING: Final = 10
"""A look that takes long is repeated the more seldom, so that looking is a tenth of the time at most."""
STORIES_MAX: Final = 20
_REDIS_AWAY: Final = "is --redis-url right, and does the server run there?"
_NAMES: Final = "is it spelt right? OWNER/WORKSPACE will do, or the name of a pod, or what its name begins with"

_Seen = TypeVar("_Seen")


class Told(msgspec.Struct, frozen=True):
    """What there is under a name."""

    name: str
    stories: tuple[Story, ...]
    notes: tuple[str, ...]


def status(settings: InspectSettings, name: str, output: Output, *, watch: bool) -> int:
    """Show all, or what is called `name`, and again and again if `watch`. The exit code: 1 if there is nothing."""
    try:
        where = reach(settings)
        if not name:
            return asyncio.run(_show(lambda: _overview(where), _shown(output, overview_text), watch=watch))
        return asyncio.run(_show(lambda: _told(where, settings, name), _shown(output, _told_text), watch=watch))
    except StoreUnavailable as error:
        click.echo(redact_text(f"coder-logstream status: {error} → {_REDIS_AWAY}"), err=True)
        return EXIT_FAILURE
    except (NothingKept, ValueError, StoreError) as error:
        click.echo(redact_text(f"coder-logstream status: {error}"), err=True)
        return EXIT_FAILURE
    except KeyboardInterrupt:
        return 0


def _shown(output: Output, as_text: Callable[[_Seen], str]) -> Callable[[_Seen], str]:
    return in_json if output is Output.JSON else lambda seen: redact_text(as_text(seen))


async def _show(look: Callable[[], Awaitable[_Seen]], shown: Callable[[_Seen], str], *, watch: bool) -> int:
    began_s = time.monotonic()
    seen = await look()
    if not watch:
        click.echo(shown(seen))
        return EXIT_FAILURE if isinstance(seen, Told) and not seen.stories else 0
    console = Console()
    with Live(console=console, auto_refresh=False) as live:
        while True:
            if console.is_terminal:
                live.update(Text(shown(seen)), refresh=True)
            else:
                click.echo(shown(seen))
            await asyncio.sleep(max(LOOK_EVERY_S, SPARING * (time.monotonic() - began_s)))
            began_s = time.monotonic()
            seen = await look()


async def _overview(where: Reach) -> Overview:
    async with connect(where.url) as client:
        await refuse_cluster(client)
        glance = Glance(client, where.keys)
        agents = await glance.agents()
        now_ms = await glance.now_ms()
        tenures = await glance.tenures(now_ms)
        backlog = await glance.backlog(agents, now_ms)
    bell, bells, workers = Bell(where.queue_url, where.keys.prefix), None, None
    try:
        bells, workers = await bell.unanswered(), await bell.workers()
    except StoreRefused as error:
        glance.notes.append(f"not shown: shippers that wait for work ({error})")
    return overview(where.keys.prefix, now_ms, agents, backlog, tenures, workers, bells, glance.notes)


async def _told(where: Reach, settings: InspectSettings, name: str) -> Told:
    async with connect(where.url) as client:
        await refuse_cluster(client)
        glance = Glance(client, where.keys)
        called = [each for each in await glance.agents() if is_called(each, name)]
        seen = await _whereabouts(settings, _name_in_kubernetes(name, called))
        # Once more: an object's agents are found by its UID, and Kubernetes took its time.
        uids = [Uid(each.uid) for each in seen.objects]
        agents = [each for each in await glance.agents(uids) if is_called(each, name) or each.known_by]
        now_ms = await glance.now_ms()
        tenures = await glance.tenures(now_ms)
    at = Setting(now_ms, settings.coder_url or "", settings.budget_bytes, _readers(tenures), not seen.troubles)
    told = stories(seen.objects, agents, at)
    notes = [*seen.troubles, *glance.notes]
    if len(told) > STORIES_MAX:
        notes.append(f"{len(told)} are called so; the first {STORIES_MAX} are told")
    return Told(name, tuple(told[:STORIES_MAX]), tuple(notes))


async def _whereabouts(settings: InspectSettings, name: str) -> Whereabouts:
    try:
        answer = await ask_examiner("watcher.explain", derive(KubernetesSettings, settings), ["--", name])
        return decode_whereabouts(answer)
    except (ExaminerFailed, msgspec.DecodeError) as error:
        return Whereabouts((), (f"Kubernetes could not be looked into: {error}",))


def _name_in_kubernetes(name: str, called: list[AgentGlance]) -> str:
    """An agent's own name means nothing there: its object's does."""
    own = next((each.card for each in called if each.agent == name), None)
    return name if own is None else f"{own.namespace}/{own.name}"


def _readers(tenures: list[Tenure] | None) -> dict[str, tuple[str, float]] | None:
    if tenures is None:
        return None
    return {unit: (tenure.watcher, tenure.ends_in_s) for tenure in tenures for unit in tenure.units}


def _told_text(told: Told) -> str:
    nothing = f"nothing is called {told.name}: no agent in Redis, no pod or ReplicaSet → {_NAMES}"
    lines = [] if told.stories else [nothing]
    for story in told.stories:
        agent = f" — agent {story.agent}, {story.phase}" if story.agent else ""
        lines += [f"{story.title}{agent}", *(f"  {finding_line(each)}" for each in story.findings)]
    return "\n".join([*lines, *(f"note: {note}" for note in told.notes)])
