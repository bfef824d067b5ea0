"""Splitting loses nothing and tears nothing that can be kept whole."""

import itertools

import regex  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st

from shipper.split import LINE_MAX_CHARS, split_line

GRAPHEMES = st.lists(
    st.sampled_from(
        ["a", " ", "é", "e\u0301", "👩‍💻", "🇩🇪", "한", "\u1112\u1161\u11ab", "👨‍👩‍👧‍👦", "x\u0300\u0301\u0302"]
    ),
    max_size=200,
).map("".join)


@given(st.text(max_size=300) | GRAPHEMES, st.integers(1, 40))
def test_pieces_joined_are_the_text_and_none_is_too_long(text: str, most: int) -> None:
    pieces = split_line(text, most)
    assert "".join(pieces) == text
    assert all(len(piece) <= most for piece in pieces)
    assert all(pieces) or text == ""


@given(GRAPHEMES, st.integers(12, 40))
def test_no_grapheme_is_torn_that_fits_into_a_line(text: str, most: int) -> None:
    whole = set(_ends(text))
    cut = 0
    for piece in split_line(text, most):
        cut += len(piece)
        assert cut in whole or text == ""


@given(GRAPHEMES, st.integers(12, 40))
def test_a_line_is_as_full_as_its_graphemes_allow(text: str, most: int) -> None:
    pieces = split_line(text, most)
    for piece, following in itertools.pairwise(pieces):
        assert len(piece) + len(regex.match(r"\X", following).group()) > most


def test_a_grapheme_longer_than_a_line_is_split_anyway() -> None:
    zalgo = "a" + "\u0301" * 5_000
    pieces = split_line(zalgo)
    assert "".join(pieces) == zalgo
    assert max(map(len, pieces)) == LINE_MAX_CHARS


def test_a_line_of_just_the_limit_stays_whole() -> None:
    assert split_line("😀" * 1_024) == ["😀" * 1_024]
    assert [len(piece) for piece in split_line("😀" * 1_025)] == [1_024, 1]


def _ends(text: str) -> list[int]:
    return [match.end() for match in regex.finditer(r"\X", text)]
