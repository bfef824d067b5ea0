"""Label and field selectors: check them at the start, match labels. Pure.

The API server evaluates both for pods. Labels are matched by us against the pod template of owners, whose own
labels may differ. Of a field selector only `metadata.namespace` is common to all resources, so only it binds
owners and events too (so that two Coders in one cluster stay apart).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, assert_never

from msgspec import Struct

__all__ = ["FieldSelector", "LabelSelector", "SelectorError", "parse_fields", "parse_labels"]


class SelectorError(ValueError):
    """A selector that the API server would refuse. The message says where and gives a right example."""


class In(Struct, frozen=True):
    key: str
    values: frozenset[str]


class NotIn(Struct, frozen=True):
    """Also true where the key is absent, as in Kubernetes."""

    key: str
    values: frozenset[str]


class Exists(Struct, frozen=True):
    key: str


class Absent(Struct, frozen=True):
    key: str


Requirement = In | NotIn | Exists | Absent


class LabelSelector(Struct, frozen=True):
    """`text` is what is sent to the server; no requirement matches everything."""

    text: str
    requirements: tuple[Requirement, ...]

    def matches(self, labels: Mapping[str, str]) -> bool:
        return all(_holds(requirement, labels) for requirement in self.requirements)


class FieldSelector(Struct, frozen=True):
    """`text` goes with pods, `namespace_text` (its terms on `metadata.namespace`) with everything else."""

    text: str
    namespace_text: str


_NAME: Final = r"[A-Za-z0-9](?:[A-Za-z0-9_.-]*[A-Za-z0-9])?"
_KEY: Final = rf"(?:[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?/)?{_NAME}"
_VALUE: Final = rf"(?:{_NAME})?"
_SET: Final = re.compile(rf"({_KEY})\s+(in|notin)\s*\(([^()]*)\)")
_EQUALITY: Final = re.compile(rf"({_KEY})\s*(==|=|!=)\s*({_VALUE})")
_EXISTS: Final = re.compile(rf"(!?)\s*({_KEY})")
_IS_VALUE: Final = re.compile(_VALUE)
_FIELD: Final = re.compile(r"([A-Za-z][A-Za-z0-9.\[\]'/_-]*?)\s*(==|=|!=)\s*((?:[^,=!\\]|\\[,=\\])*)")
_TERMS: Final = re.compile(r",(?![^()]*\))")


def parse_labels(text: str) -> LabelSelector:
    """The label selector in `text` ("" = everything). Raises `SelectorError`."""
    text = text.strip()
    if not text:
        return LabelSelector("", ())
    return LabelSelector(text, tuple(_requirement(term.strip(), text) for term in _TERMS.split(text)))


def _requirement(term: str, whole: str) -> Requirement:
    if found := _SET.fullmatch(term):
        values = frozenset(value.strip() for value in found[3].split(","))
        if all(_IS_VALUE.fullmatch(value) for value in values):
            return In(found[1], values) if found[2] == "in" else NotIn(found[1], values)
    elif found := _EQUALITY.fullmatch(term):
        values = frozenset((found[3],))
        return NotIn(found[1], values) if found[2] == "!=" else In(found[1], values)
    elif found := _EXISTS.fullmatch(term):
        return Absent(found[2]) if found[1] else Exists(found[2])
    raise SelectorError(f"label selector {whole!r}: cannot read {term!r}; example: app=coder,tier in (dev,test)")


def _holds(requirement: Requirement, labels: Mapping[str, str]) -> bool:
    match requirement:
        case In(key, values):
            return key in labels and labels[key] in values
        case NotIn(key, values):
            return key not in labels or labels[key] not in values
        case Exists(key):
            return key in labels
        case Absent(key):
            return key not in labels
        case _:
            assert_never(requirement)


def parse_fields(text: str) -> FieldSelector:
    """The field selector in `text` ("" = everything); which fields exist the server says. Raises `SelectorError`."""
    text = text.strip()
    if not text:
        return FieldSelector("", "")
    terms = [term.strip() for term in re.split(r"(?<!\\),", text)]
    common = []
    for term in terms:
        found = _FIELD.fullmatch(term)
        if found is None:
            raise SelectorError(f"field selector {text!r}: cannot read {term!r}; example: metadata.namespace=coder")
        if found[1] == "metadata.namespace":
            common.append(term)
    return FieldSelector(text, ",".join(common))
