"""Resource versions and times, wellformed or not."""

import pytest

from watcher.versions import is_newer, order_key, unix_ms


@pytest.mark.parametrize(
    ("version", "than", "newer"),
    [("10", "9", True), ("9", "10", False), ("9", "9", False), ("9" * 30, "1" + "0" * 30, False)],
)
def test_versions_compare_as_numbers(version: str, than: str, newer: bool) -> None:
    assert is_newer(version, than) is newer


@pytest.mark.parametrize("version", ["", "0", "-1", "1.5", "abc", "01", "٣", "9" * 5_000])
def test_a_malformed_version_has_no_order_and_harms_nothing(version: str) -> None:
    assert is_newer(version, "5") is None
    assert is_newer("5", version) is None
    assert order_key(version) == 0


@pytest.mark.parametrize(
    ("time", "ms"),
    [
        ("2026-11-22T15:49:07Z", 1795362547000),
        ("2026-11-22T15:49:07.123456Z", 1795362547123),
        ("2026-11-22T16:49:07+01:00", 1795362547000),
        (None, 0),
        ("", 0),
        ("yesterday", 0),
        ("2026-11-22T15:49:07", 0),
    ],
)
def test_times_become_unix_milliseconds(time: str | None, ms: int) -> None:
    assert unix_ms(time) == ms
