"""Label and field selectors of the Kubernetes API: parse them, match objects. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from enum import Enum
from typing import Final

import msgspec

__all__ = ["EVERYTHING", "BadSelector", "Selector", "parse_selector"]


class BadSelector(Exception):
    """The selector cannot be parsed, or names a field that cannot be selected by."""


class _Operator(Enum):
    EXISTS = "exists"
    ABSENT = "!"
    IN = "in"
    NOT_IN = "notin"


class _Requirement(msgspec.Struct, frozen=True):
    key: str
    operator: _Operator
    values: frozenset[str] = frozenset()

    def holds(self, labels: Mapping[str, str]) -> bool:
        value = labels.get(self.key)
        match self.operator:
            case _Operator.EXISTS:
                return value is not None
            case _Operator.ABSENT:
                return value is None
            case _Operator.IN:
                return value in self.values
            case _Operator.NOT_IN:  # an object without the label matches
                return value not in self.values


class Selector(msgspec.Struct, frozen=True):
    """Requirements on labels and on fields, all of which must hold."""

    labels: tuple[_Requirement, ...] = ()
    fields: tuple[_Requirement, ...] = ()

    def matches(self, labels: Mapping[str, str], fields: Mapping[str, str]) -> bool:
        return all(each.holds(labels) for each in self.labels) and all(each.holds(fields) for each in self.fields)

    def __bool__(self) -> bool:
        return bool(self.labels or self.fields)


EVERYTHING: Final = Selector()

_KEY: Final = r"(?:[a-z0-9.-]+/)?[A-Za-z0-9](?:[A-Za-z0-9_.-]*[A-Za-z0-9])?"
_VALUE: Final = r"(?:[A-Za-z0-9](?:[A-Za-z0-9_.-]*[A-Za-z0-9])?)?"
_EQUALITY: Final = re.compile(rf"({_KEY})\s*(==|=|!=)\s*({_VALUE})")
_SET: Final = re.compile(rf"({_KEY})\s+(in|notin)\s*\(\s*({_VALUE}(?:\s*,\s*{_VALUE})*)\s*\)")
_PRESENCE: Final = re.compile(rf"(!?)\s*({_KEY})")
_COMMA_OUTSIDE_PARENTHESES: Final = re.compile(r",(?![^()]*\))")
_FIELD_TERM: Final = re.compile(r"((?:[^\\,=!]|\\.)+?)(!=|==|=)((?:[^\\,=]|\\.)*)")
_UNESCAPED_COMMA: Final = re.compile(r"(?<!\\),")
_ESCAPE: Final = re.compile(r"\\([\\,=])")


def parse_selector(labels: str, fields: str, selectable: Collection[str]) -> Selector:
    """The two selectors of a request as one. Raises BadSelector."""
    return Selector(
        tuple(_label_requirement(term.strip()) for term in _COMMA_OUTSIDE_PARENTHESES.split(labels) if labels.strip()),
        tuple(_field_requirement(term, selectable) for term in _UNESCAPED_COMMA.split(fields) if term),
    )


def _label_requirement(term: str) -> _Requirement:
    if match := _EQUALITY.fullmatch(term):
        operator = _Operator.NOT_IN if match[2] == "!=" else _Operator.IN
        return _Requirement(match[1], operator, frozenset((match[3],)))
    if match := _SET.fullmatch(term):
        values = frozenset(value.strip() for value in match[3].split(","))
        return _Requirement(match[1], _Operator(match[2]), values)
    if match := _PRESENCE.fullmatch(term):
        return _Requirement(match[2], _Operator.ABSENT if match[1] else _Operator.EXISTS)
    raise BadSelector(f"unable to parse requirement: {term!r}")


def _field_requirement(term: str, selectable: Collection[str]) -> _Requirement:
    match = _FIELD_TERM.fullmatch(term)
    if match is None:
        raise BadSelector(f"invalid selector: '{term}'; can't understand '{term}'")
    if match[1] not in selectable:
        raise BadSelector(f"field label not supported: {match[1]}")
    operator = _Operator.NOT_IN if match[2] == "!=" else _Operator.IN
    return _Requirement(match[1], operator, frozenset((_ESCAPE.sub(r"\1", match[3]),)))
