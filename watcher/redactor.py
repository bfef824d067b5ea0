"""Find what looks like a secret in the lines of a container's output, and take it out. Pure.

What is found is decided for a whole line, before anything of it is cut or laid out, so no cut can spare a half of it. A
control sequence within (a colour between a name and its value) hides nothing: a line that has any is searched as it is
and without them, and what was found is taken out with all that stands in between.

Three nets: names (what follows `password=`, `"token":`, `--api-key` …), forms (the prefixes that issuers give their
tokens, JSON web tokens, private keys, credentials in URLs), and what is known by itself: the workspace's own agent
token. A guess, which errs towards taking out. Source of the forms: the issuers' documentation (read).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

import regex  # type: ignore[import-untyped]
from msgspec import Struct

from common.redact_file import LINE_MAX_CHARS, SEARCH_WITHIN_S, RedactPattern

__all__ = ["KEY", "REDACTED", "UNSEARCHED", "Redacted", "Redactor"]

REDACTED: Final = "[redacted]"
KEY: Final = "[redacted: what looks like a key]"
UNSEARCHED: Final = "[redacted: a line that could not be searched in time]"

_Span = tuple[int, int]

_NAME: Final = (
    r"(?:pass(?:word|wd|phrase|code|_?key)|pwd|secrets?|tokens?|(?:api|access|private|signing|encryption|account|shared"
    r"|license)[_-]?keys?|credentials?|authorization|session[_-]?ids?|dsn|conn(?:ection)?[_-]?str(?:ing)?|signature)"
)
_VALUE: Final = (
    r"(?:\\+\"((?:(?!\\+\").)*)"  # "{\"password\": \"…\"}"
    r"|\"((?:[^\"\\]|\\.)*)|'((?:[^'\\]|\\.)*)"  # up to the closing quotation mark, or the end
    r"|((?:bearer|basic|digest|negotiate|token)\s+\S+)|(\S+))"
)
_FORMS: Final = (
    r"gh[pousr]_[A-Za-z0-9]{16,}|github_pat_\w{16,}",  # GitHub
    r"gl[a-z]{2,6}-[\w-]{16,}",  # GitLab
    r"(?:AKIA|ASIA|AGPA|AIDA|AROA|ABIA|ACCA)[A-Z0-9]{12,}",  # AWS
    r"AIza[\w-]{20,}|ya29\.[\w-]{16,}|GOCSPX-[\w-]{16,}",  # Google
    r"xox[a-z]-[\w-]{10,}|xapp-[\w-]{10,}",  # Slack
    r"(?:sk|rk|whsec)_(?:live_|test_)?[A-Za-z0-9]{16,}",  # Stripe
    r"sk-[\w-]{16,}",  # OpenAI, Anthropic
    r"hf_[A-Za-z0-9]{16,}|npm_[A-Za-z0-9]{16,}|pypi-[\w-]{16,}|dckr_(?:pat|oat)_[\w-]{16,}|dop_v1_[a-f0-9]{16,}",
    r"hv[sbr]\.[\w-]{16,}|SG\.[\w-]{16,}(?:\.[\w-]+)?|lin_api_\w{16,}|glsa_\w{16,}|shpat_\w{16,}|rubygems_\w{16,}",
    r"eyJ[\w-]{8,}(?:\.[\w-]*){0,4}",  # JSON web tokens
    r"(?<![A-Za-z0-9])[A-Za-z0-9]{10}-[A-Za-z0-9]{22}(?![A-Za-z0-9])",  # Coder's session tokens
    r"(?<![\w-])[\w-]{43}=(?![\w=-])",  # Fernet keys, our own token key among them
    r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY.*",
)
_ASSIGNED: Final = (
    rf"{_NAME}[\w.\[\]-]{{0,40}}(?:\\*[\"'`])?\s{{0,4}}(?:=>|:=|[:=])\s{{0,4}}{_VALUE}",
    rf"(?<!\S)--?[\w-]{{0,40}}{_NAME}[\w-]{{0,40}}\s{{1,4}}{_VALUE}",
    rf"<[\w:-]{{0,40}}{_NAME}[^<>]{{0,80}}>([^<]+)",
    r"cookie\\*[\"']?\s{0,4}[:=](.*)",
    r"\b(?:bearer|basic)\s{1,4}([\w.~+/=-]{8,})",
    r"[?&](?:sig|key|code|auth|x-amz-[\w-]{0,40})=(\S+)",
    # All from :// to the last @ of the word: a password that was not encoded may hold any delimiter.
    r"://(?:(\S+)@)?\S*",
)
_PATTERNS: Final = (*(re.compile(each, re.IGNORECASE) for each in _ASSIGNED), re.compile("|".join(_FORMS)))
_CONTROLS: Final = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)"  # colours and titles
    r"|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u00ad\u061c\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]"
)
_KEY_BEGINS: Final = re.compile(r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY")
_KEY_ENDS: Final = re.compile(r"-----END [A-Z0-9 ]*PRIVATE KEY")
_KEY_BODY: Final = re.compile(r"[\s\"'|>+,-]*+[A-Za-z0-9+/]++={0,2}[\s\"',]*|(?:Proc-Type|DEK-Info|Version|Comment):.*")
_LONE_KEY: Final = re.compile(r"[\s\"']*+(?=\S*[0-9])(?=\S*[A-Za-z])[A-Za-z0-9+/_-]{40,}={0,2}[\s\"',]*")
"""A line that is nothing but one long word in base64 or hexadecimal."""


class Redacted(Struct, frozen=True):
    """Lines in which what looks like a secret was replaced; several lines of one key have become one."""

    rows: list[str]
    slow: frozenset[int] = frozenset()
    """The lines of the operator's file whose patterns took too long. A row that they left unsearched is not shown."""


