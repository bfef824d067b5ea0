"""One workspace's story: how its agent was found, what became of its records, what holds them, or why there is nothing.

Pure: from what Redis and Kubernetes tell to findings, in the order of the way that a line goes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final
from urllib.parse import urlsplit

import msgspec

from common.checkup import Area, Finding, bad, doubt, fine
from common.store.glance import AgentGlance, AgentPhase, phase_of
from common.store.model import EndReason
from common.whereabouts import ObjectSeen, TokenPlace
from console.overview import LONG_S, count, size, span
from console.reason_texts import UNAUTHORIZED, meaning, remedy

__all__ = ["Setting", "Story", "is_called", "stories"]

UNSERVED_S: Final = 10.0
"""What is due for longer is served by nobody, or by too few."""
_K8S, _CODER, _REDIS = Area.KUBERNETES, Area.CODER, Area.REDIS


class Story(msgspec.Struct, frozen=True):
    """`agent`: its name in Redis and in logs; empty if no agent is known."""

    title: str
    agent: str
    phase: str
    findings: tuple[Finding, ...]


class Setting(msgspec.Struct, frozen=True):
    """What stories are judged by."""

    now_ms: int
    coder_url: str
    budget_bytes: int
    readers: Mapping[str, tuple[str, float]] | None
    """By unit: which watcher reads it, and for how long its lease still runs. None: that cannot be seen here."""
    asked_kubernetes: bool
    """Whether what is not among the objects is not there."""


def is_called(agent: AgentGlance, name: str) -> bool:
    """Whether `agent` is meant by `name`: its own, that of its object, its workspace or its owner."""
    card = agent.card
    if agent.agent == name:
        return True
    if card is None:
        return False
    named = {card.name, f"{card.namespace}/{card.name}", card.workspace, card.owner, f"{card.owner}/{card.workspace}"}
    return bool(name) and (name in named or card.name.startswith(f"{name}-"))


def stories(objects: Sequence[ObjectSeen], agents: Sequence[AgentGlance], at: Setting) -> list[Story]:
    """That of each of `agents`, then of each object that belongs to none of them."""
    told = []
    left = list(objects)
    for agent in agents:
        own = [each for each in objects if _is_of(each, agent)]
        left = [each for each in left if each not in own]
        told.append(_of_agent(agent, own, at))
    return [*told, *(_of_object(each, at) for each in left)]


def _is_of(seen: ObjectSeen, agent: AgentGlance) -> bool:
    return seen.uid in agent.known_by


def _of_agent(agent: AgentGlance, objects: Sequence[ObjectSeen], at: Setting) -> Story:
    card = agent.card
    whose = "/".join(filter(None, (card.owner, card.workspace))) if card else ""
    place = f"{card.namespace}/{card.name}" if card else "its card is lost"
    findings = [
        *_findings_of(_found(agent, objects, at)),
        *_records(agent, at),
        *_delivered(agent, at),
        *_held(agent, objects, at),
    ]
    title = f"{whose} ({place})" if whose else place
    return Story(title, agent.agent, str(phase_of(agent, at.now_ms)), tuple(findings))


def _findings_of(findings: Iterator[Finding]) -> list[Finding]:
    """Of several objects that are read alike each line once."""
    return list(dict.fromkeys(findings))


def _of_object(seen: ObjectSeen, at: Setting) -> Story:
    """It has no agent, or none that was told anything."""
    findings = [*_about_object(seen, at)]
    is_read = at.readers is None or seen.unit in at.readers
    if is_read and not seen.left_out and any(not place.problem for place in seen.places):
        said = "its agent is not known there, or nothing was ever to be told"
        mend = "if it was ready before the first watcher came, only what happens from now on is told; else see the "
        findings.append(doubt(_REDIS, "records", said, f"{mend}watcher's log"))
    title = f"{seen.owner}/{seen.workspace} ({seen.kind} {seen.namespace}/{seen.name})"
    bare = f"{seen.kind} {seen.namespace}/{seen.name}"
    return Story(title if seen.workspace else bare, "", "", tuple(findings))


def _found(agent: AgentGlance, objects: Sequence[ObjectSeen], at: Setting) -> Iterator[Finding]:
    for each in objects:
        yield from _about_object(each, at)
    if not objects and at.asked_kubernetes:
        known = f"; {agent.objects} of its objects are followed" if agent.objects else ""
        yield fine(_K8S, "object", f"none of its objects is there any more{known}")


def _about_object(seen: ObjectSeen, at: Setting) -> Iterator[Finding]:
    about = f"{seen.kind} {seen.namespace}/{seen.name}"
    if seen.left_out:
        yield bad(_K8S, about, f"not followed: {seen.left_out}", seen.remedy)
        return
    age = f", made {span((at.now_ms - seen.created_at_ms) / 1000)} ago" if seen.created_at_ms else ""
    named = [place for place in seen.places if not place.problem]
    if named:
        yield fine(_K8S, about, f"has its agent token from {_where(named)}{age}")
    elif not seen.places:
        said = "no token: no container has CODER_AGENT_TOKEN or CODER_AGENT_TOKEN_FILE"
        yield doubt(_K8S, about, said, "if it is a workspace, let its template give the container the agent's token")
    for place in seen.places:
        if place.problem and not (named and place.container in {each.container for each in named}):
            said = f"no token for container {place.container} from {place.where}: {place.problem}"
            yield doubt(_K8S, about, said, place.remedy) if named else bad(_K8S, about, said, place.remedy)
    if at.readers is not None:
        yield _reader(seen, at.readers)


def _where(places: Sequence[TokenPlace]) -> str:
    return " and ".join(f"{place.where} (container {place.container})" for place in places)


def _reader(seen: ObjectSeen, readers: Mapping[str, tuple[str, float]]) -> Finding:
    about = f"namespace {seen.namespace}"
    watcher, ends_in_s = readers.get(seen.unit, ("", 0.0))
    if not watcher:
        return bad(_K8S, about, "no watcher reads it", "start one with these namespaces and selectors, or see its log")
    if ends_in_s < 0:
        said = f"its watcher {watcher} is silent; its lease ran out {span(-ends_in_s)} ago"
        return bad(_K8S, about, said, "start a watcher, or see its log")
    return fine(_K8S, about, f"read by watcher {watcher}")


def _records(agent: AgentGlance, at: Setting) -> Iterator[Finding]:
    phase, about = phase_of(agent, at.now_ms), "records"
    if agent.due_at_ms is None:
        yield fine(_REDIS, about, "none waits")
        return
    number = str(agent.waiting_records or "some")
    since_ms = agent.waiting_since_ms
    since = f", the oldest for {span((at.now_ms - since_ms) / 1000)}" if since_ms is not None else ""
    said = f"{number} wait ({size(agent.waiting_bytes)}){since}: {phase}"
    overdue_s = (at.now_ms - agent.due_at_ms) / 1000
    if phase is AgentPhase.DUE and overdue_s >= UNSERVED_S:
        yield bad(_REDIS, about, f"{said} for {span(overdue_s)}", "does a shipper run? coder-logstream status says so")
    else:
        yield fine(_REDIS, about, said)


def _delivered(agent: AgentGlance, at: Setting) -> Iterator[Finding]:
    state = agent.state
    budget = f"{size(state.spent_bytes)} of {size(at.budget_bytes)}"
    yield fine(_CODER, "delivered", f"{count(state.lines, 'line')}, {budget}")
    missing = agent.dropped + agent.late
    if missing:
        why = f", the last of them because {meaning(state.unsaid_why)}" if state.unsaid_why else ""
        yield doubt(
            _CODER,
            "missing",
            f"{count(missing, 'record')} will never be shown{why}",
            "the workspace's log says so, too",
        )
    if state.left_out + state.refused:
        said = f"{count(state.left_out + state.refused, 'record')} found no room in the budget"
        yield doubt(_CODER, "left out", said, "see which reason repeats; hide it, or raise --budget-bytes")


def _held(agent: AgentGlance, objects: Sequence[ObjectSeen], at: Setting) -> Iterator[Finding]:
    state = agent.state
    if state.ended is not None:
        why = state.ended.value
        known = meaning(why) if isinstance(state.ended, EndReason) else f"unknown, of another release ({why})"
        said = f"takes no more lines: {known}{_other_coder(why, objects, at)}"
        yield bad(_CODER, "ended", said, remedy(why))
    if state.held_since_ms:
        held_s = (at.now_ms - state.held_since_ms) / 1000
        said = f"for {span(held_s)}, tried {count(state.tries, 'time')}: {meaning(state.held_why)}"
        said += _other_coder(state.held_why, objects, at)
        if state.held_why == UNAUTHORIZED and held_s < LONG_S:
            yield doubt(_CODER, "held", said, "wait: so it is until the workspace's build has ended")
        else:
            yield bad(_CODER, "held", said, remedy(state.held_why))


def _other_coder(why: str, objects: Sequence[ObjectSeen], at: Setting) -> str:
    """Whether the agent says itself that it is another Coder's."""
    here = urlsplit(at.coder_url).netloc
    others = [url for each in objects for url in each.agent_urls if urlsplit(url).netloc != here]
    if why != UNAUTHORIZED or not here or not others:
        return ""
    return f"; its container reports to {others[0]}, lines go to {at.coder_url}"
