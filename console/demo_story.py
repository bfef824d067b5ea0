"""The demo's plot: which recordings are played, for whose workspaces, and what the spectator is told of each.

All begin within two seconds; the replay shortens the recordings' pauses, so that they take ten.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from console.doubles.kube_control import Step
from console.doubles.recording import load_recording
from console.doubles.replay import Cast, replay

__all__ = ["KILLED_IN", "Story", "stories"]

KILLED_IN: Final = "dan/db"
"""The workspace with the crash loop in the middle of which `demo --kill` kills."""

_APART_S: Final = 0.2
_PAUSE_MAX_S: Final = 0.7
_REGISTRY: Final = {"127.0.0.1:5055/library/": "registry.example.com/team/"}


@dataclass(frozen=True)
class _Plot:
    recording: str
    owner: str
    workspace: str
    title: str


_PLOTS: Final = (
    _Plot("normal", "alice", "web", "starts as it should; later one of two pods goes"),
    _Plot("unschedulable-cpu", "erin", "sim", "asks for more CPU than any node has"),
    _Plot("pull-notfound", "bob", "api", "names an image that does not exist"),
    _Plot("quota-exceeded", "carol", "ml", "wants three pods where a quota allows one"),
    _Plot("crashloop-exit1", "dan", "db", "has a container that ends as soon as it starts"),
    _Plot("oomkilled", "frank", "train", "needs more memory than its limit"),
    _Plot("evicted-emptydir", "grace", "etl", "writes more to its temporary disk than it may"),
)


@dataclass(frozen=True)
class Story:
    """One workspace's start, ready to be played."""

    workspace: str
    """As Coder names it: owner/workspace."""
    title: str
    token: str
    """Of its agent, made for this performance."""
    steps: Sequence[Step]


def stories(start_at_s: float) -> list[Story]:
    """All stories, to be played from Unix time `start_at_s` on. Tokens and UIDs are new each time."""
    return [_story(plot, start_at_s, number * _APART_S) for number, plot in enumerate(_PLOTS)]


def _story(plot: _Plot, start_at_s: float, later_s: float) -> Story:
    cast = Cast(
        namespace=f"coder-{plot.owner}",
        token=str(uuid.uuid4()),
        name=plot.workspace,
        workspace=plot.workspace,
        owner=plot.owner,
        texts=_REGISTRY,
    )
    script = replay(load_recording(plot.recording), cast, start_at_s=start_at_s + later_s, pause_max_s=_PAUSE_MAX_S)
    steps = [Step(step.at_s + later_s, step.write) for step in script]
    return Story(f"{plot.owner}/{plot.workspace}", plot.title, cast.token, steps)
