"""Read wordings: the table that ships, and an operator's file. What is wrong with a file is said with what is right.

YAML is read without what no table needs: no tags, no aliases (a short file could stand for a huge one), no key twice.
The only file that knows YAML.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Hashable, Iterator
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec
import yaml

from common.meant import closest, did_you_mean
from common.small_file import read_small
from common.wording.effect import Effects
from common.wording.table import Audience, Entry, Hint, Sheet, Wording

__all__ = ["FILE_MAX_BYTES", "HINTS", "LINES", "WordingError", "read_sheet", "read_wording", "shipped_wording"]

FILE_MAX_BYTES: Final = 256 * 1024
"""Ten times what ships, and less than a ConfigMap may hold."""
TEXT_MAX_CHARS: Final = 1_000
"""Of one text. A hint should be one line, and a line has 1,024 characters."""
EMOJI_MAX_CHARS: Final = 8
"""Some pictographs take several."""
LINES: Final = Path(__file__).with_name("lines.yaml")
HINTS: Final = Path(__file__).with_name("hints.yaml")

S = TypeVar("S", Sheet, Entry)

_CONDITIONS: Final = ("reason", "kind", "component", "aspect", "exit_code", "contains", "contains_any", "at_least")
_NUMBERS: Final = ("exit_code", "at_least")
_EMPTY: Final = Entry()
_ACTIONS: Final = ("words", "level", "emoji", "show", "hint")
_EXAMPLES: Final = {
    "minimum_level": "minimum_level: info",
    "hints": "hints: user",
    "entries": "entries: [{reason: Pulling, show: false}]",
    "reason": "reason: FailedMount",
    "kind": "kind: ReplicaSet",
    "component": "component: kubelet",
    "aspect": "aspect: ended",
    "exit_code": "exit_code: [126, 127]",
    "contains": "contains: [configmap, not found]",
    "contains_any": "contains_any: [not found, manifest unknown]",
    "at_least": "at_least: 4",
    "words": "words: no room",
    "level": "level: warn",
    "emoji": "emoji: 🔥",
    "show": "show: false",
    "hint": "hint: {user: Ask in the channel for help.}",
    "user": "hint: {user: Ask in the channel for help.}",
    "admin": "hint: {admin: Look at the node.}",
    "figures": "hint: {figures: quota}",
}
_BREAKING: Final = ("Cc", "Cs", "Zl", "Zp")
_TURNING: Final = ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")
"""Which way a viewer writes what follows."""
_UNKNOWN: Final = re.compile(r"Object contains unknown field `(.*)`", re.DOTALL)
_PLACE: Final = re.compile(r" - at `\$((?:\.\w+|\[\d+\]|\[\.\.\.\])*)`$")


class WordingError(ValueError):
    """A wording file cannot be used. The text is one line: which entry, what, why, and a right example."""


def shipped_wording() -> Wording:
    """The table that ships, and nothing over it."""
    return read_wording(None)


def read_wording(path: Path | None) -> Wording:
    """The file at `path`, if one is given, over the table that ships. Raises WordingError."""
    over = [read_sheet(path)] if path is not None else []
    return Wording([*over, read_sheet(LINES), read_sheet(HINTS)])


def read_sheet(path: Path) -> Sheet:
    """What the file at `path` says. Raises WordingError."""
    too_large = f"is larger than {FILE_MAX_BYTES} bytes, too large for a table of wordings"
    return _sheet(_document(read_small(path, FILE_MAX_BYTES, too_large, WordingError)))


class _Loader(yaml.SafeLoader):
    """Plain YAML."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            alias: yaml.AliasEvent = self.get_event()  # type: ignore[no-untyped-call]
            where = f" in {_at(alias.start_mark.line)}" if alias.start_mark is not None else ""
            raise WordingError(f"has an alias (*){where}: write the value out")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        names: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise WordingError(f"has a key that is no word in {_at(key.start_mark.line)}; example: level: warn")
            if key.value in names:
                raise WordingError(f"has the key {key.value!r} twice in {_at(key.start_mark.line)}: keep one")
            if key.tag != "tag:yaml.org,2002:str":
                raise WordingError(f"has the key {key.value!r} in {_at(key.start_mark.line)}, which is no word")
            names.add(key.value)
        return super().construct_mapping(node, deep)


def _document(content: bytes) -> Any:
    try:
        # The loader is a SafeLoader that takes less.
        return yaml.load(content.decode("utf-8"), _Loader)  # noqa: S506
    except UnicodeDecodeError:
        raise WordingError(f"is not UTF-8 text; example: {_EXAMPLES['entries']}") from None
    except WordingError:
        raise
    except RecursionError:
        raise WordingError(f"is nested too deeply; example: {_EXAMPLES['entries']}") from None
    except yaml.MarkedYAMLError as error:
        where = f" in {_at(error.problem_mark.line)}" if error.problem_mark is not None else ""
        raise WordingError(f"is not YAML{where}: {error.problem}; example: {_EXAMPLES['entries']}") from None
    except (yaml.YAMLError, ValueError) as error:  # ValueError: a date that is none
        reason = " ".join(str(error).split())[:200]
        raise WordingError(f"is not YAML: {reason}; example: {_EXAMPLES['entries']}") from None


def _at(line: int) -> str:
    return f"line {line + 1}"