class Redactor:
    """The patterns that ship, and an operator's. May be used by several threads at once."""

    def __init__(self, own: Iterable[RedactPattern] = ()) -> None:
        self._own: Final = [(pattern.line, pattern.compiled()) for pattern in own]

    def __call__(self, rows: Sequence[str], known: Iterable[str], shown_chars: int) -> Redacted:
        """`rows`, each one line, without what looks like a secret and without what lies beyond `shown_chars` of it.

        `known` are secrets by themselves. Of a row `LINE_MAX_CHARS` are searched; `shown_chars` must be so much less
        that a secret that begins in what is shown is known by what is searched. O(characters × patterns).
        """
        patterns = [*map(_literal, filter(None, known)), *_PATTERNS]
        slow: set[int] = set()
        done = []
        for row, is_key in zip(rows, _keys([row[:LINE_MAX_CHARS] for row in rows]), strict=True):
            if is_key:
                done.append(KEY)
            elif slow:  # one such search is enough
                done.append(UNSEARCHED)
            else:
                spans = self._spans_in(row[:LINE_MAX_CHARS], patterns, slow)
                done.append(UNSEARCHED if slow else _without(spans, row, shown_chars))
        return Redacted(_with_keys_in_one(done), frozenset(slow))

    def _spans_in(self, row: str, patterns: Sequence[re.Pattern[str]], slow: set[int]) -> list[_Span]:
        spans = []
        for text, place_of in _readings(row):
            found = [span for pattern in patterns for span in _spans(pattern.finditer(text))]
            for line, pattern in self._own:
                try:
                    found += _spans(pattern.finditer(text, timeout=SEARCH_WITHIN_S))
                except TimeoutError:
                    slow.add(line)
                    return []
            spans += [(place_of(start), place_of(end - 1) + 1) for start, end in found]
        return spans


def _spans(matches: Iterable[regex.Match[str] | re.Match[str]]) -> Iterator[_Span]:
    """What of each match is secret: its groups, or if it has none all of it."""
    for match in matches:
        for number in range(1, len(match.groups()) + 1) if match.groups() else (0,):
            start, end = match.span(number)
            if start < end:  # a group that took part
                yield start, end


def _literal(secret: str) -> re.Pattern[str]:
    """`secret` in upper or lower case, with its dashes or without."""
    return re.compile("-?".join(map(re.escape, secret.split("-"))), re.IGNORECASE)


def _readings(row: str) -> Iterator[tuple[str, Callable[[int], int]]]:
    """`row` as it is, and if that is another text without what a terminal obeys or hides; each with where a place of it
    is in `row`."""
    yield row, _same
    kept: list[int] = []
    position = 0
    for match in _CONTROLS.finditer(row):
        kept += range(position, match.start())
        position = match.end()
    if position:
        kept += range(position, len(row))
        yield "".join(row[place] for place in kept), kept.__getitem__


def _same(place: int) -> int:
    return place


def _without(spans: Iterable[_Span], row: str, shown_chars: int) -> str:
    """What `row` shows when `spans` are taken out of it."""
    parts, position = [], 0
    for start, end in sorted(spans):
        if start >= shown_chars:
            break
        if start >= position:
            parts += [row[position:start], REDACTED]
        position = max(position, end)
    parts.append(row[position:shown_chars])
    missing = len(row) - max(position, shown_chars)
    return "".join(parts) + (f" … [{missing} more characters]" if missing > 0 else "")


def _keys(rows: Sequence[str]) -> list[bool]:
    """Which of `rows` belong to a private key that has rows of its own. Its beginning or its end may be missing."""
    marks = [bool(_LONE_KEY.fullmatch(row)) for row in rows]
    inside = False
    for place, row in enumerate(rows):
        if _KEY_BEGINS.search(row):
            inside = not _KEY_ENDS.search(row)  # from there on the row is taken out as one of the forms
        elif _KEY_ENDS.search(row):
            marks[place] = True
            before = place - 1
            while not inside and before >= 0 and _KEY_BODY.fullmatch(rows[before]):
                marks[before] = True
                before -= 1
            inside = False
        elif inside:
            inside = marks[place] = bool(_KEY_BODY.fullmatch(row))
    return marks


def _with_keys_in_one(rows: Sequence[str]) -> list[str]:
    return [row for place, row in enumerate(rows) if row != KEY or place == 0 or rows[place - 1] != KEY]
