"""What a reader sees of hostile text."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipper.sanitise import LINES_MAX, NEWLINE_MARK, to_lines, visible

ANY_TEXT = st.text(st.characters(codec=None, exclude_categories=()))


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("\x1b[31mred\x1b[0m", "␛[31mred␛[0m"),
        ("a\x00b", "a␀b"),
        ("bell\x07 backspace\x08", "bell␇ backspace␈"),
        ("\x7f", "␡"),
        ("\x9b31m", "\\x9b31m"),
        ("\u202etxt.exe", "\\u202etxt.exe"),
        ("\ufeffx", "\\ufeffx"),
        ("lone \ud800 surrogate", "lone \ufffd surrogate"),
        ("a\tb", "a\tb"),
        ("👩‍💻 é ß 中", "👩‍💻 é ß 中"),
    ],
)
def test_what_a_viewer_would_obey_is_shown_instead(text: str, seen: str) -> None:
    assert visible(text) == seen


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r", "\x85", "\u2028", "\u2029"])
def test_every_kind_of_newline_ends_a_line(newline: str) -> None:
    assert to_lines(f"one{newline}two") == ["one", "two"]


def test_blank_lines_are_left_out_and_a_blank_message_has_none() -> None:
    assert to_lines("one\n\n  \ntwo\n") == ["one", "two"]
    assert to_lines("  ") == to_lines("") == to_lines("\n\n") == []


def test_a_message_of_many_lines_keeps_its_text_in_bounded_lines() -> None:
    lines = to_lines("\n".join(f"line {n}" for n in range(1_000)))
    assert len(lines) == LINES_MAX
    assert lines[0] == "line 0"
    assert lines[-1].startswith(f"line {LINES_MAX - 1}{NEWLINE_MARK}line {LINES_MAX}")
    assert lines[-1].endswith("line 999")


@given(ANY_TEXT)
def test_nothing_that_is_shown_can_be_obeyed_or_fails_to_encode(text: str) -> None:
    for line in to_lines(text):
        line.encode()
        assert not {unicodedata.category(char) for char in line if char != "\t"} & {"Cc", "Cs", "Zl", "Zp"}
        assert not set(line) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


@given(st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S", "M", "Zs")), min_size=1))
def test_harmless_text_stays_as_it_is(text: str) -> None:
    assert visible(text) == text or set(text) & set("\u061c\u200e\u200f\ufeff")