def _sheet(document: Any) -> Sheet:
    if document is None:
        raise WordingError(f"is empty; example: {_EXAMPLES['entries']}")
    if not isinstance(document, dict):
        raise WordingError(f"holds no table of names and values; example: {_EXAMPLES['entries']}")
    head = dict(document)
    raw = head.pop("entries", None)
    if head.get("hints") is False:
        head["hints"] = Audience.OFF.value  # YAML takes a bare `off` for false
    sheet = _converted(head, Sheet, "")
    if raw is None and "entries" not in document:
        return sheet
    if not isinstance(raw, list):
        raise WordingError(f"entries: is not a list; example: {_EXAMPLES['entries']}")
    entries, effects = [], Effects()
    for number, item in enumerate(raw, start=1):
        where = _where(item, number)
        entry = _entry(item, where)
        why = effects.lack_of(entry)
        if why is not None:
            raise WordingError(f"{where}: {why}")
        entries.append(entry)
    return msgspec.structs.replace(sheet, entries=tuple(entries))


def _where(raw: Any, number: int) -> str:
    if isinstance(raw, dict) and isinstance(raw.get("reason"), str):
        return f"entry {number} ({_printable(raw['reason'])})"
    return f"entry {number}"


def _entry(raw: Any, where: str) -> Entry:
    entry = _converted(raw, Entry, f"{where}: ")
    for name, text in _texts(entry):
        _check_text(name, text, where)
    _check_is_whole(entry, where)
    if entry.emoji is not None and not _is_pictograph(entry.emoji):
        raise WordingError(f"{where}: emoji: {_printable(entry.emoji)!r} is no pictograph; example: emoji: 🔥")
    return entry


def _check_is_whole(entry: Entry, where: str) -> None:
    if all(getattr(entry, name) == getattr(_EMPTY, name) for name in _CONDITIONS):
        raise WordingError(f"{where}: has no condition ({', '.join(_CONDITIONS)}); example: reason: FailedMount")
    if all(getattr(entry, name) is None for name in _ACTIONS) or entry.hint == Hint():
        raise WordingError(f"{where}: says nothing to do ({', '.join(_ACTIONS)}); example: show: false")


def _texts(entry: Entry) -> Iterator[tuple[str, str]]:
    """All texts of `entry`, each with the key that holds it."""
    for name in _CONDITIONS:
        value = getattr(entry, name)
        if name not in _NUMBERS:
            yield from ((name, text) for text in ((value,) if isinstance(value, str) else value))
    for name in ("words", "emoji"):
        if getattr(entry, name) is not None:
            yield name, getattr(entry, name)
    if entry.hint is not None:
        yield "hint: user", entry.hint.user or ""
        yield "hint: admin", entry.hint.admin or ""


def _check_text(name: str, text: str, where: str) -> None:
    if (not text and name in _CONDITIONS) or (name == "words" and not text.strip()):
        raise WordingError(f"{where}: {name}: is an empty text; example: {_EXAMPLES[name]}")
    if len(text) > TEXT_MAX_CHARS:
        raise WordingError(f"{where}: {name}: has {len(text)} characters, more than {TEXT_MAX_CHARS}")
    if any(unicodedata.category(char) in _BREAKING or unicodedata.bidirectional(char) in _TURNING for char in text):
        raise WordingError(f"{where}: {name}: has a line break or a control character; write it in one line")


def _is_pictograph(text: str) -> bool:
    return 0 < len(text) <= EMOJI_MAX_CHARS and unicodedata.category(text[0]) == "So" and not re.search(r"\s", text)


def _converted(raw: Any, model: type[S], where: str) -> S:
    try:
        return msgspec.convert(raw, model)
    except msgspec.ValidationError as error:
        raise WordingError(where + _why(str(error), model)) from None


def _why(text: str, model: type[Any]) -> str:
    """`text` of msgspec in our words: which key, what is wrong, what is right."""
    place = _PLACE.search(text)
    keys = re.findall(r"\.(\w+)", place[1]) if place else []
    text = _PLACE.sub("", text)
    unknown = _UNKNOWN.fullmatch(text)
    if unknown is not None:
        known = msgspec.structs.fields(Hint if keys == ["hint"] else model)
        names = [field.name for field in known]
        close = closest(unknown[1], names)
        meant, key = did_you_mean(close), close or names[-1]
        return f"no such key: {_printable(unknown[1])}{meant}; keys are {', '.join(names)}; example: {_EXAMPLES[key]}"
    key = keys[-1] if keys else "entries"
    said = f"{': '.join(keys)}: " if keys else ""
    text = text.replace("`object`", "a table of names and values").replace("`", "")
    return f"{said}{text[:1].lower()}{text[1:]}{_choices(key)}; example: {_EXAMPLES[key]}"


def _choices(key: str) -> str:
    choices: dict[str, type[Any]] = {"hints": Audience}
    for model in (Sheet, Entry, Hint):
        for field in msgspec.structs.fields(model):
            for kind in getattr(field.type, "__args__", ()):
                if isinstance(kind, type) and hasattr(kind, "__members__"):
                    choices[field.name] = kind
    return f" (one of {', '.join(each.value for each in choices[key])})" if key in choices else ""


def _printable(text: str) -> str:
    cut = text if len(text) <= 60 else text[:60] + "…"
    return cut.encode("unicode_escape").decode("ascii")
