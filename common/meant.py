"""Which known word somebody probably meant, and how that is said. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = ["closest", "did_you_mean"]


def closest(word: str, known: Iterable[str]) -> str:
    """The one of `known` that is most like `word`, the first of several in their order; "" if none is like it."""
    return next(iter(difflib.get_close_matches(word, list(known), n=1)), "")


def did_you_mean(name: str) -> str:
    """What an error adds after the word that it does not know; "" without a name."""
    return f", did you mean {name}?" if name else ""
