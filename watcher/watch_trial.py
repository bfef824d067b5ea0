"""What one short watch shows of the way to the API server, in the words of `doctor`. Pure.

Something in between that collects an answer before it hands it on lets lists through and keeps watches silent: all of a
watch comes together with its end. So a watch that is told to end soon shows it by the order of its parts, whatever the
server's pace: its beginning has to come well before its end.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, assert_never

from msgspec import Struct

from common.checkup import Area, Finding, bad, fine
from watcher.kube_errors import Forbidden, KubeError
from watcher.objects import ListPage, Pod

__all__ = ["ENDS_WITHIN_S", "TRIAL_S", "Broken", "Course", "Ended", "Unended", "judged", "trial_query"]

TRIAL_S: Final = 2
"""After so long the server is asked to end the watch; whole seconds are all that it takes."""
ENDS_WITHIN_S: Final = 10.0
"""So long its end is waited for: a busy server may take a while to begin."""
_APART_S: Final = TRIAL_S / 4
"""What comes later than this before the end was held back until then; a busy machine of ours may be late by less."""
_ABOUT: Final = "watch"


class Ended(Struct, frozen=True):
    """The server ended it. Times are since it was asked for; `told_s` is its first line's, None if there was none."""

    answered_s: float
    told_s: float | None
    ended_s: float


class Unended(Struct, frozen=True):
    """No end within `ENDS_WITHIN_S`; whether it began at all."""

    began: bool


class Broken(Struct, frozen=True):
    """It failed: before it began if `answered_s` is None."""

    answered_s: float | None
    after_s: float
    error: KubeError


Course = Ended | Unended | Broken


def trial_query(page: ListPage[Pod]) -> tuple[Mapping[str, str], bool]:
    """The query of the watch that follows `page`, and whether it has to begin with a line.

    Where there is a pod, the watch is of that one and from any version, so that it begins by telling it; else it is of
    what comes after the list.
    """
    common = {"allowWatchBookmarks": "true", "timeoutSeconds": str(TRIAL_S)}
    if page.items:
        name = page.items[0].metadata.name
        return {**common, "fieldSelector": f"metadata.name={name}", "resourceVersion": "0"}, True
    return {**common, "resourceVersion": page.resource_version}, False


def judged(place: str, course: Course, *, tells: bool, longest_s: float) -> Finding:
    """The line about a watch of pods in `place`, which had to begin with a line if `tells`.

    `longest_s` is how long the watches of a watcher with the same settings may be silent.
    """
    match course:
        case Ended(_, _, ended_s) if ended_s < TRIAL_S / 2:
            return _cut(f"of pods in {place} ended after {ended_s:.1f} s instead of {TRIAL_S}", longest_s)
        case Ended(answered_s, told_s, ended_s):
            if ended_s - answered_s < _APART_S:
                return _held(f"of pods in {place} is answered only with its end, after {ended_s:.1f} s", longest_s)
            if tells and told_s is not None and ended_s - told_s < _APART_S:
                said = f"of pods in {place} is answered at once, but tells only with its end, after {ended_s:.1f} s"
                return _held(said, longest_s)
            said = f"one of pods in {place} was answered after {answered_s:.2f} s and ended after {ended_s:.1f} s"
            return fine(Area.KUBERNETES, _ABOUT, f"{said}, as asked")
        case Unended(began=False):
            said = f"of pods in {place} had no answer within {ENDS_WITHIN_S:.0f} s, though lists are answered"
            return _held(said, longest_s)
        case Unended():
            said = f"of pods in {place} was to end after {TRIAL_S} s, and its end did not come within"
            return _held(f"{said} {ENDS_WITHIN_S:.0f} s", longest_s)
        case Broken(None, _, error):
            return _refused(place, error)
        case Broken(_, after_s, error):
            return _cut(f"of pods in {place} broke off after {after_s:.1f} s: {error}", longest_s)
        case _:
            assert_never(course)


def _refused(place: str, error: KubeError) -> Finding:
    remedy = "see the permissions above" if isinstance(error, Forbidden) else "does what is in between pass watches on?"
    return bad(Area.KUBERNETES, _ABOUT, f"none of pods in {place} can be opened: {error}", remedy)


def _held(said: str, longest_s: float) -> Finding:
    remedy = (
        "something between here and the API server holds answers back, so nothing is seen live: let it pass them on as "
        "they come (nginx: proxy_buffering off), and keep a silent one open for longer than --watch-timeout-s, "
        f"{longest_s:.0f} s (nginx: proxy_read_timeout)"
    )
    return bad(Area.KUBERNETES, _ABOUT, f"one {said}", remedy)


def _cut(said: str, longest_s: float) -> Finding:
    remedy = (
        "something between here and the API server cuts answers short: let it keep one open, silent too, for longer "
        f"than --watch-timeout-s, {longest_s:.0f} s (nginx: proxy_read_timeout; HAProxy: timeout server)"
    )
    return bad(Area.KUBERNETES, _ABOUT, f"one {said}", remedy)
