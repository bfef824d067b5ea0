"""One resource in one place, as a state machine: replies of the API server in, changes and the next state out. Pure.

    Resuming ──position still valid──► Listed ──opened──► Watching ──closed──► Listed
       │ rebuilt cluster                 ▲                  │ 410 (HTTP or in the stream)
       └────────► Empty ──page──► Listing ┘ last page       └────────► Empty

A list is bracketed by `Began` and `Completed`; the latter names all UIDs, so deletes are a set difference. A list
whose continue token expired starts over in one piece: a page taken at a later version would hide what changed in
between. The position never runs ahead of the changes that were handed out. Source: FACTS 2.
"""

from __future__ import annotations

from typing import Generic, assert_never

from msgspec import Struct

from common.ids import Uid
from watcher.objects import Bookmark, Delta, Expired, Failure, Line, ListPage, Malformed, ResourceT
from watcher.versions import is_newer

__all__ = [
    "Began",
    "Change",
    "Changed",
    "Closed",
    "Completed",
    "Empty",
    "Found",
    "Gone",
    "Lines",
    "Listed",
    "Listing",
    "Opened",
    "Page",
    "Rebuilt",
    "Rejected",
    "Reply",
    "Resuming",
    "State",
    "Watching",
    "advance",
]


# States: what the next request is.


class Resuming(Struct, frozen=True):
    """A position was saved; a list of one tells whether this is still the cluster it belongs to."""

    position: str


class Empty(Struct, frozen=True):
    """Nothing is known: ask for the first page, or (`paged` false) for all in one."""

    paged: bool = True


class Listing(Struct, frozen=True):
    """Some pages are in; `uids` are those of each."""

    position: str
    continue_token: str
    uids: tuple[tuple[Uid, ...], ...]


class Listed(Struct, frozen=True):
    """All up to `position` is known: open a watch there."""

    position: str


class Watching(Struct, frozen=True):
    position: str


State = Resuming | Empty | Listing | Listed | Watching


# Replies.


class Page(Struct, Generic[ResourceT], frozen=True):
    page: ListPage[ResourceT]


class Opened(Struct, frozen=True):
    """The server accepted the watch."""


class Lines(Struct, Generic[ResourceT], frozen=True):
    lines: list[Line[ResourceT]]


class Closed(Struct, frozen=True):
    """The watch ended, whoever ended it."""


class Gone(Struct, frozen=True):
    """410 as an HTTP status."""


Reply = Page[ResourceT] | Opened | Lines[ResourceT] | Closed | Gone


# Changes.


class Began(Struct, frozen=True):
    """A list began; it shows the state at `position`."""

    position: str


class Found(Struct, Generic[ResourceT], frozen=True):
    """Objects of a list, in no useful order."""

    objects: list[ResourceT]


class Completed(Struct, frozen=True):
    """The list is complete: what is not among `uids` was not there at `position`, says this server."""

    position: str
    uids: frozenset[Uid]


class Changed(Struct, Generic[ResourceT], frozen=True):
    """Deltas in order (there may be none); all up to `position` has been said with them."""

    deltas: list[Delta[ResourceT]]
    position: str


class Rejected(Struct, frozen=True):
    """Objects that could not be decoded; they are left out."""

    count: int
    why: str


class Rebuilt(Struct, frozen=True):
    """The server is behind the saved position: another cluster under the same name."""

    saved: str
    now: str


Change = Began | Found[ResourceT] | Completed | Changed[ResourceT] | Rejected | Rebuilt


def advance(state: State, reply: Reply[ResourceT]) -> tuple[list[Change[ResourceT]], State]:
    """What `reply` changes in `state`. Replies that do not belong to a state leave it as it is."""
    match state, reply:
        case Watching(position), Lines(lines):
            return _follow(position, lines)
        case Watching(position) | Listed(position), Closed():
            return [], Listed(position)
        case Listed(position), Opened():
            return [], Watching(position)
        case (Listing(), Gone()):
            return [], Empty(paged=False)
        case _, Gone():
            return [], Empty()
        case Resuming(position), Page(page):
            if is_newer(position, page.resource_version):
                return [Rebuilt(position, page.resource_version)], Empty()
            return [], Listed(position)
        case ((Empty() | Listing()), Page(page)):
            return _collect(state, page)
        case _:
            return [], state


def _collect(state: Empty | Listing, page: ListPage[ResourceT]) -> tuple[list[Change[ResourceT]], State]:
    changes: list[Change[ResourceT]] = []
    # All pages show the state at the first one's version.
    position = page.resource_version
    before: tuple[tuple[Uid, ...], ...] = ()
    if isinstance(state, Listing):
        position, before = state.position, state.uids
    else:
        changes.append(Began(position))
    if page.malformed:
        changes.append(Rejected(page.malformed, "an item of a list does not fit"))
    if page.items:
        changes.append(Found(page.items))
    uids = (*before, tuple(Uid(item.metadata.uid) for item in page.items))
    if page.continue_token:
        return changes, Listing(position, page.continue_token, uids)
    changes.append(Completed(position, frozenset(uid for each in uids for uid in each)))
    return changes, Listed(position)


def _follow(position: str, lines: list[Line[ResourceT]]) -> tuple[list[Change[ResourceT]], State]:
    deltas: list[Delta[ResourceT]] = []
    rejected: list[Change[ResourceT]] = []
    state: State | None = None
    for line in lines:
        match line:
            case Delta(_, changed):
                deltas.append(line)
                position = changed.metadata.resource_version or position
            case Bookmark(version):
                position = version or position
            case Malformed(why, version):
                rejected.append(Rejected(1, why))
                position = version or position
            case Expired():
                state = Empty()
                break
            case Failure():
                state = Listed(position)
                break
            case _:
                assert_never(line)
    rejected.append(Changed(deltas, position))
    return rejected, state or Watching(position)
