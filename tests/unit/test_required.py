"""A missing part is never silent: a skip that is summed up, or a failure where every part is asked for."""

import pytest

from tests.required import ALL_PARTS, missing, not_run


def test_a_missing_part_skips_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(ALL_PARTS, raising=False)
    with pytest.raises(pytest.skip.Exception, match=r"^not run: Go \(apt-get install golang\)$"):
        missing("Go", "apt-get install golang")


def test_a_missing_part_fails_where_all_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ALL_PARTS, "1")
    with pytest.raises(pytest.fail.Exception, match=r"Go is missing and .*=1 asks for every real part"):
        missing("Go", "apt-get install golang")


def test_what_was_not_run_is_one_line_for_each_part() -> None:
    reasons = ["Skipped: not run: Go (x)", "Skipped: not run: Go (x)", "Skipped: not run: Redis (y)", "needs prctl"]
    assert not_run(reasons) == ["not run: 2 tests: Go (x)", "not run: 1 test: Redis (y)"]
