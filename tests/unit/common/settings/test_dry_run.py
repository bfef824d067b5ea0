"""The prefix under which a dry run keeps its data: nobody else's, and one that can be a prefix."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from common.settings.dry_run import dry_run_prefix, is_dry_run_prefix
from common.store.keys import Keys

PREFIXES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", fullmatch=True)


def test_a_dry_run_of_a_dry_run_is_the_same() -> None:
    assert dry_run_prefix("logstream") == "logstream-dry-run"
    assert dry_run_prefix("logstream-dry-run") == "logstream-dry-run"


@given(PREFIXES)
def test_any_prefix_has_one_for_its_dry_run_that_may_be_taken_away(prefix: str) -> None:
    other = dry_run_prefix(prefix)
    assert is_dry_run_prefix(Keys(other).prefix)


@given(st.text("ab", min_size=56, max_size=56), st.text("cd", max_size=7), st.text("cd", max_size=7))
def test_prefixes_that_only_their_end_tells_apart_stay_apart(start: str, one: str, other: str) -> None:
    assert (dry_run_prefix(start + one) == dry_run_prefix(start + other)) == (one == other)
